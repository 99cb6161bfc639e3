"""Floor 3. What a scan needs before its first image: the network in the form that is run fastest,
what is removed, what is known already.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from paddle import Tensor
from paddle.nn import Layer

from slimlab.errors import ArtifactError, UnsupportedOpError
from slimlab.evaluate import image_count
from slimlab.graph import Graph
from slimlab.grouping import trace
from slimlab.ratios import Scope
from slimlab.recalibrate import batch_norms, calibration_batches
from slimlab.runtimes import RUNTIMES, fastest
from slimlab.scan.blueprint import Blueprint, Calibration, Reads, choose, lowered
from slimlab.scan.board import Board, Wants
from slimlab.scan.files import about
from slimlab.scan.meters import Chunk, Meter, Recalibrated, Reference
from slimlab.scan.origin import origin_of
from slimlab.scan.records import Key, Records, check_same
from slimlab.scan.renewed import meter_of
from slimlab.scan.scoring import Scoring
from slimlab.scan.settings import REFERENCE, ScanSettings
from slimlab.sensitivity import Cell, Fingerprint, Sensitivity
from slimlab.surgery import Cut
from slimlab.task import Task

# MACs of a chunk: enough to keep the processor busy, few enough for a stop to answer at once.
CHUNK_MACS = 8e9
MOST = 256  # images of a chunk at most: the first one should be over soon
# OpenVINO runs segments in less time than ONNX Runtime, which is faster for whole networks: see
# docs/scan-speed.md.
ORDER = ("openvino", "onnxruntime")
CLOSE = 1e-3  # relative difference of logits above which a runtime is not trusted


@dataclass(frozen=True, eq=False)
class Setup:
    """A scan that is about to begin."""

    task: Task
    keys: tuple[Key, ...]
    board: Board
    records: Records
    scoring: Scoring
    meter: Meter
    batch: int
    wants: Wants

    def chunks(self) -> Iterator[tuple[int, NDArray[np.float32], Tensor]]:
        """Number of the first image, images and labels of each chunk."""
        start = 0
        for images, labels in self.task.test.batches(self.batch, images=self.wants.images):
            yield start, images.numpy(), labels
            start += len(labels)

    @property
    def total(self) -> int:
        """Images to measure over all cells, at most: a cell that is precise enough is over."""
        cells = map(self.board.cell, self.keys)
        return sum(
            self.wants.images if cell is None or self.wants.more(cell) else cell.images
            for cell in cells
        )

    def wanting(self, start: int, stop: int) -> list[Key]:
        """Cells that these images are still to be measured for."""
        return [
            key
            for key in self.keys
            if not self.board.has(key, start, stop) and self.wants.more(self.board.cell(key))
        ]


def prepare(model: Layer, task: Task, asked: ScanSettings) -> Setup:
    """Trace the network, rank its channels, make the meter and open the records."""
    graph = trace(model, task.example)
    groups = (asked.scope or Scope()).groups(graph)
    names = tuple(group.name for group in groups)
    scoring = Scoring.of(task, asked.metric)
    kept, cuts = choose(model, task, graph, groups, asked.grid, asked.criterion)
    images = image_count(task, asked.images)
    batch = _chunk_size(graph, asked.memory, images)
    reads = {group.name: Reads.of(group) for group in groups}

    def drawn(runtime: str) -> Blueprint:
        network = lowered(model, task.example, batch)
        plain = Blueprint(network, batch, reads, kept, cuts, runtime, asked.dtype, asked.memory)
        if not asked.recalibrate_bn:
            return plain
        return replace(plain, calibration=_calibration(model, task, graph, asked))

    meter = _meter(model, task, asked, cuts, drawn)
    empty = Sensitivity(
        cells=(),
        layers=names,
        ratios=asked.grid,
        baseline=float("nan"),
        metric=scoring.metric.name,
        unit=scoring.metric.unit,
        criterion=asked.criterion,
        images=images,
        fingerprint=Fingerprint(
            fingerprint(model), task.fingerprint(), origin_of(scoring.metric).get("metric_code", "")
        ),
        higher_is_better=scoring.metric.higher_is_better,
        runtime=REFERENCE if meter.blueprint is None else meter.blueprint.runtime,
        recalibrate_bn=asked.recalibrate_bn,
    )
    records = Records(identity(empty), asked.path)
    records.describe(about(empty, scoring.metric))
    board = Board(empty, scoring.metric, records, asked.dtype)
    if asked.known is not None:
        board.give(_finished(empty, asked.known), asked.known.baseline)
    return Setup(
        task=task,
        keys=tuple((name, ratio) for name in names for ratio in asked.grid),
        board=board,
        records=records,
        scoring=scoring,
        meter=meter,
        batch=batch,
        wants=Wants(images, asked.precision, asked.decide),
    )


def _meter(
    model: Layer,
    task: Task,
    asked: ScanSettings,
    cuts: Mapping[tuple[str, float], tuple[Cut, ...]],
    drawn: Callable[[str], Blueprint],
) -> Meter:
    """What measures: the first runtime that gives what the model gives, or Paddle, with a warning.

    Raises
    ------
    TaskError
        When no runtime here computes in the precision that is asked for.
    UnsupportedOpError
        When the runtime or precision that was asked for can't run the network.
    """
    reference = (
        Recalibrated(model, cuts, task, asked.recalibrate_bn)
        if asked.recalibrate_bn
        else Reference(model, cuts)
    )
    if asked.runtime == REFERENCE:
        return reference
    first = fastest(asked.dtype, ORDER if asked.runtime is None else (asked.runtime,)).name
    others = [n for n in ORDER if asked.dtype in RUNTIMES[n].dtypes and n != first]
    why = UnsupportedOpError("")
    for name in (first, *(others if asked.runtime is None else ())):
        try:
            meter = meter_of(drawn(name))
            _check(meter, reference, task, asked)
        except UnsupportedOpError as error:
            why = error
        else:
            return meter
    if asked.runtime is not None or asked.dtype != "float32":
        raise why
    warnings.warn(f"This scan runs in Paddle, which is slow. {why}", stacklevel=5)
    return reference


def _calibration(model: Layer, task: Task, graph: Graph, asked: ScanSettings) -> Calibration:
    """The images that statistics are estimated on, and the network for all of them at once.

    Raises
    ------
    UnsupportedOpError
        When what the network makes of them does not fit into memory.
    """
    count = asked.recalibrate_bn
    (x,) = calibration_batches(task, images=count, batch_size=count)
    images = np.ascontiguousarray(x.numpy())
    if len(images) > asked.memory // 2 // max(1, 8 * _values(graph)):
        msg = (
            f"{len(images)} calibration images at once do not fit into memory={asked.memory}: give "
            "fewer with recalibrate_bn=, or more memory."
        )
        raise UnsupportedOpError(msg, images=len(images), memory=asked.memory)
    network = lowered(model, task.example, len(images))
    return Calibration(images, network, tuple(batch_norms(model)))


def fingerprint(model: Layer) -> str:
    """Hash of a model's tensors: names, shapes, types and values."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in model.state_dict().items():
        value = tensor.numpy()
        digest.update(f"{name}{value.shape}{value.dtype}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()


def identity(table: Sensitivity) -> dict[str, str]:
    """What scores depend on beside layer, ratio, image and precision."""
    facts = {
        "model": table.fingerprint.model,
        "task": table.fingerprint.task,
        "metric": table.metric,
        "criterion": table.criterion,
        "recalibrate_bn": str(table.recalibrate_bn),
    }
    user = {"metric_code": table.fingerprint.metric} if table.fingerprint.metric else {}
    return {**facts, **user}


def _chunk_size(graph: Graph, memory: int, images: int) -> int:
    """Images of a chunk: as many as are measured in a moment and fit into memory, and all chunks
    alike, since the last one costs as much as a full one.
    """
    # What each layer gives, and as much again for what its activation makes of it.
    fit = memory // 2 // max(1, 8 * _values(graph))
    most = int(max(1, min(MOST, max(8, CHUNK_MACS // max(1, graph.macs)), fit)))
    return -(-images // -(-images // most))


def _values(graph: Graph) -> int:
    """Numbers that the layers give for an image."""
    return sum(int(np.prod(row.output[1:], dtype=np.int64)) for row in graph.profile.layers)


def _check(fast: Meter, reference: Reference, task: Task, asked: ScanSettings) -> None:
    """Compare the runtime's logits with the model's own on a few images.

    Raises
    ------
    UnsupportedOpError
        When they differ: such a runtime is not used.
    """
    images = next(iter(task.test.batches(2, images=2)))[0].numpy()
    chunk = Chunk(-1, images)
    expected, found = reference.whole(chunk), fast.whole(chunk)
    error = float(np.abs(found - expected).max() / max(1e-6, float(np.abs(expected).max())))
    if not error < (CLOSE if asked.dtype == "float32" else 0.1):
        msg = (
            f"The runtime's outputs differ from the model's by {error:.2g} of the largest logit; "
            "please report this network."
        )
        raise UnsupportedOpError(msg, error=error)


def _finished(empty: Sensitivity, known: Sensitivity) -> list[Cell]:
    """The cells of a known scan that need not be measured again.

    Raises
    ------
    ArtifactError
        When it is a scan of something else.
    """
    check_same(identity(empty), identity(known), "The known scan")
    if empty.images != known.images:
        msg = (
            f"The known scan can't be gone on with: its number of images differs ({known.images} "
            f"there, {empty.images} here). Use path= to measure more images of a scan."
        )
        raise ArtifactError(msg, known=known.images, found=empty.images)
    return [cell for cell in known.cells if cell.images == known.images]
