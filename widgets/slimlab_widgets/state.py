"""Top floor. What lies on the bench, as one frozen value that the workbench replaces.

Knows the core's nouns; no widget, no thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import slimlab as sl
from slimlab.errors import SlimLabError
from slimlab_widgets.pairs import Pairing
from slimlab_widgets.picks import Picks
from slimlab_widgets.script import Deed, Quantized
from slimlab_widgets.settings import Settings
from slimlab_widgets.shelf import Offer

if TYPE_CHECKING:
    from paddle.nn import Layer

    from slimlab import (
        Comparison,
        ExportReport,
        History,
        Preview,
        Ratios,
        Sensitivity,
        TimeTable,
        Trial,
    )

BASELINE = "baseline"


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
    cut_drop
        The drop in points when it was measured before any fine-tuning; None where it was not.
    history
        Of its last fine-tuning.
    deeds
        How its weights came about, in order.
    """

    name: str
    model: Layer
    ratios: Ratios
    preview: Preview
    epochs: float = 0.0
    score: float | None = None
    cut_drop: float | None = None
    history: History | None = None
    deeds: tuple[Deed, ...] = ()

    @property
    def quantized(self) -> bool:
        """Whether it is on grids, where it is trained no further."""
        return any(isinstance(deed, Quantized) for deed in self.deeds)


@dataclass(frozen=True, eq=False)
class Running:
    """The present or last training: of which candidate, its history, and its planned steps."""

    name: str = ""
    history: History | None = None
    steps: int = 0


@dataclass(frozen=True)
class Script:
    """What was clicked, written down: `"code"` or `"recipe"`, of which candidate, and the text."""

    kind: str = ""
    name: str = ""
    text: str = ""


@dataclass(frozen=True, eq=False)
class State:
    """Everything on the bench.

    Attributes
    ----------
    settings
        What the controls say.
    sensitivity
        What was measured so far; None before the first scan.
    offer
        What an earlier kernel left and may be taken up; None without, or once it is too late.
    times
        How long each layer takes at each width; None before it was measured.
    picks
        The picked ratios, those before them, and those with a name.
    asked_by, revision
        Which view of the page asked for these ratios (empty: none, but code or a button), and how
        often they were set: so the page tells an answer to its last move from an older one.
    candidates, chosen
        Pruned models, and the name of the one that Fine-tune and Save take.
    script
        The code or the recipe that is shown.
    pairing
        Layers of a student and the unpruned model that are paired; None before it was asked for.
    weights
        The model whose weights the quantization tab shows.
    trials, comparison
        What was measured of the baseline and the candidates.
    exports
        Files for runtimes, by the candidate's name and the format, compared with their models.
    running
        The training that the chart shows.
    """

    settings: Settings = field(default_factory=Settings)
    sensitivity: Sensitivity | None = None
    offer: Offer | None = None
    times: TimeTable | None = None
    picks: Picks = field(default_factory=Picks)
    asked_by: Mapping[str, Any] = field(default_factory=dict)
    revision: int = 0
    candidates: tuple[Candidate, ...] = ()
    chosen: str = ""
    trials: tuple[Trial, ...] = ()
    comparison: Comparison | None = None
    exports: Mapping[tuple[str, str], ExportReport] = field(default_factory=dict)
    running: Running = field(default_factory=Running)
    script: Script = field(default_factory=Script)
    pairing: Pairing | None = None
    weights: str = BASELINE

    @property
    def ratios(self) -> Ratios:
        """What is picked."""
        return self.picks.now.ratios

    @property
    def untouched(self) -> bool:
        """Whether nothing was done yet that something older could replace."""
        return self.sensitivity is None and not self.candidates and not self.picks.past

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
        exports = {key: e for key, e in self.exports.items() if key[0] != candidate.name}
        new = replace(self, candidates=candidates, chosen=candidate.name, trials=trials)
        return replace(new, exports=exports)

    def with_trials(self, trials: tuple[Trial, ...]) -> State:
        """With these measurements, their comparison, and the candidates' scores from them."""
        comparison = sl.compare(trials)
        drops = comparison.to_frame().set_index("name")["drop"].to_dict()
        scores = {trial.name: trial.value for trial in trials}
        candidates = []
        for c in self.candidates:
            drop = drops.get(c.name, c.cut_drop) if c.epochs == 0 else c.cut_drop
            candidates.append(replace(c, score=scores.get(c.name, c.score), cut_drop=drop))
        return replace(self, trials=trials, comparison=comparison, candidates=tuple(candidates))

    def free_name(self, name: str) -> str:
        """Give this name, or with a number after it where it is taken."""
        taken = {BASELINE, *(c.name for c in self.candidates)}
        number, free = 2, name
        while free in taken:
            free, number = f"{name} ({number})", number + 1
        return free
