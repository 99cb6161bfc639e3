"""Floor 2. Write a network in a format, check it in a fresh process, and move it into place."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from paddle.nn import Layer

from slimlab.errors import ExportError
from slimlab.export.formats import Format, Subject, Written, format_named
from slimlab.export.fresh import loaded
from slimlab.export.parity import Parity, first_difference, iter_parity
from slimlab.export.readme import README, readme
from slimlab.export.report import ExportReport
from slimlab.export.trials import Data, Trials
from slimlab.latency import Latency
from slimlab.quantize import is_quantized, layout_of
from slimlab.steps import Step, drain
from slimlab.store import check_free, write_folder
from slimlab.zoo.origin import origin_of

KIND = "export"


def export(
    model: Layer,
    folder: str | Path,
    data: Data = None,
    *,
    format: str = "onnx",
    images: int | None = None,
    runs: int = 20,
    progress: bool = True,
) -> ExportReport:
    """Write a model for a runtime, and check that it is the same there before it is kept.

    Parameters
    ----------
    model
        In float, pruned or quantized. It is not changed.
    folder
        Where; it appears whole or not at all: model file(s), `slimlab.json` (what it is, how it was
        made, how far it agrees, sizes, times, hashes) and a README with the code that runs it. An
        earlier export there is replaced.
    data
        A task, whose test images and main metric the file is checked on; or an example input with
        batch 1 (or several for several inputs), around which noise is tried. None for a network of
        the zoo, whose constructor says what its input looks like.
    format
        - `"onnx"`: opset 17, for ONNX Runtime, OpenVINO and others, for any number of images.
        - `"onnx-int8"`: the same for a quantized model; weights are int8 initializers.
        - `"paddle-float"`: a program and its parameters in float32, in the format of Paddle 1 and
          2, for Paddle Inference and others that read it; a quantized model computes on its grids.
          A second program lets `paddle.jit.load` of Paddle 3 read a model in float.
        - `"paddle-int8"`: the same for a quantized model, with weights stored as int8.
        - `"paddle-lite"`: the same in the form that Paddle Lite's optimizer makes int8 kernels of;
          activations with stored scales of 8 bits only.
    images
        Check on so many test images; on all when None.
    runs
        Timed passes of one image in each runtime; 0 for none.
    progress
        Show a progress bar.

    Raises
    ------
    ExportError
        When the format is unknown or not for this model, or the file does not agree with the model:
        the first layer that differs is named, and nothing is left behind.
    UnsupportedOpError
        When an operator of the model can't be written in the format.
    ArtifactError
        When the folder is taken by something else, or can't be written.

    Examples
    --------
    >>> import tempfile, slimlab as sl
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("resnet20", task)
    >>> with tempfile.TemporaryDirectory() as place:
    ...     report = sl.export(model, place + "/resnet20", task, format="onnx", progress=False)
    ...     names = sorted(path.name for path in report.folder.iterdir())
    >>> names
    ['README.md', 'model.onnx', 'slimlab.json']
    >>> report.parity.file_value == report.parity.model_value
    True
    """
    steps = iter_export(model, folder, data, format=format, images=images, runs=runs)
    return drain(steps, progress=progress, title="Export")


def iter_export(
    model: Layer,
    folder: str | Path,
    data: Data = None,
    *,
    format: str = "onnx",
    images: int | None = None,
    runs: int = 20,
) -> Generator[Step[Parity], None, ExportReport]:
    """Export step by step; `done` counts checked images, `item` holds the agreement so far.

    Stopped early it writes nothing and raises `Stopped`. The arguments are those of `export`.

    Examples
    --------
    >>> import tempfile, slimlab as sl
    >>> model = sl.load_model("vgg", sl.load_task("digits"))
    >>> with tempfile.TemporaryDirectory() as place:
    ...     steps = [step.label for step in sl.iter_export(model, place + "/vgg", runs=1)]
    >>> steps[0], steps[-1]
    ('write', 'check')
    """
    kind = format_named(format)
    target = Path(folder).absolute()
    check_free(target)
    trials = Trials.of(data, model, images)
    yield Step(0, trials.images, "write")
    subject = Subject.of(model, trials.examples)
    exact = _checked_kind(subject.model, kind)
    written = kind.write(subject)
    with tempfile.TemporaryDirectory() as aside:
        file = _put(Path(aside), written.files)
        parity = yield from iter_parity(
            subject.model, file, kind.runtime, trials, exact=exact, others=kind.timed
        )
        if not parity.holds:
            first = first_difference(subject.model, file, kind.runtime, trials, written.layers)
            raise _out_of_tolerance(kind, target, replace(parity, first_difference=first))
        times = tuple(measure(file, name, trials, runs) for name in kind.timed if runs)
    sizes = {name: len(content) for name, content in written.files.items()}
    float_bytes: int = sum(sizes.values())
    before: tuple[Latency, ...] = ()
    if not exact:
        float_bytes, before = _measured_in_float(subject, kind, trials, runs)
    report = ExportReport(target, kind.name, sizes, float_bytes, parity, times, before)
    _keep(report, written, kind, subject, trials)
    return report


def _measured_in_float(
    subject: Subject, kind: Format, trials: Trials, runs: int
) -> tuple[int, tuple[Latency, ...]]:
    """Bytes and times of the same network in float, in the same kind of file."""
    written = kind.write(subject.in_float())
    with tempfile.TemporaryDirectory() as aside:
        file = _put(Path(aside), written.files)
        times = tuple(measure(file, name, trials, runs) for name in kind.timed if runs)
    return sum(map(len, written.files.values())), times


def _checked_kind(model: Layer, kind: Format) -> bool:
    """Whether a model computes on no grid; refuse a format that is for those that do."""
    exact = not is_quantized(model)
    if kind.quantized and exact:
        other = "paddle-float" if kind.name.startswith("paddle") else "onnx"
        msg = (
            f"Format {kind.name!r} is for quantized models, and this {type(model).__name__} is in "
            f"float. Use sl.quantize first, or format={other!r}."
        )
        raise ExportError(msg, format=kind.name)
    return exact


def _put(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write files; give the first."""
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder / next(iter(files))


def _out_of_tolerance(kind: Format, target: Path, parity: Parity) -> ExportError:
    msg = (
        f"The {kind.name} file does not compute what the model computes: {parity}. Nothing was "
        f"written to {target}."
    )
    return ExportError(
        msg, format=kind.name, parity=parity, layer=parity.first_difference, path=str(target)
    )


def measure(file: Path, runtime: str, trials: Trials, runs: int) -> Latency:
    """Time a file with one image in a fresh process, as users would run it."""
    inputs, _ = next(iter(trials.batches(1)))
    with loaded(file, runtime) as fresh:
        seconds = fresh.seconds([x.numpy()[:1] for x in inputs], runs)
    low, median, high = np.percentile(np.array(seconds) * 1e3, [25, 50, 75])
    return Latency(float(median), float(low), float(high), runs, 1, runtime)


def _keep(
    report: ExportReport, written: Written, kind: Format, subject: Subject, trials: Trials
) -> None:
    text = readme(report, kind, subject)
    facts = _facts(report, written, kind, subject, trials)
    write_folder(report.folder, KIND, facts, {**written.files, README: text.encode()})


def _facts(
    report: ExportReport, written: Written, kind: Format, subject: Subject, trials: Trials
) -> dict[str, Any]:
    origin, task = origin_of(subject.model), trials.task
    return {
        "version": 1,
        "format": kind.name,
        "runtime": kind.runtime,
        "made_with": {name: version(name) for name in ("slimlab", "paddlepaddle", "onnx")},
        "model": type(subject.model).__name__,
        "origin": origin.to_dict() if origin else None,
        "quantized": None if (laid := layout_of(subject.model)) is None else laid.to_dict(),
        "task": None if task is None else {"name": task.name, "fingerprint": task.fingerprint()},
        "inputs": [_described(x.shape, str(x.dtype)) for x in subject.examples],
        "model_files": list(written.files),
        "layers": dict(written.layers),
        "parity": _told(asdict(report.parity)),
        "bytes": report.bytes,
        "float_bytes": report.float_bytes,
        "latency": [asdict(one) for one in report.latency],
        "float_latency": [asdict(one) for one in report.float_latency],
    }


def _told(value: dict[str, Any]) -> dict[str, Any]:
    """A value for JSON, which has no NaN and nothing infinite."""
    listed = [_told(one) for one in value.get("elsewhere", ())]
    finite = {k: v for k, v in value.items() if not isinstance(v, float) or math.isfinite(v)}
    kept = {k: v for k, v in finite.items() if k != "elsewhere"}
    return {**kept, "elsewhere": listed} if listed else kept


def _described(shape: Sequence[int], dtype: str) -> dict[str, Any]:
    return {"shape": ["batch", *map(int, shape[1:])], "dtype": dtype.rpartition(".")[2]}
