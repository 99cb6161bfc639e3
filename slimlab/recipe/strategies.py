"""Floor 4. The strategies of a recipe: what is done to the model, and in which epochs.

Epochs are counted from 0 over the whole recipe. A strategy acts from the beginning of `start_epoch`
to the beginning of `end_epoch`, which is the first epoch without it.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Literal

from pydantic import Field, model_validator

from slimlab.errors import SlimLabError, nearest
from slimlab.evidence import DATA_CRITERIA
from slimlab.importance import CRITERIA
from slimlab.quantize import QuantConfig
from slimlab.quantize.config import ObserverName
from slimlab.recipe.losses import LossField
from slimlab.recipe.parts import (
    Bits,
    Epoch,
    ScanSettings,
    ScopeSettings,
    SearchSettings,
    Share,
    TeacherSource,
    TrainingSettings,
    Word,
)
from slimlab.recipe.settings import Settings, refuse

Method = Literal["uniform", "sensitivity", "budget", "auto", "ratios"]
# Method -> what says how much, of which exactly one (or, for a budget, any number) is given.
TARGETS: dict[str, tuple[str, ...]] = {
    "uniform": ("ratio", "macs", "params"),
    "sensitivity": ("drop", "macs", "params"),
    "budget": ("macs", "params", "bytes"),
    "auto": ("macs",),
    "ratios": ("ratios",),
}
EXTRAS = {
    "scan": ("sensitivity", "budget", "auto"),
    "search": ("auto",),
    "macs_most": ("auto",),
}


class Prune(Settings):
    """Remove channels, at once or in steps (1.x: Uniform-, Sensitive- and AutoPruneStrategy).

    Shares are of what there is when the strategy starts, and are what is *removed*.

    Examples
    --------
    >>> import slimlab as sl
    >>> sl.Prune(method="uniform", macs=0.5).criterion
    'l1_norm'
    >>> sl.Prune(method="uniform", drop=1.0)
    Traceback (most recent call last):
    slimlab.errors.RecipeError: drop: `drop` does not belong to method 'uniform', which takes
    exactly one of ratio, macs, params.
    """

    strategy: Literal["prune"] = "prune"
    """What this is."""
    method: Method
    """How ratios are chosen: `uniform`, one for all layers; `sensitivity`, from a scan, by one
    accepted drop for all; `budget`, from a scan, the least predicted drop for what is to be
    removed; `auto`, the best of these and of scores, and simulated annealing from there; `ratios`,
    as they are given."""
    start_epoch: Epoch = 0
    """Channels are removed at its beginning."""
    end_epoch: Epoch | None = None
    """Of several steps: they are spread evenly from start_epoch to here."""
    steps: Annotated[int, Field(ge=1, le=1000)] = 1
    """How often channels are removed; each time the same share of what is left (1.x: num_steps)."""
    ratio: Share | None = None
    """Share of the channels to remove from every layer."""
    macs: Share | None = None
    """Share of the multiply-adds to remove (1.x: target_ratio); of `auto`, at least this."""
    macs_most: Share | None = None
    """Of `auto`: at most this share (1.x: max_ratio)."""
    params: Share | None = None
    """Share of the trainable parameters to remove."""
    bytes: Share | None = None
    """Share of the bytes on disk to remove."""
    drop: Annotated[float, Field(gt=0, le=1000)] | None = None
    """Points of the metric that each layer may lose in the scan."""
    ratios: Annotated[dict[Word, Share], Field(min_length=1, max_length=5000)] | None = None
    """Layer -> share of its channels to remove."""
    criterion: Word = "l1_norm"
    """How channels are ranked; the lowest go first."""
    scope: ScopeSettings = Field(default_factory=ScopeSettings)
    """Layers that may be pruned."""
    scan: ScanSettings = Field(default_factory=ScanSettings)
    """Of `sensitivity`, `budget` and `auto`."""
    search: SearchSettings = Field(default_factory=SearchSettings)
    """Of `auto`."""

    @property
    def idle(self) -> tuple[str, ...]:
        """What belongs to other methods."""
        return tuple(name for name, methods in EXTRAS.items() if self.method not in methods)

    @property
    def last_epoch(self) -> int:
        """The first epoch in which nothing is removed any more."""
        return self.start_epoch if self.end_epoch is None else self.end_epoch

    @model_validator(mode="after")
    def _fits_its_method(self) -> Prune:
        mine = TARGETS[self.method]
        wanted = f"{'at least' if self.method == 'budget' else 'exactly'} one of {', '.join(mine)}"
        if len(mine) == 1:
            wanted = f"`{mine[0]}`"
        every = dict.fromkeys(name for names in TARGETS.values() for name in names)
        given = [name for name in every if getattr(self, name) is not None]
        for name in given:
            if name not in mine:
                refuse(
                    f"`{name}` does not belong to method {self.method!r}, which takes {wanted}.",
                    name,
                )
        if not given or (len(given) > 1 and self.method != "budget"):
            found = f"found {', '.join(given)}" if given else "there is none"
            refuse(f"Method {self.method!r} takes {wanted}; {found}.")
        for name, methods in EXTRAS.items():
            unset = getattr(self, name) == type(self).model_fields[name].get_default(
                call_default_factory=True
            )
            if self.method not in methods and not unset:
                refuse(f"`{name}` belongs to method {' or '.join(map(repr, methods))}.", name)
        if None not in (self.macs, self.macs_most) and self.macs_most < self.macs:  # type: ignore[operator]
            refuse(f"`macs_most` ({self.macs_most}) is below `macs` ({self.macs}).", "macs_most")
        return self

    @model_validator(mode="after")
    def _known_criterion(self) -> Prune:
        known = [*CRITERIA, *DATA_CRITERIA]
        if self.criterion not in known:
            hint = nearest(self.criterion, known)
            refuse(f"There is no criterion {self.criterion[:60]!r}. {hint}", "criterion")
        return self

    @model_validator(mode="after")
    def _steps_have_epochs(self) -> Prune:
        if self.steps == 1 and self.last_epoch != self.start_epoch:
            refuse("One step needs no `end_epoch`; say `steps`, or leave it out.", "end_epoch")
        if self.steps > 1 and self.last_epoch - self.start_epoch < self.steps:
            refuse(
                f"{self.steps} steps need at least {self.steps} epochs from start_epoch "
                f"({self.start_epoch}) to end_epoch ({self.end_epoch}), one after each.",
                "steps",
            )
        return self


class _Trained(Settings):
    """A strategy that lasts."""

    start_epoch: Epoch = 0
    """The first epoch."""
    end_epoch: Epoch
    """The first epoch that is not part of it any more."""
    training: TrainingSettings | None = None
    """Optimizer and learning rate of these epochs; the recipe's by default."""

    @property
    def last_epoch(self) -> int:
        """The first epoch that is not part of it any more."""
        return self.end_epoch

    @model_validator(mode="after")
    def _lasts(self) -> _Trained:
        if self.end_epoch <= self.start_epoch:
            refuse(
                f"`end_epoch` ({self.end_epoch}) is the first epoch without the strategy, so it "
                f"must be above `start_epoch` ({self.start_epoch}).",
                "end_epoch",
            )
        return self


class FineTune(_Trained):
    """Train with the task's loss alone.

    Examples
    --------
    >>> import slimlab as sl
    >>> sl.FineTune(end_epoch=3).start_epoch
    0
    """

    strategy: Literal["fine_tune"] = "fine_tune"
    """What this is."""


class Distill(_Trained):
    """Train with losses between the model and teachers (1.x: DistillationStrategy).

    The epochs in a loss are counted from this strategy's start.

    Examples
    --------
    >>> import slimlab as sl
    >>> teachers = {"big": {"name": "resnet20"}}
    >>> distill = sl.Distill(end_epoch=3, teachers=teachers, losses=[{"loss": "soft_label"}])
    >>> distill.losses[0].weight
    1.0
    """

    strategy: Literal["distill"] = "distill"
    """What this is."""
    teachers: Annotated[dict[Word, TeacherSource], Field(min_length=1, max_length=20)]
    """Name -> teacher; a loss names its teacher where there are several."""
    losses: Annotated[tuple[LossField, ...], Field(min_length=1, max_length=200)]
    """What is learned: soft_label, l2, fsp, dkd, dist, attention, on any layers."""

    @model_validator(mode="after")
    def _losses_fit(self) -> Distill:
        for place, loss in enumerate(self.losses):
            asked = loss.teacher_model
            if asked is None and len(self.teachers) > 1:
                refuse(
                    "There are several teachers: `teacher_model` must name one.", "losses", place
                )
            if asked is not None and asked not in self.teachers:
                hint = nearest(asked, self.teachers)
                refuse(
                    f"There is no teacher {asked[:60]!r}. {hint}", "losses", place, "teacher_model"
                )
            teacher = self.teachers[asked or next(iter(self.teachers))]
            if teacher.runtime != "paddle" and loss.teacher_layers != (None,):
                refuse(
                    f"This loss reads a layer of its teacher, of which {teacher.runtime} gives "
                    "only the logits; use `runtime: paddle`.",
                    "losses", place, "teacher",
                )  # fmt: skip
            if loss.start_epoch >= self.end_epoch - self.start_epoch:
                refuse(
                    f"This loss would start {loss.start_epoch} epochs after a strategy that lasts "
                    f"{self.end_epoch - self.start_epoch}.",
                    "losses", place, "start_epoch",
                )  # fmt: skip
        return self


class Quantize(Settings):
    """Put weights and activations on grids of few bits (1.x: QuantizationStrategy).

    Examples
    --------
    >>> import slimlab as sl
    >>> sl.Quantize(weight="abs_max", activation="abs_max").weight_bits
    8
    """

    strategy: Literal["quantize"] = "quantize"
    """What this is."""
    start_epoch: Epoch = 0
    """Fake quantization is put in at its beginning."""
    end_epoch: Epoch | None = None
    """Scales are frozen at its beginning; as start_epoch by default: no training on the grid."""
    weight: Literal["abs_max", "channel_wise_abs_max"] = "channel_wise_abs_max"
    """One scale a tensor, or one an output channel (1.x: weight_quantize_type)."""
    activation: Literal["abs_max", "range_abs_max", "moving_average_abs_max"] = (
        "moving_average_abs_max"
    )
    """The scale of each batch (dynamic); or one that is kept (static), the largest of a window
    or a moving average (1.x: activation_quantize_type)."""
    weight_bits: Bits = 8
    """Bits of a weight, 2 to 8."""
    activation_bits: Bits = 8
    """Bits of an activation, 2 to 8."""
    include: Annotated[str, Field(max_length=2000)] = ""
    """Regular expression, searched for in layer names."""
    exclude: Annotated[str, Field(max_length=2000)] | None = None
    """Regular expression; layers in which it is found stay in float."""
    layer_bits: Annotated[dict[Word, int], Field(max_length=5000)] = Field(default_factory=dict)
    """Layer -> bits of its weight, 2 to 8; 32 for a layer that stays in float."""
    calibration_images: Annotated[int, Field(ge=0, le=10**9)] = 256
    """Images that choose the static scales at the start; all when 0."""
    observer: ObserverName = "mse"
    """What chooses them: the largest magnitude, the mean of the batches' largest or of their
    percentiles, the percentile of all, the least divergence, or the least squared error."""
    percentile: float = 99.99
    """Of `percentile` and `histogram`, 50 to 100 %."""
    joins: bool = True
    """Also put what meets in an addition or a concatenation on a grid."""
    batch_norm: Literal["fold", "freeze"] = "fold"
    """Make a BatchNorm behind a convolution part of its weights; or leave all of them layers that
    keep their statistics."""
    lsq: bool = False
    """Train the scales with the weights (Esser et al. 2020, 1902.08153); needs epochs."""
    decay: float = 0.9
    """Of the moving average, in [0, 1)."""
    window: Annotated[int, Field(ge=1, le=10**6)] = 1000
    """Of `range_abs_max`: batches."""
    follow: Annotated[int, Field(ge=0, le=10**9)] | None = None
    """Batches of training that a static scale follows, and stays then; all by default, and none
    when 0: the scales are those that calibration chose."""
    equalize: bool = False
    """Scale the channels between neighbouring layers first, so that rounding adds least (after
    Nagel et al. 2019)."""
    correct_bias: bool = False
    """Take what rounding adds to the mean of each channel off the biases (the same paper)."""
    adaround: Annotated[int, Field(ge=0, le=10**6)] = 0
    """Steps a layer that learn which weights are rounded up (Nagel et al. 2020, 2004.10568); 0 for
    none. Only without epochs."""
    training: TrainingSettings | None = None
    """Optimizer and learning rate of these epochs; the recipe's by default."""

    @property
    def last_epoch(self) -> int:
        """The first epoch in which scales are frozen."""
        return self.start_epoch if self.end_epoch is None else self.end_epoch

    @model_validator(mode="after")
    def _fits(self) -> Quantize:
        try:
            self.build()
        except SlimLabError as error:
            refuse(str(error).replace("QuantConfig ", ""))
        if self.lsq and self.last_epoch <= self.start_epoch:
            refuse("`lsq` trains the scales, which needs epochs: give `end_epoch`.", "lsq")
        if self.adaround and self.last_epoch > self.start_epoch:
            refuse("`adaround` chooses the rounding once; training would undo it.", "adaround")
        if self.last_epoch < self.start_epoch:
            refuse(
                f"`end_epoch` ({self.end_epoch}) lies before `start_epoch` ({self.start_epoch}).",
                "end_epoch",
            )
        return self

    def build(self) -> QuantConfig:
        """Give the configuration that `quantize` takes."""
        own = {field.name: getattr(self, field.name) for field in fields(QuantConfig)}
        return QuantConfig(**own)


Strategy = Annotated[Prune | Distill | Quantize | FineTune, Field(discriminator="strategy")]
