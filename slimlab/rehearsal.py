"""Floor 1. Rehearse a cut before it is promised: does the model's code follow when channels go?

The rules read a program; the model's `forward` is Python, and may have sizes written into it. A
rehearsal cuts all groups at once, twice: to a few channels, and to some more, of which the others
are zeroed. Both must give the same output. That costs far less than running the whole model; where
the code goes another way for some sizes, the second is the whole model nevertheless. No
rehearsal is needed where no size is given or read. What fails is searched for by halving.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from paddle import Tensor
from paddle.nn import Layer

from slimlab.code_paths import functions_of, may_branch, reads_sizes
from slimlab.graph import ChannelGroup
from slimlab.layers import Tensors, sublayers
from slimlab.surgery import Scratch, held_size

TOLERANCE = 1e-3  # relative, float32, in a network that was cut to a few channels
SHARE = 0.3  # of the channels kept in the larger of the two cuts
MOST_CUTS = 48
VARIETY = 5  # different numbers of channels that groups of one width are cut to
Item = TypeVar("Item")
Removed = dict[tuple[str, int], list[NDArray[np.int64]]]


class Rehearsal:
    """Cuts some groups of one model and says what went wrong."""

    def __init__(
        self, model: Layer, inputs: Sequence[Tensor], shapes: Sequence[tuple[int, ...]]
    ) -> None:
        self.model = model
        self.inputs = inputs
        self.shapes = list(shapes)
        self.left = MOST_CUTS
        self.suspicious = False
        functions = self.functions = functions_of(model)
        self.reads = reads_sizes(functions)
        # Code that reads sizes may take another path for any smaller one: compare with the whole.
        self.whole = self.reads and may_branch(functions)
        self._own: dict[str, NDArray[np.float32]] = {}
        self._scratch: Scratch | None = None

    def failure(self, groups: Collection[ChannelGroup]) -> str:
        """Cut these groups; give what went wrong in words, `""` when nothing did."""
        if not groups:
            return ""
        if self.left < 1:
            return "it was not tried: too many other layers had failed"
        for turn in range(max(_turns(groups), 2 if self.suspicious else 1)):
            found = self._try(groups, turn)
            if found:
                # Code that fails somewhere may fit elsewhere by chance: other numbers of channels.
                self.suspicious = True
                return found
        return ""

    def _try(self, groups: Collection[ChannelGroup], turn: int) -> str:
        self.left -= 1
        few: Removed = {}
        more: Removed = {}
        rng = np.random.default_rng(turn)
        lost: Counter[str] = Counter()
        lost_more: Counter[str] = Counter()
        alike: Counter[int] = Counter()
        for group in groups:
            n = alike[group.width]
            alike[group.width] += 1
            small, wide = _widths(group.width, n // _variety(group.width) ** turn)
            order = rng.permutation(group.width)
            _remove(few, group, order[small:])
            lost.update(group.lost(group.width - small))
            if not self.whole:
                _remove(more, group, order[wide:])
                lost_more.update(group.lost(group.width - wide))
        names = dict.fromkeys(name for name, _ in few)
        if self._scratch is None or not all(name in self._own for name in names):
            tensors = self.model.state_dict()
            self._own = self._noisy(tensors)
            self._own.update({n: tensors[n].numpy() for n in names if n not in self._own})
            self._scratch = Scratch(self.model, self._own)
        try:
            found = self._scratch.run(self._cut(few, {}), self.inputs, self._held(lost))
            expected = self._scratch.run(self._cut(more, few), self.inputs, self._held(lost_more))
        except Exception as error:
            lines = [line for line in str(error).splitlines() if line.strip()]
            return f"the smaller model fails with {type(error).__name__}: {_short(lines)}"
        return self._compare(found, expected)

    def _held(self, lost: Mapping[str, int]) -> dict[str, int]:
        """What layers remember when they have lost so many heads."""
        layers = sublayers(self.model) if lost else {}
        return {path: (held_size(layers, path) or 0) - gone for path, gone in lost.items()}

    def _noisy(self, tensors: Mapping[str, Tensor]) -> dict[str, NDArray[np.float32]]:
        """Fresh scales and shifts are all one or all zero, which would hide mistakes: others."""
        rng = np.random.default_rng(0)
        found = {}
        for name in Tensors.of(self.model).slots:
            tensor = tensors[name]
            if len(tensor.shape) == 1 and tensor.is_floating_point():
                value = tensor.numpy()
                if value.dtype.kind == "f" and value.size and (value == value[0]).all():
                    found[name] = value + (0.2 * rng.random(value.shape)).astype(value.dtype)
        return found

    def _cut(self, removed: Removed, zeroed: Removed) -> dict[str, NDArray[np.float32]]:
        """The values of a copy from which some indices are cut and others zeroed."""
        values = dict(self._own)
        for (name, axis), gone in zeroed.items():
            if not name.endswith("_variance"):
                if values[name] is self._own[name]:
                    values[name] = np.array(values[name])
                np.moveaxis(values[name], axis, 0)[np.concatenate(gone)] = 0
        for (name, axis), gone in removed.items():
            stays = np.ones(values[name].shape[axis], bool)
            stays[np.concatenate(gone)] = False
            values[name] = np.compress(stays, values[name], axis=axis)
        return values

    def _compare(
        self, found: list[NDArray[np.float32]], expected: list[NDArray[np.float32]]
    ) -> str:
        for have, want in zip(found, expected, strict=True):
            if have.shape != want.shape:
                return "the shape of the output changes"
            scale = max(1e-6, float(np.abs(want).max(initial=0)))
            difference = float(np.abs(np.subtract(want, have, dtype=np.float64)).max(initial=0))
            if np.isfinite(want).all() and not difference <= TOLERANCE * scale:
                return "the smaller model computes something else than the masked one"
        if sorted(a.shape for a in found) != sorted(self.shapes):
            return "the shape of the output changes"
        return ""


def _widths(width: int, turn: int) -> tuple[int, int]:
    """How many channels the two cuts leave of a group.

    Groups of one width are cut to different ones, or code that takes one's size for another's
    would pass.
    """
    wide = max(2, round(SHARE * width))
    small = 1 + turn % _variety(width)
    if wide // 2 > VARIETY:
        return wide // 2 + 1 - small, wide
    return small, min(width, max(wide, small + 1))


def _variety(width: int) -> int:
    """Different numbers of channels that groups of a width are cut to."""
    half = max(2, round(SHARE * width)) // 2
    if half > VARIETY:
        return half - 1
    return 2 if width == 2 else min(width - 1, VARIETY)


def _turns(groups: Collection[ChannelGroup]) -> int:
    """Rehearsals until no two groups of one width were cut to the same number in all of them."""
    most = 1
    for width, count in Counter(group.width for group in groups).items():
        turns = 1
        # Of two channels one or both stay; each group has to lose one some time.
        while _variety(width) ** turns - (width == 2) < count:
            turns += 1
        most = max(most, turns)
    return most


def _remove(removed: Removed, group: ChannelGroup, gone: NDArray[np.int64]) -> None:
    for m in group.members:
        removed.setdefault((m.parameter, m.axis), []).append(m.indices[gone].reshape(-1))


def _short(lines: Sequence[str]) -> str:
    told = [line for line in lines if "Error:" in line] or list(lines)
    return told[-1].strip()[:160] if told else ""


def accept(items: Sequence[Item], holds: Callable[[set[Item]], bool]) -> set[Item]:
    """The largest set that halving finds for which `holds` is true; all of them together is not."""
    good: set[Item] = set()

    def visit(part: Sequence[Item]) -> None:
        if holds(good | set(part)):
            good.update(part)
        elif len(part) > 1:
            halve(part)

    def halve(part: Sequence[Item]) -> None:
        visit(part[: len(part) // 2])
        visit(part[len(part) // 2 :])

    if len(items) > 1:
        halve(items)
    return good


def unique(keys: Iterable[str]) -> list[str]:
    """Each key once, in order."""
    return list(dict.fromkeys(keys))
