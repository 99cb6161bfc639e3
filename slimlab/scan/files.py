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
    with Records(identity_of(path), path) as records:
        return _table(records, str(path))


def merge_scans(paths: Sequence[str | Path], into: str | Path) -> Sensitivity:
    """Put scans of parts together: other layers, ratios or images of the same model and data.

    Parameters
    ----------
    paths
        Scan files.
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
    opened = []
    try:
        for path in paths:
            identity_of(path)  # says so when there is no such file
            opened.append(Records(identity, path))
        with Records(identity, into) as whole:
            sources = [*opened, whole] if whole.about else opened
            whole.describe(_union([one.about for one in sources], str(into)))
            whole.add(record for part in opened for record in part.all())
            return _table(whole, str(into))
    finally:
        for part in opened:
            part.close()


def _union(parts: Sequence[dict[str, Any]], what: str) -> dict[str, Any]:
    try:
        return {
            **parts[0],
            "layers": list(dict.fromkeys(n for part in parts for n in part["layers"])),
            "ratios": sorted({ratio for part in parts for ratio in part["ratios"]}),
            "images": max(part["images"] for part in parts),
        }
    except (KeyError, TypeError) as error:
        msg = f"A part of {what} does not say what it measured: {error}."
        raise ArtifactError(msg) from error


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
