"""Floor 3. Measure how much accuracy each layer loses at each pruning ratio, one cell at a time.

Channels are zeroed in a scratch copy, which gives the same output as cutting them off. Knows
nothing of budgets or of how ratios are picked from the curves.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from paddle.nn import Layer

from slimlab.errors import ArtifactError, PlanError
from slimlab.evaluate import image_count, per_image
from slimlab.graph import ChannelGroup, Graph
from slimlab.grouping import trace
from slimlab.importance import channel_scores
from slimlab.plan import keep_highest, plan_kept
from slimlab.ratios import Ratios, Scope, kept_channels
from slimlab.sensitivity import Cell, Fingerprint, Sensitivity, paired_interval
from slimlab.steps import Step, Stopped, drain
from slimlab.surgery import Cut, zero
from slimlab.task import Metric, Task

Scores = NDArray[np.float32]
DEFAULT_RATIOS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def scan_sensitivity(  # noqa: PLR0913 - what the scan depends on, each with a default
    model: Layer,
    task: Task,
    *,
    ratios: Sequence[float] = DEFAULT_RATIOS,
    criterion: str = "l1_norm",
    scope: Scope | None = None,
    images: int | None = None,
    known: Sensitivity | None = None,
    progress: bool = True,
) -> Sensitivity:
    """Measure the drop of every layer at every ratio.

    Parameters
    ----------
    model
        It is not changed.
    task
        Whose test images and main metric are used.
    ratios
        Shares of a layer's channels to remove, each in (0, 1).
    criterion
        How channels are ranked; see `slimlab.importance.CRITERIA`.
    scope
        Layers to scan; all that can be pruned when None.
    images
        The first so many test images; all when None.
    known
        A scan of the same model, data and settings to go on from; its cells are not measured again.
    progress
        Show a progress bar.

    Raises
    ------
    PlanError
        For a ratio outside (0, 1), an unknown criterion or an empty scope.
    ArtifactError
        When `known` belongs to another model, other data or other settings; the difference is
        named.

    Examples
    --------
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> scan = sl.scan_sensitivity(model, task, ratios=[0.5], images=100, progress=False)
    >>> scan.complete, len(scan.to_frame()) == len(scan.layers)
    (True, True)
    """
    steps = iter_scan_sensitivity(
        model,
        task,
        ratios=ratios,
        criterion=criterion,
        scope=scope,
        images=images,
        known=known,
    )
    return drain(steps, progress=progress, title="Scan")


def iter_scan_sensitivity(
    model: Layer,
    task: Task,
    *,
    ratios: Sequence[float] = DEFAULT_RATIOS,
    criterion: str = "l1_norm",
    scope: Scope | None = None,
    images: int | None = None,
    known: Sensitivity | None = None,
) -> Generator[Step[Sensitivity], None, Sensitivity]:
    """Scan cell by cell; `done` counts cells, `item` is the table so far after each finished cell.

    Between cells it yields after every batch, so that a stop answers at once. Stopped early it
    returns the table with holes. The arguments are those of `scan_sensitivity`.

    Examples
    --------
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> steps = sl.iter_scan_sensitivity(model, task, ratios=[0.5], images=50)
    >>> for step in steps:
    ...     if step.done == 1:
    ...         break
    >>> len(sl.finish_early(steps).cells)
    1
    """
    graph = trace(model, task.example)
    groups = (scope or Scope()).groups(graph)
    grid = _checked_ratios(ratios)
    empty = Sensitivity(
        cells=(),
        layers=tuple(group.name for group in groups),
        ratios=grid,
        baseline=float("nan"),
        metric=task.metric.name,
        unit=task.metric.unit,
        criterion=criterion,
        images=image_count(task, images),
        fingerprint=Fingerprint(fingerprint(model), task.fingerprint()),
    )
    table = _resumed(empty, known)
    total = len(groups) * len(grid)
    have = {(cell.layer, cell.ratio): cell for cell in table.cells}
    scratch = copy.deepcopy(model)
    try:
        yield Step(len(have), total, "baseline", table if known is not None else None)
        whole: list[Scores] = []
        for batch in per_image(scratch, task, images=images):
            whole.append(batch)
            yield Step(len(have), total, "baseline")
        before = np.concatenate(whole)
        table = replace(table, baseline=float(before.mean() * task.metric.scale))
        yield Step(len(have), total, "baseline", table)
        for group in groups:
            missing = [ratio for ratio in grid if (group.name, ratio) not in have]
            for ratio, cuts in _cuts(model, graph, group, missing, criterion):
                seen: list[Scores] = []
                with _zeroed(scratch, model, cuts) as pruned:
                    for batch in per_image(pruned, task, images=images):
                        seen.append(batch)
                        yield Step(len(have), total, group.name)
                cell = _cell(group.name, ratio, (before, np.concatenate(seen)), task.metric)
                have[group.name, ratio] = cell
                table = replace(table, cells=_in_order(have, table))
                yield Step(len(have), total, group.name, table)
    except Stopped:
        pass
    return table


def fingerprint(model: Layer) -> str:
    """Hash of a model's tensors: names, shapes, types and values."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in model.state_dict().items():
        value = tensor.numpy()
        digest.update(f"{name}{value.shape}{value.dtype}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()


def _cell(layer: str, ratio: float, scores: tuple[Scores, Scores], metric: Metric) -> Cell:
    before, after = (s.astype(np.float64) for s in scores)
    drop, low, high = paired_interval(before, after)
    if not metric.higher_is_better:
        drop, low, high = -drop, -high, -low
    scale = metric.scale
    value = float(after.mean() * scale)
    return Cell(layer, ratio, value, drop * scale, low * scale, high * scale, len(after))


def _cuts(
    model: Layer, graph: Graph, group: ChannelGroup, ratios: Sequence[float], criterion: str
) -> Iterator[tuple[float, tuple[Cut, ...]]]:
    """The cuts of each ratio; the channels are ranked once."""
    if not ratios:
        return
    scores = channel_scores(model, group, criterion)
    for ratio in ratios:
        kept = {group.name: keep_highest(scores, kept_channels(group.width, ratio))}
        yield ratio, plan_kept(model, graph, kept, criterion=criterion).cuts


class _zeroed:  # noqa: N801 - a context manager
    """Zero cuts in a scratch copy of a model and put the model's own values back on exit."""

    def __init__(self, scratch: Layer, model: Layer, cuts: Sequence[Cut]) -> None:
        self.scratch, self.model, self.cuts = scratch, model, cuts

    def __enter__(self) -> Layer:
        zero(self.scratch, self.cuts)
        return self.scratch

    def __exit__(self, *_: object) -> None:
        source, target = self.model.state_dict(), self.scratch.state_dict()
        for name in {cut.parameter for cut in self.cuts}:
            target[name].set_value(source[name])


def _in_order(have: Mapping[tuple[str, float], Cell], table: Sensitivity) -> tuple[Cell, ...]:
    grid = ((layer, ratio) for layer in table.layers for ratio in table.ratios)
    return tuple(have[key] for key in grid if key in have)


def _checked_ratios(ratios: Sequence[float]) -> tuple[float, ...]:
    grid = tuple(sorted(Ratios({str(ratio): ratio for ratio in ratios}).values()))
    if not grid or grid[0] <= 0:
        msg = f"The scan needs pruning ratios in (0, 1); these were given: {list(ratios)}."
        raise PlanError(msg, ratios=tuple(ratios))
    return grid


def _resumed(empty: Sensitivity, known: Sensitivity | None) -> Sensitivity:
    if known is None:
        return empty
    for what, mine, theirs in (
        ("model's weights", empty.fingerprint.model, known.fingerprint.model),
        ("task's data", empty.fingerprint.task, known.fingerprint.task),
        ("metric", empty.metric, known.metric),
        ("criterion", empty.criterion, known.criterion),
        ("number of images", empty.images, known.images),
    ):
        if mine != theirs:
            msg = (
                f"The known scan can't be resumed: its {what} differs ({theirs} there, {mine} "
                "here). "
                "Scan without known=, or with the model, task and settings it was made with."
            )
            raise ArtifactError(msg, what=what, known=theirs, found=mine)
    grid = {(layer, ratio) for layer in empty.layers for ratio in empty.ratios}
    cells = {(c.layer, c.ratio): c for c in known.cells if (c.layer, c.ratio) in grid}
    return replace(empty, cells=_in_order(cells, empty), baseline=known.baseline)
