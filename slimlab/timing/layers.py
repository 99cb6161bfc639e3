"""Floor 2. The layers of a traced network that take time, with all that decides how much.

A layer's time depends on its shape alone, so equal shapes are measured once. Its two widths are
lengths: a constant plus so many indices for every channel of a group that is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from slimlab.cost import Length
from slimlab.graph import Graph
from slimlab.trace import Op, Program

# Parameter and axis to the groups that run through it, by number, with indices a channel.
Axes = Mapping[tuple[str, int], Sequence[tuple[int, int]]]
CONVOLUTIONS = ("conv2d", "depthwise_conv2d")


@dataclass(frozen=True)
class LayerShape:
    """All that decides how long a layer takes.

    Attributes
    ----------
    kind
        `"conv"` (with bias and ReLU, as runtimes fuse them) or `"linear"`.
    batch
        Images, for a linear layer rows.
    inputs, outputs
        Channels.
    size
        Height and width of the input; empty for a linear layer.
    kernel, strides, dilations
        Each of the height and of the width.
    pads
        Before the height, before the width, after the height, after the width.
    groups
        Of a convolution; as many as inputs for a depthwise one.

    Examples
    --------
    >>> from slimlab.timing import LayerShape
    >>> LayerShape("linear", 1, 64, 10).key
    'linear 1x64->10'
    """

    kind: str
    batch: int
    inputs: int
    outputs: int
    size: tuple[int, ...] = ()
    kernel: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()
    pads: tuple[int, ...] = ()
    dilations: tuple[int, ...] = ()
    groups: int = 1

    @property
    def key(self) -> str:
        """The shape in a line: the cache's key."""
        head = f"{self.kind} {self.batch}x{self.inputs}->{self.outputs}"
        if self.kind == "linear":
            return head
        parts = (
            ("at", self.size),
            ("kernel", self.kernel),
            ("strides", self.strides),
            ("pads", self.pads),
            ("dilations", self.dilations),
        )
        words = [f"{word} {'x'.join(map(str, numbers))}" for word, numbers in parts]
        return " ".join([head, *words, f"groups {self.groups}"])


@dataclass(frozen=True)
class TimedLayer:
    """A layer of a network, and how its shape follows from the channels that are kept.

    Attributes
    ----------
    layer
        Structured name.
    shape
        Before pruning.
    inputs, outputs
        Its widths as functions of the groups, numbered as in `Graph.groups`.
    depthwise
        Whether its inputs follow its outputs.
    """

    layer: str
    shape: LayerShape
    inputs: Length
    outputs: Length
    depthwise: bool = False

    def at(self, inputs: int, outputs: int) -> LayerShape:
        """The shape with other widths."""
        if not self.depthwise:
            return replace(self.shape, inputs=inputs, outputs=outputs)
        # Of each input channel a depthwise convolution makes so many.
        each = self.shape.outputs // self.shape.inputs
        inputs = outputs // each
        return replace(self.shape, inputs=inputs, outputs=inputs * each, groups=inputs)


def timed_layers(program: Program, graph: Graph, *, batch: int = 1) -> tuple[TimedLayer, ...]:
    """The convolutions over images and the linear layers of a program, in execution order.

    Whatever else takes time is part of what `TimeTable` fits to whole networks.

    Parameters
    ----------
    program
        Traced from the model with batch 1.
    graph
        Of the same model.
    batch
        Images that are run at once.

    Examples
    --------
    >>> import slimlab as sl
    >>> from slimlab.timing import timed_layers
    >>> from slimlab.trace import trace_program
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> program = trace_program(model, task.example)
    >>> layers = timed_layers(program, sl.trace(model, task.example))
    >>> layers[0].shape.key
    'conv 1x1->8 at 8x8 kernel 3x3 strides 1x1 pads 1x1x1x1 dilations 1x1 groups 1'
    """
    axes = axes_of(graph)
    found = []
    for op in program.ops:
        if op.short in CONVOLUTIONS:
            layer = _convolution(op, axes, graph, batch)
        elif op.short == "matmul":
            layer = _linear(op, axes, graph, batch)
        else:
            continue
        if layer is not None:
            found.append(layer)
    return tuple(found)


def axes_of(graph: Graph) -> Axes:
    """Parameter and axis to the groups that run through it, with indices a channel."""
    found: dict[tuple[str, int], list[tuple[int, int]]] = {}
    for number, group in enumerate(graph.groups):
        for member in group.members:
            part = (number, int(member.indices.shape[1]))
            found.setdefault((member.parameter, member.axis), []).append(part)
    return {where: tuple(parts) for where, parts in found.items()}


def timed_length(axes: Axes, graph: Graph, where: tuple[str, int], size: int) -> Length:
    """Length of an axis of a parameter as a function of the groups that run through it."""
    parts = tuple(axes.get(where, ()))
    own = sum(times * graph.groups[group].width for group, times in parts)
    return Length(size - own, parts)


def _convolution(op: Op, axes: Axes, graph: Graph, batch: int) -> TimedLayer | None:
    image, weight = op.inputs[0], op.inputs[1]
    if image is None or weight is None or weight.parameter is None or len(image.shape) != 4:
        return None
    last = not str(op.attributes.get("data_format", "NCHW")).startswith("NC")
    size = image.shape[1:3] if last else image.shape[2:]
    strides = tuple(int(n) for n in op.attributes["strides"])
    groups = int(op.attributes["groups"])
    outputs, each = weight.shape[0], weight.shape[1]
    shape = LayerShape(
        "conv",
        batch,
        each * groups,
        outputs,
        size=tuple(size),
        kernel=tuple(weight.shape[2:]),
        strides=strides,
        pads=_pads(op, size, weight.shape[2:], strides),
        dilations=tuple(int(n) for n in op.attributes["dilations"]),
        groups=groups,
    )
    out = timed_length(axes, graph, (weight.parameter, 0), outputs)
    if each == 1 and groups > 1:
        return TimedLayer(_layer(weight.parameter), shape, Length(groups), out, depthwise=True)
    read = timed_length(axes, graph, (weight.parameter, 1), each)
    inputs = Length(groups * read.constant, tuple((g, groups * n) for g, n in read.per_group))
    return TimedLayer(_layer(weight.parameter), shape, inputs, out)


def _linear(op: Op, axes: Axes, graph: Graph, batch: int) -> TimedLayer | None:
    x, weight = op.inputs[0], op.inputs[1]
    if x is None or weight is None or weight.parameter is None or len(weight.shape) != 2:
        return None  # a product of two activations, as in attention
    into, out = (1, 0) if op.attributes.get("transpose_y") else (0, 1)
    rows = batch
    for n in x.shape[1:-1]:
        rows *= n
    shape = LayerShape("linear", rows, weight.shape[into], weight.shape[out])
    return TimedLayer(
        _layer(weight.parameter),
        shape,
        timed_length(axes, graph, (weight.parameter, into), weight.shape[into]),
        timed_length(axes, graph, (weight.parameter, out), weight.shape[out]),
    )


def _pads(
    op: Op, size: Sequence[int], kernel: Sequence[int], strides: Sequence[int]
) -> tuple[int, ...]:
    """Padding before both axes, then after both, as ONNX has it."""
    algorithm = op.attributes.get("padding_algorithm", "EXPLICIT")
    written = tuple(int(n) for n in op.attributes["paddings"])
    if algorithm == "VALID":
        return (0, 0, 0, 0)
    if algorithm == "SAME":
        short = [
            max((-(-n // s) - 1) * s + k - n, 0)
            for n, k, s in zip(size, kernel, strides, strict=True)
        ]
        return (*(n // 2 for n in short), *(n - n // 2 for n in short))
    if len(written) == 2:
        return written * 2
    return (*written[::2], *written[1::2])


def _layer(parameter: str) -> str:
    return parameter.rpartition(".")[0] or parameter
