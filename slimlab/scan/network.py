"""Floor 3. An ONNX network as a list of nodes: who makes and reads its values, and where it can be
cut in two so that one value goes across.

Knows ONNX graphs; knows no groups, no masks and no runtime.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import onnx
from onnx import TensorProto, helper

OUTPUT = "output_0"
LAST = "@last"  # ends the name of a value that is handed over with its channels last
_HEAVY = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})


@dataclass(frozen=True, eq=False)
class Part:
    """Some nodes of a network, which are compiled as one.

    Attributes
    ----------
    name
        For messages.
    nodes
        In execution order.
    inputs, outputs
        Names of the values it takes and gives.
    """

    name: str
    nodes: tuple[onnx.NodeProto, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class Network:
    """An ONNX model with static shapes, and who makes and reads its values.

    Parameters
    ----------
    model
        The model.
    carried
        ONNX type in which pictures that are masked pass from one model to another, with their
        channels last, as some runtimes compute; None to pass them as they are, in float32.
    also
        Values that are wanted beside the output, of the network and of each segment that makes
        them.
    """

    def __init__(
        self, model: onnx.ModelProto, carried: int | None = None, also: Sequence[str] = ()
    ) -> None:
        self.model, self.carried, self.also = model, carried, tuple(also)
        graph = model.graph
        self.nodes = list(graph.node)
        self.initializers = {one.name: one for one in graph.initializer}
        infos = [*graph.value_info, *graph.input, *graph.output]
        self.infos = {info.name: info for info in infos}

    @cached_property
    def readers(self) -> dict[str, list[int]]:
        """Value to the positions of the nodes that take it."""
        found: dict[str, list[int]] = {}
        for position, node in enumerate(self.nodes):
            for name in dict.fromkeys(node.input):
                found.setdefault(name, []).append(position)
        return found

    def shape(self, value: str) -> tuple[int, ...]:
        """Static shape of a value, batch included."""
        dims = self.infos[value].type.tensor_type.shape.dim
        return tuple(int(dim.dim_value) for dim in dims)

    def handing(self, values: Iterable[str]) -> list[onnx.NodeProto]:
        """The nodes that make values to be handed over of values as they are."""
        nodes = []
        for name in values:
            if name.endswith(LAST):
                turned = f"{name}_turned"
                given = name.removesuffix(LAST)
                nodes += [
                    helper.make_node("Transpose", [given], [turned], perm=[0, 2, 3, 1]),
                    helper.make_node("Cast", [turned], [name], to=self.carried),
                ]
        return nodes

    def after(self, positions: Iterable[int]) -> list[int]:
        """These nodes and all that depend on them, in execution order."""
        found = set(positions)
        made = {out for position in found for out in self.nodes[position].output}
        for position in range(min(found, default=0), len(self.nodes)):
            node = self.nodes[position]
            if position in found or any(name in made for name in node.input):
                found.add(position)
                made.update(node.output)
        return sorted(found)

    def taking(self, values: Iterable[str]) -> list[onnx.NodeProto]:
        """The nodes that make values as they are of values that were handed over."""
        nodes = []
        for name in values:
            if name.endswith(LAST):
                floats, given = f"{name}_floats", name.removesuffix(LAST)
                nodes += [
                    helper.make_node("Cast", [name], [floats], to=TensorProto.FLOAT),
                    helper.make_node("Transpose", [floats], [given], perm=[0, 3, 1, 2]),
                ]
        return nodes

    def handed(self, value: str) -> str:
        """The name under which a value passes from one model to another; its info is made known."""
        shape = self.shape(value)
        if self.carried is None or len(shape) != 4:
            return value
        n, c, h, w = shape
        name = value + LAST
        self.infos[name] = helper.make_tensor_value_info(name, self.carried, [n, h, w, c])
        return name

    def weight(self, nodes: Iterable[onnx.NodeProto]) -> int:
        """Bytes of the initializers that some nodes take."""
        taken = dict.fromkeys(name for node in nodes for name in node.input)
        return sum(len(self.initializers[n].raw_data) for n in taken if n in self.initializers)

    @cached_property
    def joints(self) -> list[tuple[int, str]]:
        """Positions before which only one value goes across, and that value.

        Inputs beside the first are given to whoever wants them. Only where something with weights
        begins: cut elsewhere, a runtime could not compute a convolution and what follows as one.
        """
        image = self.model.graph.input[0].name
        given = {one.name for one in self.model.graph.input}.union(self.initializers)
        across = {image} if image in self.readers else set()
        found: dict[str, int] = {}
        for at, node in enumerate(self.nodes):
            if len(across) == 1 and at > 0:
                (value,) = across
                if any(self.nodes[reader].op_type in _HEAVY for reader in self.readers[value]):
                    found.setdefault(value, at)
            across.update(n for n in node.output if n in self.readers and n not in given)
            across -= {n for n in node.input if n in across and self.readers[n][-1] <= at}
        return [(at, value) for value, at in found.items() if value != image]

    def part(
        self,
        name: str,
        nodes: Sequence[onnx.NodeProto],
        outputs: Sequence[str],
        more: Sequence[str] = (),
    ) -> Part:
        """Some nodes that give these values, and what else is wanted of what they make.

        `more` are inputs that come after those values which none of the nodes makes.
        """
        made = {one for node in nodes for one in node.output}
        taken = dict.fromkeys(one for node in nodes for one in node.input if one)
        known = made.union(self.initializers, more)
        inputs = [one for one in taken if one not in known]
        also = [one for one in self.also if one in made and one not in outputs]
        return Part(name, tuple(nodes), (*inputs, *more), (*outputs, *also))

    def build(self, part: Part) -> onnx.ModelProto:
        """The model of a part."""
        taken = {one for node in part.nodes for one in node.input}
        graph = helper.make_graph(
            list(part.nodes),
            part.name,
            [self.infos[one] for one in part.inputs],
            [self.infos[one] for one in part.outputs],
            initializer=[self.initializers[n] for n in self.initializers if n in taken],
        )
        model = helper.make_model(graph, opset_imports=self.model.opset_import)
        model.ir_version = self.model.ir_version
        return model
