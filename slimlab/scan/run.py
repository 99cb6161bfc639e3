"""Floor 3. The scan itself: chunk by chunk of images, so that every layer soon has a coarse curve.

Puts the parts together and knows none of their insides.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from paddle.nn import Layer

from slimlab.options import takes
from slimlab.scan.cluster import measured_by
from slimlab.scan.meters import Chunk
from slimlab.scan.records import WHOLE, Record
from slimlab.scan.settings import ScanSettings
from slimlab.scan.setup import Setup, prepare
from slimlab.scan.steps import Pace, ScanStep
from slimlab.sensitivity import Sensitivity
from slimlab.steps import Stopped, drain
from slimlab.task import Task


@takes(ScanSettings)
def scan_sensitivity(
    model: Layer, task: Task, *, progress: bool = True, **settings: Any
) -> Sensitivity:
    """Measure the drop of every layer at every ratio.

    Parameters
    ----------
    model
        It is not changed.
    task
        Whose test images and metric are used.
    progress
        Show a progress bar.
    settings
        Fields of `ScanSettings`, which says what each does.

    Raises
    ------
    PlanError
        For a ratio outside (0, 1), an unknown criterion or an empty scope.
    ArtifactError
        When `known` or the file at `path` belongs to another model, other data or other settings;
        the difference is named.
    TaskError
        When the model's output doesn't fit the task, or a precision isn't there on this machine.

    Examples
    --------
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> scan = sl.scan_sensitivity(model, task, ratios=[0.5], images=100, progress=False)
    >>> scan.complete, len(scan.to_frame()) == len(scan.layers)
    (True, True)
    """
    return drain(iter_scan_sensitivity(model, task, **settings), progress=progress, title="Scan")


@takes(ScanSettings)
def iter_scan_sensitivity(
    model: Layer, task: Task, **settings: Any
) -> Generator[ScanStep, None, Sensitivity]:
    """Scan step by step; `done` counts images over all cells, `item` is the table so far.

    A first chunk of images gives every layer its curve, and each further chunk makes all of them
    more certain. Stopped early it returns the table as it is then. The arguments are those of
    `scan_sensitivity`.

    Examples
    --------
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> steps = sl.iter_scan_sensitivity(model, task, ratios=[0.5], images=50)
    >>> for step in steps:
    ...     if step.cells == 1:
    ...         break
    >>> len(sl.finish_early(steps).cells)
    1
    """
    asked = ScanSettings(**settings)
    setup = prepare(model, task, asked)
    with setup.records:
        return (yield from _announced(setup, asked))


def _announced(setup: Setup, asked: ScanSettings) -> Generator[ScanStep, None, Sensitivity]:
    """Keep what is measured, and say so, until all is there or it is asked to stop."""
    board = setup.board
    pace = Pace(board.images)
    records = _measured(setup) if asked.client is None else measured_by(asked.client, setup)
    try:
        yield _step(setup, pace, "baseline", board.table)
        for record in records:
            if record is None:
                yield _step(setup, pace, "waiting for workers", board.table)
            else:
                table = board.add([record])
                yield _step(setup, pace, record.key[0] or "baseline", table)
            whole = record is not None and record.key == WHOLE
            if asked.seconds is not None and not whole and pace.seconds > asked.seconds:
                break
    except Stopped:
        pass
    finally:
        records.close()
    return board.table


def _measured(setup: Setup) -> Generator[Record | None, None, None]:
    """Measure all that is wanted here, a chunk of images after the other."""
    dtype = setup.board.dtype
    for start, images, labels in setup.chunks():
        keys = setup.wanting(start, start + len(images))
        if not keys:
            continue
        chunk = Chunk(start, images)
        whole = setup.meter.whole(chunk)
        yield Record(WHOLE, dtype, start, setup.scoring.before(whole, labels))
        for key in keys:
            logits = setup.meter.pruned(chunk, *key)
            yield Record(key, dtype, start, setup.scoring.after(logits, labels, whole))


def _step(setup: Setup, pace: Pace, label: str, table: Sensitivity) -> ScanStep:
    return pace.step(setup.board.images, setup.total, label, table, len(table.cells))
