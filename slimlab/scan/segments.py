"""Floor 3. Cuts an ONNX network in two for each channel group: what pruning can't change, and what
follows.

Masking a group's channels where they are *read* gives the same output as removing them. So the
values before the readers are computed once, and a segment computes only what depends on the
readers, with the mask as one more input. Which values lie on the border is found by following the
graph: residual additions, concatenations and several readers need no case of their own.

Knows ONNX graphs; knows no model, no ratios and no runtime.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from slimlab.scan.network import LAST, OUTPUT, Network, Part

STATISTIC = "statistic."  # begins the names of nodes that take a channel's mean over a batch
# Operators that treat channels apart, or move them: they can stand between where a channel is made
# and where it is read. One that sums channels without a weight is not among them, for it would see
# channels that the mask has not met yet.
_APART = frozenset(
    word
    for line in (
        "Abs Add AveragePool BatchNormalization Cast Clip Concat Div Dropout Elu Erf Exp",
        "Flatten Gelu GlobalAveragePool GlobalMaxPool HardSigmoid HardSwish Identity",
        "LeakyRelu Log MaxPool InstanceNormalization Mish Mul Neg PRelu Pad Pow",
        "Reciprocal Relu Reshape Resize Selu Sigmoid Slice Softplus Softsign Split Sqrt",
        "Squeeze Sub Sum Tanh Transpose Unsqueeze",
    )
    for word in line.split()
)


@dataclass(frozen=True, eq=False)
class Site:
    """A place where a group's channels are read.

    Attributes
    ----------
    value
        The tensor that is read.
    axis
        Its axis along which the channels lie, counted from the front.
    channels
        Shape of that axis: the group's channel at each index, or -1 for those of other groups.
    rank
        Number of the tensor's axes.
    last
        Whether the tensor is handed over with its channels last, and masked like that.
    """

    value: str
    axis: int
    rank: int
    channels: NDArray[np.int64]
    last: bool = False

    @property
    def mask_shape(self) -> list[int]:
        """Shape of a mask that is multiplied with the tensor."""
        along = self.rank - 1 if self.last else self.axis
        return [len(self.channels) if n == along else 1 for n in range(self.rank)]


@dataclass(frozen=True, eq=False)
class Segment:
    """What has to be computed again when a group's channels are masked.

    Attributes
    ----------
    group
        Name of the group.
    sites
        Where the masks go.
    nodes
        What is computed, each node with its position in the network.
    last_reader
        Position of the last node that reads the channels.
    parts
        The same as what is compiled and run, one after the other; several where segments share
        their ends.
    """

    group: str
    sites: tuple[Site, ...]
    nodes: tuple[tuple[int, onnx.NodeProto], ...]
    last_reader: int
    parts: tuple[Part, ...]

    @property
    def names(self) -> list[str]:
        """Of the masks among the inputs."""
        return [_mask(self.group, number) for number in range(len(self.sites))]

    @property
    def border(self) -> list[str]:
        """Values of the whole network that it takes, or inputs of it."""
        return [name for name in self.parts[0].inputs if name not in self.names]

    def masks(self, kept: Sequence[int]) -> dict[str, NDArray[np.float32]]:
        """The masks that leave these channels of the group, by name."""
        made = {}
        for name, site in zip(self.names, self.sites, strict=True):
            open_ = np.isin(site.channels, kept) | (site.channels < 0)
            made[name] = open_.astype(np.float32).reshape(site.mask_shape)
        return made


def segment(
    network: Network,
    group: str,
    reads: Sequence[tuple[str, int, NDArray[np.int64]]],
    makers: Sequence[str],
) -> Segment | None:
    """Cut out what follows the readers of a group; None where masking the readers is not enough.

    Parameters
    ----------
    network
        The whole network.
    group
        Name of the group.
    reads
        Parameter, axis, and indices ``(width, k)`` of each axis that reads the channels.
    makers
        Parameters that make the channels.
    """
    found: dict[tuple[str, int], tuple[Site, list[int]]] = {}
    for parameter, axis, indices in reads:
        for position in network.readers.get(parameter, ()):
            site = _site(network, position, parameter, axis, indices)
            if site is None:
                return None
            known, positions = found.setdefault((site.value, site.axis), (site, []))
            if not np.array_equal(known.channels, site.channels):
                return None
            positions.append(position)
    readers = {position for _, positions in found.values() for position in positions}
    if not readers or not _apart_between(network, makers, readers):
        return None
    return _cut_out(network, group, list(found.values()))


def _site(
    network: Network, position: int, parameter: str, axis: int, indices: NDArray[np.int64]
) -> Site | None:
    """Where a node reads channels by one axis of a parameter; None for operators not known here."""
    node = network.nodes[position]
    if len(node.input) < 2 or node.input[1] != parameter:
        return None
    value = node.input[0]
    if value in network.initializers or value not in network.infos:
        return None
    shape = network.shape(value)
    weight = tuple(network.initializers[parameter].dims)
    repeats = 1
    if node.op_type == "Conv" and axis == 1:
        along, repeats = 1, _attribute(node, "group", 1)
    elif node.op_type == "ConvTranspose" and axis == 0:
        along = 1
    elif node.op_type == "MatMul" and axis == len(weight) - 2 and len(weight) == 2:
        along = len(shape) - 1
    else:
        return None
    channels = np.full(weight[axis], -1, dtype=np.int64)
    for channel, own in enumerate(indices):
        channels[own] = channel
    channels = np.tile(channels, repeats)
    return Site(value, along, len(shape), channels) if len(channels) == shape[along] else None


def _attribute(node: onnx.NodeProto, name: str, default: int) -> int:
    return next((int(a.i) for a in node.attribute if a.name == name), default)


def _apart_between(network: Network, makers: Sequence[str], readers: set[int]) -> bool:
    """Whether channels are only carried, each for itself, from their makers to the readers."""
    seen: set[int] = set()
    todo = [p for maker in makers for p in network.readers.get(maker, ())]
    first = set(todo)
    while todo:
        position = todo.pop()
        if position in seen or (position in readers and position not in first):
            continue
        seen.add(position)
        node = network.nodes[position]
        if position not in first and not _carries(network, node):
            return False
        todo += [p for name in node.output for p in network.readers.get(name, ())]
    return True


def _carries(network: Network, node: onnx.NodeProto) -> bool:
    if node.op_type in _APART:
        return True
    if node.op_type == "ReduceMean":
        if node.name.startswith(STATISTIC):
            return True
        axes = next((list(a.ints) for a in node.attribute if a.name == "axes"), [])
        return len(network.shape(node.input[0])) == 4 and bool(axes) and set(axes) <= {2, 3, -1, -2}
    if node.op_type in {"Conv", "ConvTranspose"}:
        return _attribute(node, "group", 1) > 1 and node.input[1] in network.initializers
    return False


def _cut_out(network: Network, group: str, found: Sequence[tuple[Site, list[int]]]) -> Segment:
    sites = _placed(network, found)
    renamed: dict[int, str] = {}
    masks: dict[int, list[onnx.NodeProto]] = {}
    for number, (site, (_, positions)) in enumerate(zip(sites, found, strict=True)):
        mask, masked = _mask(group, number), f"masked_{number}"
        kind, shape = TensorProto.FLOAT, site.mask_shape
        network.infos[mask] = helper.make_tensor_value_info(mask, kind, shape)
        renamed.update(dict.fromkeys(positions, masked))
        masks.setdefault(min(positions), []).extend(_masking(site, mask, masked))
        if site.last:
            network.handed(site.value)
    nodes: list[tuple[int, onnx.NodeProto]] = []
    for position in network.after(renamed):
        nodes += [(position, node) for node in masks.get(position, [])]
        node = network.nodes[position]
        if position in renamed:
            node = onnx.NodeProto.FromString(node.SerializeToString())
            node.input[0] = renamed[position]  # what the weight is multiplied with
        nodes.append((position, node))
    names = [_mask(group, number) for number in range(len(sites))]
    whole = network.part(group, [node for _, node in nodes], (OUTPUT,), names)
    return Segment(group, tuple(sites), tuple(nodes), max(renamed), (whole,))


def _mask(group: str, number: int) -> str:
    return f"mask_{number}@{group}"


def _placed(network: Network, found: Sequence[tuple[Site, list[int]]]) -> list[Site]:
    """The sites, marked where their value is a picture that comes from outside of the segment."""
    inside = network.after(position for _, positions in found for position in positions)
    made = {name for position in inside for name in network.nodes[position].output}
    return [
        replace(site, last=site.rank == 4 and site.axis == 1 and site.value not in made)
        if network.carried is not None
        else site
        for site, _ in found
    ]


def _masking(site: Site, mask: str, masked: str) -> list[onnx.NodeProto]:
    """The nodes that mask a value; masked before it is turned, turning it costs a runtime nothing
    that computes with channels last.
    """
    if not site.last:
        return [helper.make_node("Mul", [site.value, mask], [masked], name=masked)]
    given, floats, turned = site.value + LAST, f"{masked}_floats", f"{masked}_turned"
    return [
        helper.make_node("Cast", [given], [floats], to=TensorProto.FLOAT),
        helper.make_node("Mul", [floats, mask], [turned], name=masked),
        helper.make_node("Transpose", [turned], [masked], perm=[0, 3, 1, 2]),
    ]
