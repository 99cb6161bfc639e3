"""Floor 2. An exported folder compared once more with the model it is said to come from."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import paddle
from paddle import Tensor
from paddle.nn import Layer

from slimlab.errors import ArtifactError, ExportError
from slimlab.export.exporting import KIND
from slimlab.export.formats import Format, Subject, format_named
from slimlab.export.parity import Parity, first_difference, iter_parity
from slimlab.export.report import ExportReport
from slimlab.export.trials import Trials
from slimlab.latency import Latency
from slimlab.steps import Step, drain
from slimlab.store import read_folder
from slimlab.task import Task


def verify_export(
    folder: str | Path,
    model: Layer,
    *,
    task: Task | None = None,
    images: int | None = None,
    progress: bool = True,
) -> ExportReport:
    """Load an exported file in a fresh process, and compare it with a model.

    Parameters
    ----------
    folder
        What `export` wrote; every file is checked against its hash first.
    model
        What it should be the same as. It is not changed.
    task
        Whose test images and main metric are compared; without one, outputs for noise are.
    images
        Only the first so many test images; all when None.
    progress
        Show a progress bar.

    Returns
    -------
    ExportReport
        `parity.holds` says whether they agree, and `parity.first_difference` names the first layer
        that does not.

    Raises
    ------
    ArtifactError
        When the folder is missing, damaged, edited, or no export.
    ExportError
        When the runtime can't run the file, or it takes another input than the task gives.

    Examples
    --------
    >>> import tempfile, slimlab as sl
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> with tempfile.TemporaryDirectory() as place:
    ...     folder = sl.export(model, place + "/vgg", task, runs=0, progress=False).folder
    ...     report = sl.verify_export(folder, model, task=task, progress=False)
    >>> report.parity.holds, report.parity.first_difference
    (True, '')
    """
    steps = iter_verify_export(folder, model, task=task, images=images)
    return drain(steps, progress=progress, title="Verify")


def iter_verify_export(
    folder: str | Path, model: Layer, *, task: Task | None = None, images: int | None = None
) -> Generator[Step[Parity], None, ExportReport]:
    """Verify step by step; `done` counts images. The arguments are those of `verify_export`.

    Examples
    --------
    >>> import slimlab as sl
    >>> next(sl.iter_verify_export("no/such/folder", sl.load_model("vgg", sl.load_task("digits"))))
    Traceback (most recent call last):
    slimlab.errors.ArtifactError: no/such/folder is no SlimLab folder: there is no such folder.
    """
    manifest, files = read_folder(folder, KIND)
    kind, names = _known(folder, manifest)
    trials = Trials.of(task or _examples(folder, manifest), model, images)
    _check_inputs(folder, manifest, trials)
    subject = Subject.of(model, trials.examples)
    file = Path(folder).absolute() / names[0]
    exact = bool(manifest["parity"]["exact"])
    parity = yield from iter_parity(
        subject.model, file, kind.runtime, trials, exact=exact, others=kind.timed
    )
    if not parity.holds:
        first = first_difference(subject.model, file, kind.runtime, trials, manifest["layers"])
        parity = replace(parity, first_difference=first)
    times, before = (
        tuple(Latency(**one) for one in manifest[key]) for key in ("latency", "float_latency")
    )
    sizes = {name: len(files[name]) for name in names}
    return ExportReport(
        Path(folder).absolute(), kind.name, sizes, manifest["float_bytes"], parity, times, before
    )


def _known(folder: str | Path, manifest: Mapping[str, Any]) -> tuple[Format, list[str]]:
    """The format, and the names of the model's files."""
    names = manifest.get("model_files")
    if manifest.get("version") != 1 or not names:
        msg = (
            f"{folder} was exported by another version of SlimLab (its version is "
            f"{manifest.get('version')}); this one reads version 1."
        )
        raise ArtifactError(msg, path=str(folder), version=manifest.get("version"))
    return format_named(str(manifest["format"])), list(names)


def _examples(folder: str | Path, manifest: Mapping[str, Any]) -> list[Tensor]:
    return [paddle.zeros([1, *one["shape"][1:]], dtype=one["dtype"]) for one in manifest["inputs"]]


def _check_inputs(folder: str | Path, manifest: Mapping[str, Any], trials: Trials) -> None:
    wanted = [one["shape"][1:] for one in manifest["inputs"]]
    given = [list(map(int, x.shape[1:])) for x in trials.examples]
    if wanted != given:
        msg = (
            f"{folder} takes inputs of shape {[['n', *shape] for shape in wanted]}, but the images "
            f"given have {[['n', *shape] for shape in given]}. Use the task that it is for."
        )
        raise ExportError(msg, wanted=wanted, given=given)
