"""Floor 1. Products that sum over an axis: linear layers, attention, einsum.

All of them are one thing: operands whose axes carry letters, and an output that keeps some of them.
Axes of one letter are tied. A letter that is summed over may lose a channel when masking makes that
channel zero in one operand at least: a weight always is.
"""

from __future__ import annotations

import math
import string
from dataclasses import dataclass, replace

from slimlab.channels import Channels
from slimlab.constraints import Atoms
from slimlab.rules.registry import channel_rule, freeze_inputs, named, tensors
from slimlab.trace import Op, Value


@dataclass(frozen=True)
class Operand:
    """A tensor and a letter for each of its axes."""

    value: Value
    letters: str


@channel_rule("pd_op.matmul", "pd_op.bmm", "pd_op.mv", "pd_op.dot")
def matmul(op: Op, channels: Channels) -> None:
    """The last two axes are matrices, the ones before are batches."""
    (x, weight), y = tensors(op)
    if min(len(x.shape), len(weight.shape)) < 2:
        freeze_inputs(op, channels, f"{op.short} of a vector")
        return
    left = "mk" if not op.attributes.get("transpose_x") else "km"
    right = "kn" if not op.attributes.get("transpose_y") else "nk"
    batch = string.ascii_uppercase
    a, b = len(x.shape) - 2, len(weight.shape) - 2
    deep = max(a, b)
    operands = [
        Operand(x, batch[deep - a : deep] + left),
        Operand(weight, batch[deep - b : deep] + right),
    ]
    contract(op, channels, operands, Operand(y, batch[:deep] + "mn"))
    if channels.source(weight) and b == 0:
        axis = right.index("n")
        channels.consumes(weight, 1 - axis, "linear")
        channels.produces(weight, axis, "linear")
        if all(along is None for along in channels.labels(x)[1:-1]):
            channels.count_macs(weight, math.prod(x.shape[1:-1]), y.shape)
            return
    _count(op, channels, operands)


@channel_rule(*named(("addmm", "baddbmm")))
def added(op: Op, channels: Channels) -> None:
    """A product, and what is added to it, which may be broadcast."""
    (more, x, weight), y = tensors(op)
    matmul(replace(op, name="pd_op.matmul", inputs=(x, weight), attributes={}), channels)
    labels, flags = list(channels.labels(y)), list(channels.zeros(y))
    columns = zip(more.shape, channels.labels(more), channels.zeros(more), strict=True)
    for n, (size, along, zero) in enumerate(columns, len(y.shape) - len(more.shape)):
        if size != 1:
            why = f"{op.short} with a tensor of fixed size"
            labels[n] = channels.couple(labels[n], along, why)
        flags[n] = flags[n] and zero and size != 1
    fewer = len(y.shape) - len(more.shape)
    channels.set(y, labels, zeros=[flag and n >= fewer for n, flag in enumerate(flags)])


@channel_rule("pd_op.einsum")
def einsum(op: Op, channels: Channels) -> None:
    """Each letter is an axis."""
    inputs, y = tensors(op)
    for cache in op.outputs[1:]:  # kept for the gradient
        if cache is not None:
            channels.set_parts(cache, ())
    values = channels.items(inputs[0])
    taken, _, kept = op.attributes["equation"].replace(" ", "").partition("->")
    terms = taken.split(",")
    fits = len(terms) == len(values) and all(
        len(set(t)) == len(t) == len(v.shape) for t, v in zip(terms, values, strict=False)
    )
    if "." in taken or not fits or len(kept) != len(y.shape):
        freeze_inputs(op, channels, "einsum of a kind that has no channel rule")
        return
    operands = [Operand(v, t) for v, t in zip(values, terms, strict=True)]
    contract(op, channels, operands, Operand(y, kept))
    weight = values[-1]
    if len(values) == 2 and channels.source(weight):
        _linear_like(op, channels, operands, Operand(y, kept))
    else:
        _count(op, channels, operands)


def _linear_like(op: Op, channels: Channels, operands: list[Operand], output: Operand) -> None:
    """An einsum with a weight: what it makes, and what it costs an element of the weight."""
    x, weight = operands
    made = [n for n, letter in enumerate(weight.letters) if letter not in x.letters]
    for axis, letter in enumerate(weight.letters):
        if axis in made:
            channels.produces(weight.value, axis, "linear")
        elif letter not in output.letters:
            channels.consumes(weight.value, axis, "linear")
    others = [n for n, letter in enumerate(x.letters) if n and letter not in weight.letters]
    if any(channels.labels(x.value)[n] is not None for n in others):
        _count(op, channels, operands)  # each element is used more or less often
    else:
        each = math.prod(x.value.shape[n] for n in others)
        channels.count_macs(weight.value, each, output.value.shape)


def contract(op: Op, channels: Channels, operands: list[Operand], output: Operand) -> None:
    """Tie axes of one letter, freeze sums that are not exact, label the output."""
    along: dict[str, Atoms | None] = {}
    zero: dict[str, bool] = {}
    for operand in operands:
        columns = zip(
            operand.letters,
            operand.value.shape,
            channels.labels(operand.value),
            channels.zeros(operand.value),
            strict=True,
        )
        for letter, size, atoms, flag in columns:
            if size == 1:
                continue
            if letter in along:
                why = f"{op.short} with a tensor of fixed size"
                atoms = channels.couple(atoms, along[letter], why)
            along[letter] = atoms
            zero[letter] = zero.get(letter, False) or flag
    for letter, atoms in along.items():
        if letter not in output.letters and not zero[letter]:
            channels.freeze(atoms, f"{op.short} sums over channels that masking does not zero")
    channels.set(
        output.value,
        [along.get(letter) for letter in output.letters],
        zeros=[zero.get(letter, True) for letter in output.letters],
    )


def _count(op: Op, channels: Channels, operands: list[Operand]) -> None:
    """Multiply-adds of a product of activations, for one image of the batch."""
    sizes: dict[str, tuple[int, Atoms | None]] = {}
    for operand in operands:
        shape, labels = operand.value.shape, channels.labels(operand.value)
        for letter, size, atoms in zip(operand.letters, shape, labels, strict=True):
            if sizes.get(letter, (1, None))[0] == 1:
                sizes[letter] = (size, atoms)
    channels.count_product(op, tuple(sizes.values()))
