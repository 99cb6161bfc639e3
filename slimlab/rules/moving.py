"""Floor 1. Operators that move elements around and keep all of them."""

from __future__ import annotations

import math

import numpy as np

from slimlab.channels import Channels
from slimlab.constraints import FIXED, Atoms
from slimlab.held_sizes import heads_of
from slimlab.rules.registry import channel_rule, freeze_inputs, named, tensors, tie, unknown
from slimlab.trace import Op, Shape, Value

SPATIAL = (
    "pool2d", "pool3d", "max_pool2d_with_index", "max_pool3d_with_index", "lp_pool2d", "pad3d",
    "bilinear_interp", "nearest_interp", "bicubic_interp", "linear_interp",
    "trilinear_interp", "temporal_shift", "grid_sample", "unpool", "unpool3d",
)  # fmt: skip
RESHAPES = ("reshape", "flatten", "squeeze", "unsqueeze", "view_shape")


@channel_rule(*(f"pd_op.{name}" for name in SPATIAL))
def spatial(op: Op, channels: Channels) -> None:
    """Works on height and width: axes whose length stays keep their channels."""
    inputs, y = tensors(op)
    x = inputs[0]
    if len(x.shape) != len(y.shape) or op.short == "temporal_shift":
        unknown(op, channels)
        return
    for extra in inputs[1:]:  # sizes, paddings, the grid to sample at, or places in a channel
        if op.short.startswith("unpool") and extra.shape == x.shape:
            for a, b in zip(channels.labels(x), channels.labels(extra), strict=True):
                channels.couple(a, b, "unpool of a tensor of fixed size")
        else:
            channels.freeze_value(extra, f"tells {op.short} where to read")
    last = not op.attributes.get("data_format", "NCHW").startswith("NC")
    axis = len(x.shape) - 1 if last else 1
    labels: list[Atoms | None] = []
    for n, along in enumerate(channels.labels(x)):
        keeps = n in {0, axis} and x.shape[n] == y.shape[n]
        if not keeps:
            channels.freeze(along, f"{op.short} works along these channels")
        labels.append(along if keeps else None)
    flags = channels.zeros(x) if not op.attributes.get("pad_value") else (False,) * len(labels)
    for output in op.outputs:
        if output is not None and output.shape == y.shape:
            channels.set(output, labels, zeros=flags if output is y else None)


@channel_rule("pd_op.pad")
def pad(op: Op, channels: Channels) -> None:
    """What is added at the ends of an axis is of fixed size, between it lies what was there."""
    (x, *value), y = tensors(op)
    added = [int(n) for n in op.attributes["paddings"]]
    known = channels.constant(value[0]) if value else (0,)
    labels: list[Atoms | None] = list(channels.labels(x))
    for axis, along in enumerate(labels):
        before, after = added[2 * axis : 2 * axis + 2]
        if along is None or not (before or after):
            continue
        if min(before, after) < 0:
            channels.freeze(along, "pad cuts these channels")
            labels[axis] = None
            continue
        channels.assume(op, along, "padded by a number that depends on it", part="pad")
        ends = (np.full(before, FIXED), along, np.full(after, FIXED))
        labels[axis] = np.concatenate(ends).astype(np.int64)
    keeps = known is not None and not any(known)
    channels.set(y, labels, zeros=[keeps and flag for flag in channels.zeros(x)])


@channel_rule(*named(RESHAPES))
def reshape(op: Op, channels: Channels) -> None:
    """Elements keep their order; runs of axes with equal products map onto each other."""
    inputs, y = tensors(op)
    x = inputs[0]
    labels = channels.labels(x)
    move = _Move(op, channels, x, y)
    for before, after in _segments(x.shape, y.shape):
        move.segment(before, after)
    channels.set(y, move.labels, zeros=move.zeros)
    channels.derive(y, x)
    if op.short.startswith("squeeze") and len(inputs) > 1 and channels.constant(inputs[1]) == ():
        for along in labels:
            # An axis that shrinks to one channel would be squeezed away: keep its first as well.
            channels.freeze(None if along is None else along[:1], "squeeze() takes any axis")


def _segments(before: Shape, after: Shape) -> list[tuple[list[int], list[int]]]:
    """Pair the shortest runs of axes that hold the same number of elements; ones are left out."""
    left = [axis for axis, size in enumerate(before) if size != 1]
    right = [axis for axis, size in enumerate(after) if size != 1]
    pairs: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(left) and j < len(right):
        a, b = [left[i]], [right[j]]
        i, j = i + 1, j + 1
        while (size_a := math.prod(before[n] for n in a)) != (
            size_b := math.prod(after[n] for n in b)
        ):
            if size_a < size_b:
                a.append(left[i])
                i += 1
            else:
                b.append(right[j])
                j += 1
        pairs.append((a, b))
    return pairs


class _Move:
    """One reshape: what becomes of the labels of its input, segment by segment."""

    def __init__(self, op: Op, channels: Channels, x: Value, y: Value) -> None:
        self.op, self.channels, self.before, self.after = op, channels, x.shape, y.shape
        self.own, self.flags = channels.labels(x), channels.zeros(x)
        self.labels: list[Atoms | None] = [None] * len(y.shape)
        self.zeros = [True] * len(y.shape)
        written = channels.constant(op.inputs[1]) if len(op.inputs) > 1 and op.inputs[1] else None
        # Paddle's own layers reshape a bias by its size.
        trusted = x.parameter is not None and not op.is_asked_by_user
        is_shape = op.short.startswith(("reshape", "view")) and not trusted
        self.written = written if is_shape and written and len(written) == len(y.shape) else None
        self.unwritten = not is_shape
        self.held: tuple[str, ...] = ()  # attributes of a layer that are the length of the carrier

    def segment(self, before: list[int], after: list[int]) -> None:
        """Carry the labels of some axes to the axes that hold the same elements."""
        labelled = [axis for axis in before if self.own[axis] is not None]
        if not labelled:
            return
        if len(labelled) > 1:
            if [self.before[n] for n in before] == [self.after[n] for n in after]:
                for a, b in zip(before, after, strict=True):
                    self._put(b, self.own[a], a)
                return
            longest = max(labelled, key=lambda n: self.before[n])
            others = [n for n in labelled if n != longest]
            self._freeze(others, "reshape merges it with a longer axis that can shrink")
            labelled = [longest]
        axis = labelled[0]
        along = self.own[axis]
        if along is None:
            return
        if bool((along == along[0]).all()):
            self._freeze(labelled, "reshape of channels that go all together")
            return
        view = [self.before[n] if n == axis else 1 for n in before]
        sizes = [self.after[n] for n in after]
        full = np.broadcast_to(along.reshape(view), [self.before[n] for n in before])
        full = full.reshape(sizes)
        varying = [0]
        if len(after) > 1:
            varying = [n for n in range(len(after)) if (full != np.take(full, [0], axis=n)).any()]
        chosen = varying[0] if len(varying) == 1 else self._carrier(along, after, varying)
        table = np.moveaxis(full, chosen, 0).reshape(sizes[chosen], -1)
        single = len(varying) == 1
        self._put(after[chosen], table[:, 0].copy() if single else tie(self.channels, table), axis)
        if self.held and not single:
            self.channels.holds(self.held, table[:, 0].copy())

    def _carrier(self, along: Atoms, after: list[int], varying: list[int]) -> int:
        """The axis that shrinks when channels are split over several.

        It is the one whose length the code leaves open with -1, or that of the heads where a layer
        remembers how many it has, or else the longest: in a channel shuffle that is the number of
        channels, not of groups.
        """
        if self.written is not None:
            left_open = [n for n in varying if self.written[after[n]] == -1]
            if left_open:
                return left_open[0]
            found = heads_of(self.channels, along, [self.after[after[n]] for n in varying])
            if found is not None:
                self.held = found[1]
                return varying[found[0]]
        return max(varying, key=lambda n: self.after[after[n]])

    def _put(self, axis: int, along: Atoms | None, source: int) -> None:
        self.labels[axis] = along
        self.zeros[axis] = self.flags[source]
        if self.unwritten or along is None:
            return
        size = None if self.written is None else self.written[axis]
        if size is None or size > 0:
            self.channels.assume(self.op, along, "the forward has its size written into it", size)

    def _freeze(self, axes: list[int], why: str) -> None:
        for axis in axes:
            self.channels.freeze(self.own[axis], why)


@channel_rule(*named(("transpose", "trans_layout")))
def transpose(op: Op, channels: Channels) -> None:
    """Axes change places."""
    (x,), y = tensors(op)
    labels, zeros = channels.labels(x), channels.zeros(x)
    perm = [int(axis) % len(labels) for axis in op.attributes["perm"]]
    channels.set(y, [labels[axis] for axis in perm], zeros=[zeros[axis] for axis in perm])
    channels.derive(y, x)


@channel_rule("pd_op.concat")
def concat(op: Op, channels: Channels) -> None:
    """Channels lie side by side along one axis; the others are tied."""
    inputs, y = tensors(op)
    parts = [value for value in channels.items(inputs[0]) if math.prod(value.shape)]
    if not parts:
        return
    joined = [n for n, size in enumerate(y.shape) if size != parts[0].shape[n]] or [0]
    labels: list[Atoms | None] = list(channels.labels(parts[0]))
    flags = [all(column) for column in zip(*map(channels.zeros, parts), strict=True)]
    for part in parts[1:]:
        for axis, along in enumerate(channels.labels(part)):
            if axis != joined[0]:
                why = "concat with a tensor of fixed size"
                labels[axis] = channels.couple(labels[axis], along, why)
    sides = [channels.labels(part)[joined[0]] for part in parts]
    if any(side is not None for side in sides):
        sizes = [part.shape[joined[0]] for part in parts]
        labels[joined[0]] = np.concatenate(
            [np.full(n, FIXED) if s is None else s for n, s in zip(sizes, sides, strict=True)]
        )
        # A part without labels is not masked, so it has no say in whether masked ones are zero.
        flags[joined[0]] = all(
            channels.zeros(part)[joined[0]]
            for part, side in zip(parts, sides, strict=True)
            if side is not None
        )
    channels.set(y, labels, zeros=flags)


@channel_rule("builtin.combine")
def combine(op: Op, channels: Channels) -> None:
    """Several tensors become one list value."""
    inputs, y = tensors(op)
    channels.set_list(y, inputs)


@channel_rule("pd_op.stack")
def stack(op: Op, channels: Channels) -> None:
    """A new axis; those of the parts are tied."""
    inputs, y = tensors(op)
    parts = channels.items(inputs[0])
    new = int(op.attributes["axis"]) % len(y.shape)
    labels: list[Atoms | None] = list(channels.labels(parts[0]))
    for part in parts[1:]:
        for axis, along in enumerate(channels.labels(part)):
            why = "stack with a tensor of fixed size"
            labels[axis] = channels.couple(labels[axis], along, why)
    flags = [all(column) for column in zip(*map(channels.zeros, parts), strict=True)]
    labels.insert(new, None)
    flags.insert(new, True)
    channels.set(y, labels, zeros=flags)


@channel_rule("pd_op.pixel_shuffle")
def pixel_shuffle(op: Op, channels: Channels) -> None:
    """Blocks of r x r neighbouring channels become the pixels of one."""
    (x,), y = tensors(op)
    factor = int(op.attributes["upscale_factor"]) ** 2
    _blocks(op, channels, lambda along: tie(channels, along.reshape(-1, factor)), (x, y))


@channel_rule("pd_op.pixel_unshuffle")
def pixel_unshuffle(op: Op, channels: Channels) -> None:
    """Pixels of one channel become a block of r x r channels."""
    (x,), y = tensors(op)
    factor = int(op.attributes["downscale_factor"]) ** 2
    _blocks(op, channels, lambda along: np.repeat(along, factor), (x, y))


@channel_rule("pd_op.maxout")
def maxout(op: Op, channels: Channels) -> None:
    """The largest of some neighbouring channels."""
    (x,), y = tensors(op)
    number = int(op.attributes["groups"])
    if int(op.attributes["axis"]) % len(x.shape) != 1:
        freeze_inputs(op, channels, "maxout over an axis that is not the channels'")
        return
    labels, zeros = list(channels.labels(x)), channels.zeros(x)
    labels[1] = None if labels[1] is None else tie(channels, labels[1].reshape(-1, number))
    channels.set(y, labels, zeros=zeros)


@channel_rule("pd_op.shuffle_channel", "pd_op.channel_shuffle")
def channel_shuffle(op: Op, channels: Channels) -> None:
    """Groups of channels are interleaved: the same positions go in each of them."""
    (x,), y = tensors(op)
    groups = int(op.attributes.get("groups", op.attributes.get("group", 1)))

    def interleave(along: Atoms) -> Atoms:
        tie(channels, along.reshape(groups, -1).T)
        return np.ascontiguousarray(along.reshape(groups, -1).T.reshape(-1))

    _blocks(op, channels, interleave, (x, y))


def _blocks(op: Op, channels: Channels, change: object, ends: tuple[Value, Value]) -> None:
    x, y = ends
    last = not op.attributes.get("data_format", "NCHW").startswith("NC")
    if last or not callable(change):
        freeze_inputs(op, channels, f"{op.short} with channels last")
        return
    labels, zeros = channels.labels(x), channels.zeros(x)
    for axis, along in enumerate(labels):
        if axis > 1:
            channels.freeze(along, f"{op.short} works along these channels")
    made = None if labels[1] is None else change(labels[1])
    rest = [None] * (len(y.shape) - 2)
    channels.set(y, [labels[0], made, *rest], zeros=[*zeros[:2], *([True] * len(rest))])
