"""Floor 3. Scan files: tables read without model and data, and parts put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from paddle import Tensor

from slimlab.errors import ArtifactError
from slimlab.scan.board import Board
from slimlab.scan.records import Records, identity_of
from slimlab.sensitivity import Sensitivity
from slimlab.task import Metric


def about(table: Sensitivity, metric: Metric) -> dict[str, Any]:
    """What a file keeps so that `load_scan` can make the table again."""
    facts = replace(table, cells=(), baseline=0.0).to_dict()
    return {**facts, "scale": metric.scale}


def load_scan(path: str | Path) -> Sensitivity:
    """Read the table of a scan file, complete or not.

    Raises
    ------
    ArtifactError
        When there is no such file, it is damaged or it is no scan.

    Examples
    --------
    >>> import slimlab as sl, tempfile
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = folder + "/vgg.scan"
    ...     scan = sl.scan_sensitivity(
    ...         model, task, ratios=[0.5], images=50, path=path, progress=False
    ...     )
    ...     again = sl.load_scan(path)
    >>> again == scan
    True
    """
    return _table(Records(identity_of(path), path, write=False), str(path))


def merge_scans(paths: Sequence[str | Path], into: str | Path) -> Sensitivity:
    """Put scans of parts together: other layers, ratios or images of the same model and data.

    Parameters
    ----------
    paths
        Scan files; they are only read. Layers come in their order. Where several hold the same
        image of a cell, the first one's score is taken; what `into` holds already stays.
    into
        Where the whole is written; a scan file there is added to. A scan with this `path` goes on
        from it.

    Raises
    ------
    ArtifactError
        When a file is damaged or belongs to another model, data or settings; the difference is
        named. Nothing is written then.

    Examples
    --------
    >>> import slimlab as sl, tempfile
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     parts = [folder + "/a.scan", folder + "/b.scan"]
    ...     for part, ratio in zip(parts, (0.25, 0.5)):
    ...         _ = sl.scan_sensitivity(
    ...             model, task, ratios=[ratio], images=50, path=part, progress=False
    ...         )
    ...     sl.merge_scans(parts, folder + "/whole.scan").ratios
    (0.25, 0.5)
    """
    if not paths:
        msg = "There are no scans to merge: give the paths of scan files."
        raise ArtifactError(msg)
    identity = identity_of(paths[0])
    parts = [Records(identity, path, write=False) for path in paths]
    old = [Records(identity, into, write=False)] if Path(into).exists() else []
    whole = Records(identity)
    for part in [*old, *parts]:
        if part not in old or part.about:  # a scan that was killed at once says nothing yet
            _table(part, str(part.path))  # says so when it does not know what it measured
        whole.add(part.all())
    for part in reversed([*parts, *(one for one in old if one.about)]):
        whole.describe(part.about)
    table = _table(whole, str(into))
    # Nothing can be refused from here on: only now is there something to write.
    with Records(identity, into) as file:
        file.add(whole.all(), whole.about)
    return table


def _table(records: Records, what: str) -> Sensitivity:
    try:
        empty = replace(Sensitivity.from_dict(records.about), baseline=float("nan"))
        metric = Metric(
            empty.metric,
            _none,
            higher_is_better=empty.higher_is_better,
            unit=empty.unit,
            scale=float(records.about["scale"]),
        )
    except (ArtifactError, KeyError, TypeError, ValueError) as error:
        msg = f"{what} does not say what it measured: {error}."
        raise ArtifactError(msg) from error
    return Board(empty, metric, records, "float32").table


def _none(logits: Tensor, labels: Tensor) -> Tensor:
    raise NotImplementedError  # a table is read here, nothing is scored
