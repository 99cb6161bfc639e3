"""Top floor. What was clicked, written down: as a Python cell, and as a recipe.

Knows the core's calls and nothing of widgets. Each deed is what changed the weights of a model; run
again in the same order, the deeds give the same weights bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import slimlab as sl
from slimlab.errors import RecipeError, SlimLabError
from slimlab.scan.setup import fingerprint
from slimlab.train import Training
from slimlab.zoo.origin import ZOO, origin_of

if TYPE_CHECKING:
    from paddle.nn import Layer

    from slimlab import Ratios, Task

BUILT_IN = ("digits", "fashion-mnist")
WIDTH = 100  # of a line of code
# The core calls that need nothing but the traced model: they are worth more than their numbers.
EXACT = "sl.uniform_ratios("
GRID_RATE = 1e-4  # the learning rate of `sl.quantize`


@dataclass(frozen=True)
class Pruned:
    """Channels were cut out: which ratios, ranked how, and the call that gave them or nothing."""

    ratios: Ratios
    criterion: str
    call: str = ""

    def code(self) -> list[str]:
        """The lines of Python."""
        if self.call.startswith(EXACT):
            lines = [f"ratios = {self.call}"]
        else:
            said = [f"# Found by {self.call}"] if self.call else []
            lines = [*said, *_mapping(self.ratios)]
        cut = f"plan = sl.plan_pruning(model, graph, ratios, criterion={self.criterion!r})"
        return [
            "graph = sl.trace(model, task.example)",
            *lines,
            cut,
            "small = sl.prune(model, plan)",
        ]

    def said(self) -> str:
        """What was done, as a sentence."""
        how = f"ratios found by {self.call}" if self.call else "ratios set by hand"
        return f"Cut channels out, ranked by {self.criterion}: {how}."

    def strategy(self, start: int) -> dict[str, Any]:
        """The strategy of a recipe."""
        ratios = {layer: ratio for layer, ratio in self.ratios.items() if ratio > 0}
        common = {"strategy": "prune", "criterion": self.criterion, "start_epoch": start}
        return {**common, "method": "ratios", "ratios": ratios}


@dataclass(frozen=True)
class Tuned:
    """The model was trained on.

    Attributes
    ----------
    epochs, learning_rate
        As `sl.fine_tune` takes them.
    losses, task_weight
        Distillation losses, with the unpruned model as the teacher, and the weight of the
        task's own loss beside them; without losses it has no teacher.
    first_epoch
        Epochs of the trainings before.
    steps
        Training steps after which a hand stopped it; None where it came to its end.
    """

    epochs: int
    learning_rate: float
    losses: tuple[sl.DistillLoss, ...] = ()
    task_weight: float = 1.0
    first_epoch: int = 0
    steps: int | None = None

    def arguments(self) -> list[str]:
        """What the call takes after model and task."""
        words = [f"epochs={self.epochs}", f"learning_rate={self.learning_rate!r}"]
        if self.first_epoch:
            words.append(f"first_epoch={self.first_epoch}")
        if self.losses:
            losses = ", ".join(_loss(loss) for loss in self.losses)
            words += ["teacher=model", f"distill=[{losses}]"]
            words.append(f"training=sl.train.Training(task_weight={self.task_weight!r})")
        return words

    def keywords(self, teacher: Layer) -> dict[str, Any]:
        """The same for a call."""
        common = {
            "epochs": self.epochs,
            "learning_rate": self.learning_rate,
            "first_epoch": self.first_epoch,
        }
        if not self.losses:
            return common
        training = Training(task_weight=self.task_weight)
        return {**common, "teacher": teacher, "distill": self.losses, "training": training}

    def code(self) -> list[str]:
        """The lines of Python."""
        if self.steps is None:
            return _call("small, history = sl.fine_tune", self.arguments())
        return [
            *_call("steps = sl.iter_fine_tune", self.arguments()),
            f"next(step for step in steps if step.done >= {self.steps})  # stopped here",
            "small, history = sl.finish_early(steps)",
        ]

    def said(self) -> str:
        """What was done, as a sentence."""
        length = f"{self.epochs} epoch{'s' if self.epochs != 1 else ''}"
        if self.steps is not None:
            length = f"{self.steps} steps (stopped by hand)"
        taught = " with the unpruned model as the teacher" if self.losses else ""
        return f"Fine-tuned for {length} from a learning rate of {self.learning_rate:g}{taught}."

    def strategy(self, start: int) -> dict[str, Any]:
        """The strategy of a recipe."""
        if self.steps is not None:
            msg = (
                "The fine-tuning was stopped in the middle of an epoch, and a recipe counts whole "
                "epochs. Show the code instead, or fine-tune to the end."
            )
            raise RecipeError(msg, steps=self.steps)
        common = {
            "start_epoch": start,
            "end_epoch": start + self.epochs,
            "training": {"learning_rate": self.learning_rate, "task_weight": self.task_weight},
        }
        if not self.losses:
            return {"strategy": "fine_tune", **common}
        teachers = {"original": {"original": True}}
        return {"strategy": "distill", "teachers": teachers, "losses": [*self.losses], **common}


@dataclass(frozen=True)
class Quantized:
    """The model was put on grids of few bits; `epochs` of training on them, 0 for none, after
    `first_epoch` of other trainings.
    """

    config: sl.QuantConfig
    epochs: int = 0
    first_epoch: int = 0

    def code(self) -> list[str]:
        """The lines of Python."""
        words = ["config", *([f"epochs={self.epochs}"] if self.epochs else [])]
        words += [f"first_epoch={self.first_epoch}"] if self.epochs and self.first_epoch else []
        return [
            f"config = sl.QuantConfig({_changed(self.config)})",
            *_call("small = sl.quantize", words),
        ]

    def said(self) -> str:
        """What was done, as a sentence."""
        words = _changed(self.config) or "8 bits, a scale for each channel"
        trained = f", trained on the grids for {self.epochs} epochs" if self.epochs else ""
        return f"Quantized ({words}){trained}."

    def strategy(self, start: int) -> dict[str, Any]:
        """The strategy of a recipe."""
        named = ("weight", "activation", "weight_bits", "activation_bits", "calibration_images")
        own, usual = self.config.to_dict(), sl.QuantConfig().to_dict()
        facts = {name: own[name] for name in own if name in named or own[name] != usual[name]}
        if self.epochs:
            facts |= {"end_epoch": start + self.epochs, "training": {"learning_rate": GRID_RATE}}
        return {"strategy": "quantize", "start_epoch": start, **facts}


Deed = Pruned | Tuned | Quantized


@dataclass(frozen=True)
class Source:
    """Where model and task can be had from again; empty where only the user knows.

    Attributes
    ----------
    model, task
        Names for `sl.load_model` and `sl.load_task`.
    arguments
        For the network's constructor.
    """

    model: str = ""
    task: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, model: Layer, task: Task) -> Source:
        """Find out by loading them again and comparing every number."""
        name = task.name if task.name in BUILT_IN else ""
        if name and sl.load_task(name).fingerprint() != task.fingerprint():
            name = ""
        origin = origin_of(model)
        if origin is None or not origin.constructor.startswith(f"{ZOO}:"):
            return cls(task=name)
        network = origin.constructor.partition(":")[2]
        try:
            again = sl.load_model(network, task)
        except SlimLabError:
            return cls(task=name)
        same = fingerprint(again) == fingerprint(model)
        return cls(model=network if same else "", task=name)

    def code(self) -> list[str]:
        """The lines of Python that load both."""
        lines = ["import slimlab as sl", ""]
        lines.append(
            f"task = sl.load_task({self.task!r})"
            if self.task
            else "# task: your own, as you gave it to the workbench"
        )
        lines.append(
            f"model = sl.load_model({self.model!r}, task)"
            if self.model
            else "# model: your own, as you gave it to the workbench"
        )
        return lines


def code(source: Source, deeds: Sequence[Deed]) -> str:
    """A Python cell that does the deeds again.

    Examples
    --------
    >>> import slimlab as sl
    >>> from slimlab_widgets.script import Pruned, Source, Tuned, code
    >>> print(code(Source("vgg", "digits"), [Pruned(sl.Ratios({"conv1": 0.5}), "l1_norm")]))
    import slimlab as sl
    <BLANKLINE>
    task = sl.load_task('digits')
    model = sl.load_model('vgg', task)
    graph = sl.trace(model, task.example)
    ratios = sl.Ratios({'conv1': 0.5})
    plan = sl.plan_pruning(model, graph, ratios, criterion='l1_norm')
    small = sl.prune(model, plan)
    """
    # Only a cut makes a model of its own; what follows works on it.
    first = [] if deeds and isinstance(deeds[0], Pruned) else ["small = model"]
    lines = [line for deed in deeds for line in deed.code()]
    return "\n".join([*source.code(), *first, *lines])


def recipe(name: str, source: Source, deeds: Sequence[Deed]) -> str:
    """A recipe, as YAML, that does the deeds again.

    Raises
    ------
    RecipeError
        When a recipe can't say it: a model or data of the user's own, a training that was stopped.
    """
    for what, known in (("model", source.model), ("task", source.task)):
        if not known:
            msg = (
                f"A recipe names its {what}, and this {what} is your own: it is neither in the zoo "
                "nor built in, or was changed since. Show the code instead."
            )
            raise RecipeError(msg, what=what)
    start, strategies = 0, []
    for deed in deeds:
        strategies.append(deed.strategy(start))
        start += 0 if isinstance(deed, Pruned) else deed.epochs
    made = sl.Recipe.model_validate(
        {
            "version": 1,
            "name": name[:200],
            "model": {"name": source.model},
            "task": {"name": source.task},
            "strategies": strategies,
        }
    )
    return made.to_yaml()


def _call(start: str, words: list[str]) -> list[str]:
    """A call, on one line or a line for each argument."""
    words = ["small", "task", *words]
    line = f"{start}({', '.join(words)})"
    if len(line) <= WIDTH:
        return [line]
    return [f"{start}(", *(f"    {word}," for word in words), ")"]


def _loss(loss: sl.DistillLoss) -> str:
    """A loss as a call, with what differs from its defaults."""
    return f"sl.{type(loss).__name__}({_changed(loss)})"


def _changed(value: Any) -> str:
    """The keywords of a frozen dataclass that differ from its defaults."""
    values = ((f.name, getattr(value, f.name), f.default) for f in fields(value))
    return ", ".join(f"{name}={value!r}" for name, value, usual in values if value != usual)


def _mapping(ratios: Ratios) -> list[str]:
    """The ratios as a call, on one line or a line each."""
    pairs = [f"{layer!r}: {ratio!r}" for layer, ratio in ratios.items() if ratio > 0]
    line = f"ratios = sl.Ratios({{{', '.join(pairs)}}})"
    if len(line) <= WIDTH:
        return [line]
    return ["ratios = sl.Ratios({", *(f"    {pair}," for pair in pairs), "})"]
