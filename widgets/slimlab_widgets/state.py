"""Top floor. What lies on the bench, as one frozen value that the workbench replaces.

Knows the core's nouns; no widget, no thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import slimlab as sl
from slimlab.errors import PlanError, SlimLabError

if TYPE_CHECKING:
    from paddle.nn import Layer

    from slimlab import Comparison, History, Preview, Ratios, Sensitivity, Trial

BASELINE = "baseline"


@dataclass(frozen=True)
class Settings:
    """What the controls of the workbench say.

    Attributes
    ----------
    images
        Test images used by each measurement of a scan; None for all.
    ratios
        The scan's pruning ratios, as a person writes them: `0.1:0.9:0.1` or `0.3, 0.5`.
    criterion
        How channels are ranked.
    epochs, learning_rate, teacher
        Of fine-tuning; `teacher` adds the soft labels of the unpruned model.
    folder
        Where Save writes; empty for a folder that is named for the chosen model.
    uniform, drop
        The last uniform ratio and accepted drop (points) that were asked for.
    """

    images: int | None = 1000
    ratios: str = "0.1:0.9:0.2"
    criterion: str = "l1_norm"
    epochs: int = 1
    learning_rate: float = 1e-3
    teacher: bool = False
    folder: str = ""
    uniform: float = 0.5
    drop: float = 1.0

    def with_facts(self, facts: Mapping[str, Any]) -> Settings:
        """New settings from those facts of an event that are settings, checked."""
        known = {key: facts[key] for key in facts if key in self.__dataclass_fields__}
        new = replace(self, **known)
        parse_ratios(new.ratios)
        checks = {
            "images": new.images is None or new.images >= 1,
            "epochs": new.epochs >= 1,
            "learning_rate": new.learning_rate > 0,
            "uniform": 0 <= new.uniform < 1,
            "drop": new.drop >= 0,
        }
        for name, good in checks.items():
            if not good:
                msg = f"{getattr(new, name)!r} can't be used for {name.replace('_', ' ')}."
                raise SlimLabError(msg, setting=name)
        return replace(new, epochs=int(new.epochs), images=new.images and int(new.images))


@dataclass(frozen=True, eq=False)
class Candidate:
    """A pruned model on the bench.

    Attributes
    ----------
    name
        Unique on the bench.
    model
        The model itself, fine-tuned as far as `epochs` says.
    ratios, preview
        What was asked for, and what was predicted from it.
    epochs
        Passes over the training data since it was pruned.
    score
        The main metric when last measured, None before.
    history
        Of its last fine-tuning.
    """

    name: str
    model: Layer
    ratios: Ratios
    preview: Preview
    epochs: float = 0.0
    score: float | None = None
    history: History | None = None


@dataclass(frozen=True, eq=False)
class Running:
    """The present or last training: of which candidate, its history, and its planned steps."""

    name: str = ""
    history: History | None = None
    steps: int = 0


@dataclass(frozen=True, eq=False)
class State:
    """Everything on the bench.

    Attributes
    ----------
    settings
        What the controls say.
    sensitivity
        What was measured so far; None before the first scan.
    ratios, ratios_name
        What is picked, and what a model pruned so would be called.
    asked_by, revision
        Which view of the page asked for these ratios (empty: none, but code or a button), and how
        often they were set: so the page tells an answer to its last move from an older one.
    candidates, chosen
        Pruned models, and the name of the one that Fine-tune and Save take.
    trials, comparison
        What was measured of the baseline and the candidates.
    running
        The training that the chart shows.
    """

    settings: Settings = field(default_factory=Settings)
    sensitivity: Sensitivity | None = None
    ratios: Ratios | None = None
    ratios_name: str = ""
    asked_by: Mapping[str, Any] = field(default_factory=dict)
    revision: int = 0
    candidates: tuple[Candidate, ...] = ()
    chosen: str = ""
    trials: tuple[Trial, ...] = ()
    comparison: Comparison | None = None
    running: Running = field(default_factory=Running)

    def candidate(self, name: str | None = None) -> Candidate:
        """The candidate of this name, or the chosen one.

        Raises
        ------
        SlimLabError
            When there is none.
        """
        wanted = name or self.chosen
        for one in self.candidates:
            if one.name == wanted:
                return one
        names = ", ".join(repr(c.name) for c in self.candidates)
        if not names:
            msg = "There is no pruned model yet. Pick ratios and press Prune first."
            raise SlimLabError(msg, name=wanted)
        msg = f"There is no pruned model {wanted!r}; there are {names}."
        raise SlimLabError(msg, name=wanted)

    def with_candidate(self, candidate: Candidate) -> State:
        """With this candidate in the place of its namesake, or at the end; it becomes chosen."""
        others = [c for c in self.candidates if c.name != candidate.name]
        at = next(
            (n for n, c in enumerate(self.candidates) if c.name == candidate.name), len(others)
        )
        candidates = (*others[:at], candidate, *others[at:])
        # What was measured of an older model of this name is no longer true.
        trials = tuple(t for t in self.trials if t.name != candidate.name)
        return replace(self, candidates=candidates, chosen=candidate.name, trials=trials)

    def with_trials(self, trials: tuple[Trial, ...]) -> State:
        """With these measurements, their comparison, and the candidates' scores from them."""
        scores = {trial.name: trial.value for trial in trials}
        candidates = tuple(replace(c, score=scores.get(c.name, c.score)) for c in self.candidates)
        return replace(self, trials=trials, comparison=sl.compare(trials), candidates=candidates)

    def free_name(self, name: str) -> str:
        """Give this name, or with a number after it where it is taken."""
        taken = {BASELINE, *(c.name for c in self.candidates)}
        number, free = 2, name
        while free in taken:
            free, number = f"{name} ({number})", number + 1
        return free


def parse_ratios(text: str) -> tuple[float, ...]:
    """Read pruning ratios as a person writes them.

    Parameters
    ----------
    text
        `from:to:step`, or numbers between commas or spaces.

    Raises
    ------
    PlanError
        When they are not numbers between 0 and 1.

    Examples
    --------
    >>> from slimlab_widgets.state import parse_ratios
    >>> parse_ratios("0.1:0.5:0.2")
    (0.1, 0.3, 0.5)
    >>> parse_ratios("0.5, 0.3")
    (0.3, 0.5)
    """
    msg = (
        f"{text!r} are not pruning ratios. Write from:to:step, such as 0.1:0.9:0.1, or a list "
        "such as 0.3, 0.5, 0.7; every ratio lies between 0 and 1."
    )
    try:
        if ":" in text:
            start, stop, step = (float(part) for part in text.split(":"))
            count = int((stop - start) / step + 1e-6) + 1 if step > 0 else 0
            ratios = [round(start + n * step, 6) for n in range(min(count, 100))]
        else:
            ratios = [float(part) for part in text.replace(",", " ").replace(";", " ").split()]
    except ValueError:
        raise PlanError(msg, ratios=text) from None
    if not ratios or not all(0 < ratio < 1 for ratio in ratios):
        raise PlanError(msg, ratios=text)
    return tuple(sorted(set(ratios)))


def write_ratios(ratios: tuple[float, ...]) -> str:
    """Write ratios so that `parse_ratios` reads them back."""
    return ", ".join(f"{ratio:g}" for ratio in ratios)


def folder_for(name: str) -> str:
    """Where a model of this name is saved when nobody says otherwise.

    Examples
    --------
    >>> from slimlab_widgets.state import folder_for
    >>> folder_for("drop at most 1.0")
    'models/drop-at-most-1.0'
    """
    safe = "".join(c if c.isalnum() or c in ".-_" else "-" for c in name).strip("-.")
    return f"models/{safe or 'model'}"
