"""Floor 2. What an export format is, and the dictionary of those there are. Knows none of them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import paddle
from onnx import ModelProto
from paddle import Tensor
from paddle.nn import Layer

from slimlab.errors import ExportError, nearest
from slimlab.lowering import lower
from slimlab.quantize import Quantizer
from slimlab.trace import Program, trace_program

# Two batch sizes that are no size of anything else: what differs between them is the batch.
BATCHES = (13, 17)


@dataclass(frozen=True, eq=False)
class Subject:
    """The network that is written.

    Attributes
    ----------
    model
        A copy of what was handed in, in evaluation mode.
    examples
        One input with batch 1, or several.
    """

    model: Layer
    examples: tuple[Tensor, ...]

    @classmethod
    def of(cls, model: Layer, examples: tuple[Tensor, ...]) -> Subject:
        """Copy a model that is not to be changed."""
        fresh = copy.deepcopy(model)
        fresh.eval()
        return cls(fresh, tuple(x[:1] for x in examples))

    def in_float(self) -> Subject:
        """The same network without the grids of its quantizers; its weights stay where they are."""
        other = copy.deepcopy(self.model)
        for layer in other.sublayers(include_self=True):
            if isinstance(layer, Quantizer):
                layer.enabled = False
        return Subject(other, self.examples)

    @cached_property
    def programs(self) -> tuple[Program, Program]:
        """The network traced with each of `BATCHES`."""
        first, second = (
            trace_program(self.model, [_tiled(x, size) for x in self.examples]) for size in BATCHES
        )
        return first, second

    @cached_property
    def lowered(self) -> tuple[ModelProto, ModelProto]:
        """The network as ONNX with each of `BATCHES`."""
        first, second = (lower(program, self.model) for program in self.programs)
        return first, second


def _tiled(x: Tensor, batch: int) -> Tensor:
    return paddle.tile(x, [batch] + [1] * (len(x.shape) - 1))


@dataclass(frozen=True)
class Written:
    """What a format makes of a network.

    Attributes
    ----------
    files
        Name to content; the first is the one that is loaded.
    layers
        Layer of the model -> name in the file of the value that it gives, in execution order.
    """

    files: Mapping[str, bytes]
    layers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Format:
    """A way to write a network.

    Attributes
    ----------
    name
        What users call it.
    runtime
        What loads it to check it: a name that `slimlab.export.fresh` knows.
    timed
        Runtimes whose latency is measured.
    quantized
        Whether it is only for quantized models.
    lines
        Python that runs it in its folder: ``images`` are given, ``logits`` come out.
    write
        Makes the files.
    note
        What whoever runs the file should know, in sentences; stands in its README.
    """

    name: str
    runtime: str
    timed: tuple[str, ...]
    quantized: bool
    lines: tuple[str, ...]
    write: Callable[[Subject], Written]
    note: str = ""


FORMATS: dict[str, Format] = {}


def export_format(
    name: str,
    *,
    runtime: str,
    timed: tuple[str, ...],
    quantized: bool,
    lines: tuple[str, ...],
    note: str = "",
) -> Callable[[Callable[[Subject], Written]], Callable[[Subject], Written]]:
    """Register a function that writes a network in a format; see `Format`.

    Examples
    --------
    >>> from slimlab.export.formats import FORMATS, Written, export_format
    >>> settings = dict(runtime="onnxruntime", timed=(), quantized=False, lines=())
    >>> @export_format("nothing", **settings)
    ... def nothing(subject):
    ...     return Written({"nothing.bin": b""})
    >>> FORMATS.pop("nothing").write is nothing
    True
    """

    def register(write: Callable[[Subject], Written]) -> Callable[[Subject], Written]:
        FORMATS[name] = Format(name, runtime, timed, quantized, lines, write, note)
        return write

    return register


def format_named(name: str) -> Format:
    """Give a format.

    Raises
    ------
    ExportError
        When there is none of this name.
    """
    if name not in FORMATS:
        msg = f"There is no export format {name!r}. {nearest(str(name), FORMATS)}"
        raise ExportError(msg, format=name)
    return FORMATS[name]
