"""Floor 3. Segments whose BatchNorm statistics are estimated anew for each cell, on a runtime.

The same as cutting the network, running the calibration images in training mode, and measuring
with the means and variances they leave. What pruning can't change is estimated once: statistics
before a group's readers are those of the whole network. Knows no Paddle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from slimlab.errors import UnsupportedOpError
from slimlab.scan.blueprint import Blueprint
from slimlab.scan.meters import Chunk, Fast, Logits
from slimlab.scan.network import OUTPUT
from slimlab.scan.segments import STATISTIC

Norms = dict[str, tuple[NDArray[np.float32], NDArray[np.float32], float]]
Values = Mapping[str, NDArray[np.float32]]
KINDS = ("mean", "variance")


class Renewed:
    """Meter of networks with statistics of their own.

    Three forms of the network: as it is, for the baseline; for the calibration images, with means
    and variances as outputs; and for the test images, with what follows from them as inputs.

    Parameters
    ----------
    blueprint
        With a calibration.

    Raises
    ------
    UnsupportedOpError
        When a BatchNorm is called several times, or a group can't be masked at its readers.
    """

    def __init__(self, blueprint: Blueprint) -> None:
        if blueprint.calibration is None:
            msg = "This blueprint has no calibration images."
            raise UnsupportedOpError(msg)
        self.blueprint, wanted = blueprint, blueprint.calibration
        self._plain = Fast(replace(blueprint, groups={}))
        count = len(wanted.images)
        told, names = with_statistics(_read(wanted.network), wanted.norms)
        opened, self._norms = with_inputs(_read(blueprint.network), wanted.norms)
        # Both share the memory with the plain one.
        part = replace(blueprint, memory=blueprint.memory // 2)
        self._calibrating = Fast(replace(part, network=_bytes(told), batch=count), names)
        self._measuring = Fast(replace(part, network=_bytes(opened)))
        self._known: dict[tuple[str, float], dict[str, NDArray[np.float32]]] = {}
        for group in blueprint.groups:
            if None in (self._calibrating.segment(group), self._measuring.segment(group)):
                msg = f"The channels of {group!r} can't be masked where they are read."
                raise UnsupportedOpError(msg, layer=group)

    def whole(self, chunk: Chunk) -> Logits:
        """Run the network as it is."""
        return self._plain.whole(chunk)

    def pruned(self, chunk: Chunk, group: str, ratio: float) -> Logits:
        """Run a group's segment with statistics of its own."""
        everywhere = Chunk(0, self.blueprint.calibration.images)  # type: ignore[union-attr]
        if not self._measuring.more:
            self._measuring.more = self._inputs(self._calibrating.values(everywhere))
        if (group, ratio) not in self._known:
            cut = self._calibrating.segment(group)
            assert cut is not None
            self._known[group, ratio] = self._inputs(
                self._calibrating.masked(everywhere, cut, ratio, {})
            )
        segment = self._measuring.segment(group)
        assert segment is not None
        made = self._measuring.masked(chunk, segment, ratio, self._known[group, ratio])
        return made[OUTPUT][: len(chunk.images)]

    def _inputs(self, values: Values) -> dict[str, NDArray[np.float32]]:
        """Factor and shift of each BatchNorm whose statistics are among the values."""
        found = {}
        for name, (scale, bias, epsilon) in self._norms.items():
            mean, variance = (values.get(f"{name}.{kind}") for kind in KINDS)
            if mean is None or variance is None:
                continue
            factor = scale.reshape(mean.shape) / np.sqrt(variance.astype(np.float64) + epsilon)
            found[f"{name}.factor"] = factor.astype(np.float32)
            shift = bias.reshape(mean.shape) - mean * factor
            found[f"{name}.shift"] = shift.astype(np.float32)
        return found


def meter_of(blueprint: Blueprint) -> Fast | Renewed:
    """The meter that a blueprint is for."""
    return Fast(blueprint) if blueprint.calibration is None else Renewed(blueprint)


def with_statistics(
    model: onnx.ModelProto, norms: tuple[str, ...]
) -> tuple[onnx.ModelProto, list[str]]:
    """The network in which BatchNorms take the statistics of the batch; and their names."""
    names: list[str] = []
    nodes = []
    for node, name, rank in _norms_of(model, norms):
        if not name:
            nodes.append(node)
            continue
        x, scale, bias = node.input[:3]
        axes = [n for n in range(rank) if n != 1]
        mean, variance = (f"{name}.{kind}" for kind in KINDS)
        shape = [1, -1, *[1] * (rank - 2)]
        tensors = {one.name: one for one in model.graph.initializer}
        for tensor in (scale, bias):
            value = numpy_helper.to_array(tensors[tensor]).reshape(shape)
            model.graph.initializer.append(numpy_helper.from_array(value, f"{name}@{tensor}"))
        small = np.array(_epsilon(node), np.float32)
        model.graph.initializer.append(numpy_helper.from_array(small, f"{name}@epsilon"))
        keep: dict[str, Any] = {"axes": axes, "keepdims": 1}
        steps: list[tuple[str, list[str], str, dict[str, Any]]] = [
            ("ReduceMean", [x], mean, keep),
            ("Sub", [x, mean], f"{name}@centred", {}),
            ("Mul", [f"{name}@centred"] * 2, f"{name}@squared", {}),
            ("ReduceMean", [f"{name}@squared"], variance, keep),
            ("Add", [variance, f"{name}@epsilon"], f"{name}@above", {}),
            ("Sqrt", [f"{name}@above"], f"{name}@spread", {}),
            ("Div", [f"{name}@centred", f"{name}@spread"], f"{name}@normal", {}),
            ("Mul", [f"{name}@normal", f"{name}@{scale}"], f"{name}@scaled", {}),
            ("Add", [f"{name}@scaled", f"{name}@{bias}"], node.output[0], {}),
        ]
        nodes += [
            helper.make_node(kind, taken, [made], name=f"{STATISTIC}{made}", **settings)
            for kind, taken, made, settings in steps
        ]
        channels = tensors[scale].dims[0]
        full = [channels if n == 1 else 1 for n in range(rank)]
        for made in (mean, variance):
            names.append(made)
            model.graph.value_info.append(_info(made, full))
    _put(model, nodes)
    return model, names


def with_inputs(model: onnx.ModelProto, norms: tuple[str, ...]) -> tuple[onnx.ModelProto, Norms]:
    """The network in which a BatchNorm is a factor and a shift that are given; and those of it."""
    found: Norms = {}
    nodes = []
    tensors = {one.name: one for one in model.graph.initializer}
    for node, name, rank in _norms_of(model, norms):
        if not name:
            nodes.append(node)
            continue
        scale, bias = (numpy_helper.to_array(tensors[one]) for one in node.input[1:3])
        found[name] = (scale, bias, _epsilon(node))
        factor, shift, scaled = f"{name}.factor", f"{name}.shift", f"{name}@scaled"
        full = [len(scale) if n == 1 else 1 for n in range(rank)]
        model.graph.input.extend([_info(factor, full), _info(shift, full)])
        nodes.append(helper.make_node("Mul", [node.input[0], factor], [scaled]))
        nodes.append(helper.make_node("Add", [scaled, shift], [node.output[0]]))
    _put(model, nodes)
    return model, found


def _norms_of(
    model: onnx.ModelProto, norms: tuple[str, ...]
) -> list[tuple[onnx.NodeProto, str, int]]:
    """Each node, the name of its BatchNorm if its statistics may change, and its number of axes."""
    statistics = {f"{name}._mean": name for name in norms}
    infos = {one.name: one for one in [*model.graph.value_info, *model.graph.input]}
    rows, seen = [], set()
    for node in model.graph.node:
        name = ""
        if node.op_type == "BatchNormalization":
            name = statistics.get(node.input[3], "")
        if name in seen:
            msg = f"BatchNorm {name!r} is called several times; its statistics are averages."
            raise UnsupportedOpError(msg, layer=name)
        seen.update([name] if name else [])
        rank = len(infos[node.input[0]].type.tensor_type.shape.dim) if name else 0
        rows.append((onnx.NodeProto.FromString(node.SerializeToString()), name, rank))
    if missing := set(norms) - seen:
        msg = f"BatchNorm {min(missing)!r} is not one in the network as it is run."
        raise UnsupportedOpError(msg, layer=min(missing))
    return rows


def _put(model: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> None:
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _info(name: str, shape: list[int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _epsilon(node: onnx.NodeProto) -> float:
    return next((float(a.f) for a in node.attribute if a.name == "epsilon"), 1e-5)


def _read(content: bytes) -> onnx.ModelProto:
    model: onnx.ModelProto = onnx.ModelProto.FromString(content)
    return model


def _bytes(model: onnx.ModelProto) -> bytes:
    return bytes(model.SerializeToString())
