"""Floor 3. Logits of a network with one group's channels masked, for a chunk of images.

Two meters give the same numbers: `Reference` runs the model itself in Paddle with the channels
zeroed, `Fast` runs segments of the network on a runtime. Neither knows metrics or tables.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Protocol

import numpy as np
import onnx
import paddle
from numpy.typing import NDArray
from onnx import numpy_helper
from paddle.nn import Layer

from slimlab.errors import UnsupportedOpError
from slimlab.evaluate import inference
from slimlab.recalibrate import RunningAverage, calibration_batches
from slimlab.runtimes import RUNTIMES, Compiled
from slimlab.scan.blueprint import Blueprint
from slimlab.scan.network import OUTPUT, Network, Part
from slimlab.scan.segments import Segment, segment
from slimlab.scan.stages import shared
from slimlab.surgery import Cut, zero
from slimlab.task import Task

Logits = NDArray[np.float32]
# Times its weights that a compiled network holds: a runtime lays them out anew and may keep both.
HELD = 3
CARRIED = {"float32": onnx.TensorProto.FLOAT, "bfloat16": onnx.TensorProto.BFLOAT16}


@dataclass(frozen=True, eq=False)
class Chunk:
    """Consecutive test images.

    Attributes
    ----------
    start
        Number of the first.
    images
        ``(n, channels, height, width)``.
    """

    start: int
    images: NDArray[np.float32]


class Meter(Protocol):
    """Gives logits ``(n, classes)`` of a chunk.

    Attributes
    ----------
    blueprint
        With which another process can make it; None where it is bound to the model.
    """

    @property
    def blueprint(self) -> Blueprint | None:
        """With which another process can make it."""
        ...

    def whole(self, chunk: Chunk) -> Logits:
        """Of the network as it is."""
        ...

    def pruned(self, chunk: Chunk, group: str, ratio: float) -> Logits:
        """Of the network without the channels that go at this ratio."""
        ...


class Reference:
    """The model itself, in Paddle; slow, and right by construction."""

    blueprint = None

    def __init__(self, model: Layer, cuts: Mapping[tuple[str, float], tuple[Cut, ...]]) -> None:
        self._model = model
        self._scratch = copy.deepcopy(model)
        self._cuts = cuts

    def whole(self, chunk: Chunk) -> Logits:
        """Run the model as it is."""
        with inference(self._scratch):
            made: Logits = self._scratch(paddle.to_tensor(chunk.images)).numpy()
        return made

    def pruned(self, chunk: Chunk, group: str, ratio: float) -> Logits:
        """Run a copy with the channels' weights zeroed."""
        with self._zeroed(self._cuts[group, ratio]):
            return self.whole(chunk)

    @contextmanager
    def _zeroed(self, cuts: Sequence[Cut]) -> Iterator[None]:
        zero(self._scratch, cuts)
        try:
            yield
        finally:
            source, target = self._model.state_dict(), self._scratch.state_dict()
            for name in {cut.parameter for cut in cuts}:
                target[name].set_value(source[name])


class Recalibrated(Reference):
    """The model in Paddle, with its BatchNorm statistics estimated anew for each pruned network."""

    def __init__(
        self,
        model: Layer,
        cuts: Mapping[tuple[str, float], tuple[Cut, ...]],
        task: Task,
        images: int,
    ) -> None:
        super().__init__(model, cuts)
        self._calibration = list(calibration_batches(task, images=images, batch_size=images))
        self._statistics: dict[tuple[str, float], dict[str, NDArray[np.float32]]] = {}

    def pruned(self, chunk: Chunk, group: str, ratio: float) -> Logits:
        """Run a copy with the channels' weights zeroed and statistics of its own."""
        source, target = self._model.state_dict(), self._scratch.state_dict()
        names = [n for n in source if n.endswith(("._mean", "._variance"))]
        with self._zeroed(self._cuts[group, ratio]):
            try:
                if (group, ratio) not in self._statistics:
                    average = RunningAverage(self._scratch)
                    for x in self._calibration:
                        average.add(x)
                    self._statistics[group, ratio] = {n: target[n].numpy() for n in names}
                for name, value in self._statistics[group, ratio].items():
                    target[name].set_value(value)
                return self.whole(chunk)
            finally:
                for name in names:
                    target[name].set_value(source[name])


class Fast:
    """Segments of the network on a runtime.

    What comes before a group's readers is computed once a chunk. A group whose channels are summed
    without a weight (the product of queries and keys) can't be masked at its readers alone: for
    such, the network with zeroed weights is compiled for each ratio.

    Parameters
    ----------
    blueprint
        The network.
    also
        Values that are wanted beside the output.
    """

    def __init__(self, blueprint: Blueprint, also: Sequence[str] = ()) -> None:
        self.blueprint, self._also = blueprint, tuple(also)
        self.more: dict[str, NDArray[np.float32]] = {}  # what the network takes beside images
        self._runtime = RUNTIMES[blueprint.runtime]
        self._most = blueprint.memory // 2  # the other half is for what layers give
        self._compiled: OrderedDict[object, tuple[Compiled, int]] = OrderedDict()
        self._resting: Part | None = None  # the group's own part that was run last
        self._border: tuple[int, dict[str, NDArray[np.float32]]] | None = None

    @cached_property
    def _network(self) -> Network:
        model = onnx.ModelProto.FromString(self.blueprint.network)
        carried = CARRIED[self.blueprint.dtype] if self._runtime.channels_last else None
        return Network(model, carried, self._also)

    @cached_property
    def _segments(self) -> dict[str, Segment | None]:
        found = {
            name: segment(self._network, name, reads.readers, reads.makers)
            for name, reads in self.blueprint.groups.items()
        }
        return shared(self._network, found, self._most // HELD)

    @cached_property
    def _outputs(self) -> list[str]:
        """What the run of the whole network gives: the logits, then all that segments take."""
        found = [s.border for s in self._segments.values() if s is not None]
        names = dict.fromkeys(name for border in found for name in border)
        entries = {info.name for info in self._network.model.graph.input}
        return [OUTPUT, *self._also, *(name for name in names if name not in entries)]

    def whole(self, chunk: Chunk) -> Logits:
        """Run the network, and keep what its segments will take."""
        return self.values(chunk)[OUTPUT][: len(chunk.images)]

    def pruned(self, chunk: Chunk, group: str, ratio: float) -> Logits:
        """Run the group's segment on what `whole` kept."""
        cut = self._segments[group]
        if cut is not None:
            try:
                return self.masked(chunk, cut, ratio, {})[OUTPUT][: len(chunk.images)]
            except UnsupportedOpError:  # the runtime can't run this part of the network
                self._segments[group] = None
        run = self._keep((group, ratio), lambda: self._zeroed(group, ratio))
        return run([self._padded(chunk)])[0][: len(chunk.images)]

    def segment(self, group: str) -> Segment | None:
        """What is run again for a group; None where masking its readers is not enough."""
        return self._segments[group]

    def masked(
        self, chunk: Chunk, cut: Segment, ratio: float, more: Mapping[str, NDArray[np.float32]]
    ) -> dict[str, NDArray[np.float32]]:
        """What a segment gives, by name; `more` is taken instead of what the whole network took."""
        values = {**self.values(chunk), **more}
        if self._resting is not cut.parts[0]:
            self._rest(self._resting)
            self._resting = cut.parts[0]
        values.update(cut.masks(self.blueprint.kept[cut.group, ratio]))
        made: dict[str, NDArray[np.float32]] = {}
        for part in cut.parts:
            run = self._keep(part, partial(self._network.build, part))
            given = run([values[name] for name in part.inputs])
            made.update(zip(part.outputs, given, strict=True))
            values.update(made)
        return made

    def values(self, chunk: Chunk) -> dict[str, NDArray[np.float32]]:
        """What the whole network gives of a chunk that fills the batch, and what it took."""
        if self._border is None or self._border[0] != chunk.start:
            self._border = None  # give the memory back first
            image, *others = (one.name for one in self._network.model.graph.input)
            taken = {image: self._padded(chunk), **{name: self.more[name] for name in others}}
            made = self._keep("", self._prefix)(list(taken.values()))
            self._rest("")
            values = dict(zip(self._outputs, made, strict=True))
            self._border = (chunk.start, {**taken, **values})
        return self._border[1]

    def _prefix(self) -> onnx.ModelProto:
        network = self._network
        entries = tuple(info.name for info in network.model.graph.input)
        nodes = (*network.nodes, *network.handing(self._outputs))
        return network.build(Part("whole", nodes, entries, tuple(self._outputs)))

    def _zeroed(self, group: str, ratio: float) -> onnx.ModelProto:
        model: onnx.ModelProto = onnx.ModelProto.FromString(self.blueprint.network)
        tensors = {one.name: one for one in model.graph.initializer}
        for cut in self.blueprint.cuts[group, ratio]:
            if cut.parameter in tensors and not cut.parameter.endswith("._variance"):
                value = np.array(numpy_helper.to_array(tensors[cut.parameter]))
                np.moveaxis(value, cut.axis, 0)[list(cut.removed)] = 0
                tensors[cut.parameter].CopyFrom(numpy_helper.from_array(value, cut.parameter))
        return model

    def _keep(self, key: object, model: Callable[[], onnx.ModelProto]) -> Compiled:
        """Compile once; the least used are forgotten when their weights take too much memory."""
        if key not in self._compiled:
            made, one = model(), self.blueprint
            run = self._runtime.compile(made, dtype=one.dtype, threads=one.threads)
            size = HELD * sum(len(w.raw_data) for w in made.graph.initializer)
            self._compiled[key] = (run, size)
            while len(self._compiled) > 1 and self._held > self._most:
                self._compiled.popitem(last=False)
        run = self._compiled[key][0]
        self._compiled.move_to_end(key)
        return run

    def _rest(self, key: object) -> None:
        """What is not run for a while keeps nothing but weights."""
        if key in self._compiled:
            self._compiled[key][0].rest()

    @property
    def _held(self) -> int:
        return sum(size for _, size in self._compiled.values())

    def _padded(self, chunk: Chunk) -> NDArray[np.float32]:
        """The images, filled up to the batch that the network takes; images don't meet."""
        missing = self.blueprint.batch - len(chunk.images)
        if not missing:
            return np.ascontiguousarray(chunk.images)
        return np.pad(chunk.images, [(0, missing), *[(0, 0)] * (chunk.images.ndim - 1)])
