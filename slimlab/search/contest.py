"""Floor 4. Candidates cut, measured and ranked: the state of a search, and what it tells.

Ranks on calibration images; knows no scan of its own and no fine-tuning.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from paddle.nn import Layer

from slimlab.allocate import Budget, Preview, preview
from slimlab.errors import PlanError
from slimlab.evaluate import image_count, per_image
from slimlab.graph import Graph
from slimlab.grouping import trace
from slimlab.intervals import paired_interval
from slimlab.plan import plan_pruning
from slimlab.prune import prune
from slimlab.ratios import Ratios
from slimlab.recalibrate import batch_norms, recalibrate_bn
from slimlab.search.annealing import anneal
from slimlab.search.candidates import Candidate, candidate_ratios, held_out
from slimlab.sensitivity import Sensitivity
from slimlab.steps import Step
from slimlab.task import Task
from slimlab.train import History

Scores = NDArray[np.float64]
WORST = 1e6  # of a metric, for ratios that are out of range


@dataclass(frozen=True)
class AutoSettings:
    """What is rarely changed about automatic pruning.

    Attributes
    ----------
    images
        Calibration images to rank on.
    recalibration
        Calibration images to estimate BatchNorm statistics on.
    scan
        Settings of `scan_sensitivity` for candidates that need a scan.
    as_cut
        Also measure each candidate right after the cut, before its BatchNorm statistics are
        estimated anew: to look at, for nothing is ranked by it, and twice the work.
    tries
        Ratios that simulated annealing tries, from the best of the other candidates on; 0 leaves it
        out.
    seed
        Of annealing and fine-tuning.
    """

    images: int = 512
    recalibration: int = 256
    scan: Mapping[str, Any] = field(default_factory=lambda: {"images": 500})
    as_cut: bool = False
    tries: int = 0
    seed: int = 0


@dataclass(frozen=True)
class Tried:
    """A candidate, cut and measured.

    Attributes
    ----------
    candidate, ratios
        What it was.
    preview
        Its cost.
    re_estimated
        Main metric on the calibration images with BatchNorm statistics estimated anew.
    as_cut
        The same right after the cut; None where it was not measured.
    """

    candidate: Candidate
    ratios: Ratios
    preview: Preview
    re_estimated: float
    as_cut: float | None = None


@dataclass(frozen=True)
class AutoResult:
    """What was tried, why one won, and what became of it.

    Attributes
    ----------
    tried
        The candidates: the chosen one, then the others, best first. Of those that can't be told
        from the best by chance, the one that was entered first is chosen.
    metric
        The name of what they were ranked by.
    why
        A sentence: by how much it won, and whether that can be told from chance.
    left_out
        Candidates that were not tried, each with a sentence that says why.
    model, history
        The winner, fine-tuned; the model as it was cut where fine-tuning was not reached or not
        asked for, and None where nothing was.

    Examples
    --------
    >>> import slimlab as sl
    >>> sl.AutoResult().to_frame().columns.tolist()[0]
    'candidate'
    """

    tried: tuple[Tried, ...] = ()
    metric: str = ""
    why: str = ""
    left_out: tuple[tuple[str, str], ...] = ()
    model: Layer | None = field(default=None, compare=False, repr=False)
    history: History | None = None

    @property
    def winner(self) -> Tried:
        """The candidate that was chosen.

        Raises
        ------
        PlanError
            When no candidate was measured: the work was stopped before, or all were left out.
        """
        if not self.tried:
            left = " ".join(why for _, why in self.left_out)
            msg = f"No candidate was measured: {left or 'the work was stopped before.'}"
            raise PlanError(msg, left_out=self.left_out)
        return self.tried[0]

    def to_frame(self) -> pd.DataFrame:
        """One row a candidate, in the order of `tried`: `candidate, macs_removed, params_removed,
        bytes_removed, re_estimated`, and `latency_removed`, `as_cut` where they are known.
        """
        names = ["macs_removed", "params_removed", "bytes_removed", "latency_removed"]
        rows = [
            (t.candidate.name, *(getattr(t.preview, n) for n in names), t.re_estimated, t.as_cut)
            for t in self.tried
        ]
        frame = pd.DataFrame(rows, columns=["candidate", *names, "re_estimated", "as_cut"])
        unknown = [n for n in ("latency_removed", "as_cut") if frame[n].isna().all()]
        return frame.drop(columns=unknown)


class Contest:
    """Cuts and measures candidates, and keeps the best model; belongs to one run."""

    def __init__(
        self,
        model: Layer,
        task: Task,
        budget: Budget,
        settings: AutoSettings,
        macs_most: float | None = None,
    ) -> None:
        self.graph: Graph = trace(model, task.example)
        self._model, self._task, self._budget, self._settings = model, task, budget, settings
        self._most = 1.0 if macs_most is None else macs_most
        self._left_out: list[tuple[str, str]] = []
        self._entries: list[tuple[Tried, Scores]] = []
        self._models: list[Layer] = []
        self._has_statistics = bool(batch_norms(model))

    def enter(self, way: Candidate, table: Sensitivity | None) -> None:
        """Cut and measure a candidate, or leave it out where it can't do what is asked for."""
        try:
            ratios = candidate_ratios(way, self._model, self.graph, self._task, self._budget, table)
        except PlanError as error:
            self._left_out.append((way.name, str(error)))
            return
        seen = preview(self.graph, ratios, table, self._budget.times)
        if seen.macs_removed > self._most:
            self._left_out.append((way.name, self._too_much(way, seen)))
            return
        small, as_cut = self._cut(ratios, way.criterion), None
        if self._has_statistics:
            if self._settings.as_cut:
                as_cut = self._metric(self._scores(small))
            small = recalibrate_bn(small, self._task, images=self._settings.recalibration)
        scores = self._scores(small)
        entry = Tried(way, ratios, seen, self._metric(scores), as_cut)
        self._entries.append((entry, scores))
        self._models.append(small)

    def annealing(self) -> Generator[Step[Any], None, None]:
        """Go on from the best candidate by simulated annealing, and enter what it finds."""
        start = max(self._entries, key=self._key)[0]
        criterion, scope = start.candidate.criterion, start.candidate.scope

        def value(ratios: Ratios) -> float:
            over = preview(self.graph, ratios).macs_removed - self._most
            if over > 0:  # not to be measured, and the further off the worse
                return -WORST * (1 + over)
            small = self._cut(ratios, criterion)
            if self._has_statistics:
                small = recalibrate_bn(small, self._task, images=self._settings.recalibration)
            return self._sign * self._metric(self._scores(small))

        found = yield from anneal(
            self.graph,
            self._budget,
            value,
            scope=scope,
            tries=self._settings.tries,
            seed=self._settings.seed,
            start=start.ratios,
        )
        if found.ratios is not None:
            self.enter(Candidate("annealing", criterion, scope, found.ratios), None)

    def best(self) -> Layer:
        """The chosen model as it was cut, its statistics estimated anew."""
        if not self._models:
            msg = "No candidate was measured."
            raise PlanError(msg)
        return self._models[self._chosen]

    def result(self) -> AutoResult:
        """The table so far."""
        if not self._entries:
            return AutoResult(metric=self._task.metric.name, left_out=tuple(self._left_out))
        # Sorting is stable: of equals the one that was entered first comes first.
        ordered = sorted(self._entries, key=lambda entry: -self._key(entry))
        chosen = self._entries[self._chosen]
        rest = [entry for entry in ordered if entry is not chosen]
        return AutoResult(
            tuple(entry for entry, _ in (chosen, *rest)),
            self._task.metric.name,
            self._why(chosen, rest),
            tuple(self._left_out),
            self.best(),
        )

    @property
    def _chosen(self) -> int:
        """Number of the candidate that was entered first of those as good as the best.

        The largest of several noisy numbers is so by luck as well. Where they can't be told apart,
        the order in which ways are tried says more: it is that of their accuracy after fine-tuning.
        """
        best = max(self._entries, key=self._key)
        return next(
            n
            for n, entry in enumerate(self._entries)
            if entry is best or self._lead(best, entry)[1] <= 0
        )

    def _lead(
        self, one: tuple[Tried, Scores], other: tuple[Tried, Scores]
    ) -> tuple[float, float, float]:
        """By how much a candidate is better than another, and the 95 % interval of that."""
        lead, *ends = (
            self._sign * v * self._task.metric.scale for v in paired_interval(one[1], other[1])
        )
        return lead, min(ends), max(ends)

    def _too_much(self, way: Candidate, seen: Preview) -> str:
        return (
            f"{way.name} removes {seen.macs_removed:.1%} of the MACs, more than the "
            f"{self._most:.1%} allowed: channels come in lumps; widen the range."
        )

    def _why(self, chosen: tuple[Tried, Scores], rest: Sequence[tuple[Tried, Scores]]) -> str:
        metric = self._task.metric
        head = (
            f"{chosen[0].candidate.name}: {metric.name} {chosen[0].re_estimated:.2f}{metric.unit}"
        )
        if not rest:
            return f"{head}; nothing else was tried."
        lead, low, high = self._lead(chosen, rest[0])
        where = "before" if lead >= 0 else "behind"
        sure = "clearly" if low > 0 else "not told from chance, but"
        tail = " Of such, the way that is tried first is chosen." if lead < 0 else ""
        return (
            f"{head}, {sure} {abs(lead):.2f} points {where} {rest[0][0].candidate.name} "
            f"({low:.2f} to {high:.2f}) on {len(chosen[1])} calibration images.{tail}"
        )

    def _cut(self, ratios: Ratios, criterion: str) -> Layer:
        plan = plan_pruning(self._model, self.graph, ratios, criterion, task=self._task)
        return prune(self._model, plan)

    def _scores(self, model: Layer) -> Scores:
        held = held_out(self._task)
        images = image_count(held, self._settings.images)
        return np.concatenate(list(per_image(model, held, images=images))).astype(np.float64)

    def _metric(self, scores: Scores) -> float:
        return float(scores.mean() * self._task.metric.scale)

    @property
    def _sign(self) -> float:
        return 1.0 if self._task.metric.higher_is_better else -1.0

    def _key(self, entry: tuple[Tried, Scores]) -> float:
        return self._sign * entry[0].re_estimated
