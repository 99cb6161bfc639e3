"""Floor 1. What tensors can do in eager mode and Paddle's tracer refuses, said in another way.

`Tensor.view` and its like share memory, which a traced program can't, so Paddle refuses the whole
network. While a network is traced they stand for operators that compute the same. `paddle.shape`
is an operator in a program, after which Paddle knows no more how large what is made with it is;
here it gives the numbers, which are those of the example. A function with a gradient of its own
(`PyLayer`) is a block that can't be looked into; here it is what it computes. Knows no model.
"""

from __future__ import annotations

import contextlib
import operator
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import paddle
from paddle.jit.dy2static import parameter_recorder
from paddle.jit.dy2static.program_translator import convert_to_static
from paddle.jit.dy2static.py_layer import StaticPyLayer
from paddle.tensor.attribute import shape as ordinary_shape

_LOCK = threading.RLock()  # what is replaced is replaced for the whole process
_Value = paddle.pir.Value
_ABSENT = object()


def _view(x: Any, *shape: Any, **named: Any) -> Any:
    wanted = named.get("shape_or_dtype", named.get("size", named.get("dtype", shape)))
    if len(shape) == 1:
        wanted = shape[0]
    if isinstance(wanted, int):
        wanted = [wanted]
    if isinstance(wanted, (list, tuple)):
        return paddle.reshape(x, list(wanted))
    if paddle.empty([0], dtype=wanted).dtype == paddle.empty([0], dtype=x.dtype).dtype:
        return x
    msg = "view() as another type of number has no operator in a traced program."
    raise NotImplementedError(msg)


def _view_as(x: Any, other: Any) -> Any:
    return paddle.reshape(x, list(other.shape))


def _windows(x: Any, axis: int, size: int, step: int) -> Any:
    """`Tensor.unfold`: windows along an axis, each of which lies along a new last axis."""
    rank = len(x.shape)
    axis %= rank
    starts = range(0, x.shape[axis] - size + 1, step)
    parts = [paddle.slice(x, [axis], [n], [n + size]) for n in starts]
    order = [0 if n == axis else n + 1 for n in range(rank)]
    return paddle.stack(parts, axis=0).transpose([*order, axis + 1])


def _narrow(x: Any, dim: int, start: int, length: int) -> Any:
    first = start + x.shape[dim] if start < 0 else start
    return paddle.slice(x, [dim], [first], [first + length])


def _strided(x: Any, shape: Any, stride: Any, offset: int = 0) -> Any:
    return paddle._C_ops.as_strided(x, list(shape), list(stride), offset)


def _no_hook(x: Any, hook: object) -> None:
    """Hooks on gradients say nothing of the forward pass."""


def _fill(x: Any, value: float) -> Any:
    x[...] = value
    return x


def _zero(x: Any) -> Any:
    return _fill(x, 0)


def _copy(x: Any, other: Any, *_: Any) -> Any:
    x[...] = other
    return x


def _set(x: Any, value: Any) -> None:
    x[...] = value


def _itself(x: Any) -> Any:
    return x


def _nothing(x: Any) -> None:
    return None


def _detached(x: Any) -> Any:
    return x.detach()


def _length(x: Any) -> int:
    return int(x.shape[0])


class _Size(int):
    """A length that can do what a tensor of one number can."""

    def item(self) -> int:
        return int(self)

    numpy = astype = cast = item


class _Sizes(list[_Size]):
    """Lengths of axes that are computed with one by one, as a tensor is."""

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        return _Sizes(found) if isinstance(at, slice) else found

    def _each(self, other: Any, work: Callable[[int, int], int]) -> _Sizes:
        others = other if isinstance(other, (list, tuple)) else [other] * len(self)
        return _Sizes(_Size(work(a, int(b))) for a, b in zip(self, others, strict=True))

    def __add__(self, other: Any) -> Any:
        return self._each(other, operator.add)

    def __radd__(self, other: Any) -> Any:
        return self._each(other, operator.add)

    def __sub__(self, other: Any) -> Any:
        return self._each(other, operator.sub)

    def __mul__(self, other: Any) -> Any:
        return self._each(other, operator.mul)

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Any:
        return self._each(other, operator.floordiv)

    def __mod__(self, other: Any) -> Any:
        return self._each(other, operator.mod)

    def astype(self, _: object) -> _Sizes:
        return self

    cast = astype

    def tolist(self) -> list[int]:
        return [int(n) for n in self]

    def numpy(self) -> Any:
        return np.asarray(self.tolist())


def _shape(x: Any) -> Any:
    if any(n < 0 for n in x.shape):
        return ordinary_shape(x)
    return _Sizes(map(_Size, x.shape))


class _NoContext:
    """What a function may keep for a gradient that is not asked for."""

    def save_for_backward(self, *_: Any) -> None:
        """Keep nothing."""

    mark_not_inplace = mark_non_differentiable = set_materialize_grads = save_for_backward


def _apply(self: Any, *given: Any, **named: Any) -> Any:
    return convert_to_static(self.orig_forward_fn)(_NoContext(), *given, **named)


_METHODS: dict[str, object] = {
    "view": _view, "view_as": _view_as, "unfold": _windows, "narrow": _narrow, "fill_": _fill,
    "zero_": _zero, "copy_": _copy, "set_value": _set, "detach_": _detached, "__len__": _length,
    "as_strided": _strided, "register_hook": _no_hook, "data": property(_itself),
    "grad": property(_nothing),
}  # fmt: skip
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "view": _view, "view_as": _view_as, "unfold": _windows, "narrow": _narrow,
    "as_strided": _strided,
}  # fmt: skip


@contextlib.contextmanager
def standing_in(*, known_sizes: bool = True) -> Iterator[None]:
    """Let traced tensors do what eager ones do; one thread at a time.

    Paddle keeps nothing of what was traced before, nor afterwards. With `known_sizes`,
    `paddle.shape` gives numbers, which can do most of what a tensor can.
    """
    functions = {**_FUNCTIONS, "shape": _shape} if known_sizes else _FUNCTIONS
    with _LOCK:
        places: Sequence[tuple[Any, str, object]] = [
            *((_Value, name, new) for name, new in _METHODS.items()),
            *((paddle, name, _either(name, new)) for name, new in functions.items()),
            (StaticPyLayer, "apply", _apply),
        ]
        before = [vars(owner).get(name, _ABSENT) for owner, name, _ in places]
        for owner, name, new in places:
            setattr(owner, name, new)
        try:
            _forget_programs()
            yield
        finally:
            _forget_programs()
            for (owner, name, _), old in zip(places, before, strict=True):
                if old is _ABSENT:
                    delattr(owner, name)
                else:
                    setattr(owner, name, old)


def _forget_programs() -> None:
    """Drop what Paddle keeps of programs whose tracing failed, and the weights with it.

    It finds what belongs to a program by the program's address, and drops it only when tracing
    succeeds. Another program at the same address is then given values whose memory is free, and the
    process ends with a signal.
    """
    recorder = parameter_recorder._global_parameter_recorder
    recorder.params_dict.clear()
    recorder.tensor2value.clear()
    parameter_recorder._global_inplace_map.params_dict.clear()


def _either(name: str, new: Callable[..., Any]) -> Callable[..., Any]:
    """A function of Paddle's that is replaced for traced tensors only."""
    old = getattr(paddle, name)

    def call(x: Any, *rest: Any, **named: Any) -> Any:
        return (new if isinstance(x, _Value) else old)(x, *rest, **named)

    return call
