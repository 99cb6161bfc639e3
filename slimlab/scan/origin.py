"""Floor 3. What a user's metric computes, as a hash: its code and the values that it reads.

Knows functions; knows neither scans nor files. The same function gives the same hash in another
process; what can't be looked into counts by its type only.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from types import CodeType, FunctionType, MethodType
from typing import Any

import numpy as np
from paddle import Tensor

from slimlab.task import Metric

_PLAIN = (str, bytes, int, float, complex, type(None), type(Ellipsis))


def origin_of(metric: Metric) -> dict[str, str]:
    """The fact of a scan's identity that a metric's name leaves open; none for SlimLab's own.

    A name says nothing of what a user's function computes: when it is changed, a scan file must
    not answer with what the old one gave. Python's own versions differ in their code as well; then
    a file is refused that could have been gone on with, never the other way round.

    Examples
    --------
    >>> from slimlab import Metric
    >>> from slimlab.scan.origin import origin_of
    >>> def margin(scale):
    ...     return Metric("margin", lambda logits, labels: scale * logits.max(axis=1))
    >>> origin_of(margin(1.0)) == origin_of(margin(1.0))
    True
    >>> origin_of(margin(1.0)) == origin_of(margin(2.0))
    False
    """
    if _is_of(metric.function, "slimlab"):
        return {}
    digest = hashlib.blake2b(digest_size=16)
    for part in _parts(metric.function, set()):
        digest.update(len(part).to_bytes(8, "little") + part)
    return {"metric_code": digest.hexdigest()}


def _parts(value: Any, seen: set[int]) -> Iterator[bytes]:
    """What a value is, piece by piece; never its address."""
    yield type(value).__qualname__.encode()
    if isinstance(value, _PLAIN):
        yield repr(value).encode()
        return
    if isinstance(value, (np.ndarray, np.generic, Tensor)):
        array = value.numpy() if isinstance(value, Tensor) else np.asarray(value)
        yield f"{array.shape}{array.dtype}".encode()
        yield b"" if array.dtype.hasobject else np.ascontiguousarray(array).tobytes()
        return
    if id(value) in seen:  # a function that calls itself
        return
    seen.add(id(value))
    if isinstance(value, (set, frozenset)):  # their order differs from process to process
        yield from sorted(b"|".join(_parts(one, seen)) for one in value)
        return
    for part in _inside(value):
        yield from _parts(part, seen)


def _inside(value: Any) -> Sequence[Any]:
    """The values that another one is made of."""
    if isinstance(value, CodeType):
        return [value.co_code, value.co_names, value.co_consts, value.co_freevars]
    if isinstance(value, FunctionType):
        if _is_of(value, "paddle", "numpy", "slimlab"):
            return [value.__module__, value.__qualname__]
        cells = [_content(cell) for cell in value.__closure__ or ()]
        read = {n: value.__globals__[n] for n in _names(value.__code__) if n in value.__globals__}
        return [value.__code__, value.__defaults__, value.__kwdefaults__, cells, read]
    if isinstance(value, MethodType):
        return [value.__func__, value.__self__]
    if isinstance(value, functools.partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, Mapping):
        return [one for pair in value.items() for one in pair]
    if isinstance(value, (list, tuple)):
        return value
    if isinstance(value, type) or not hasattr(value, "__dict__"):
        return [_module(value), getattr(value, "__name__", "")]
    if type(value).__module__ == "builtins":  # a module
        return [getattr(value, "__name__", "")]
    return [type(value).__call__ if callable(value) else None, vars(value)]


def _names(code: CodeType) -> list[str]:
    """Names that a function and those inside it may look up among the globals."""
    inner = [n for one in code.co_consts if isinstance(one, CodeType) for n in _names(one)]
    return list(dict.fromkeys([*code.co_names, *inner]))


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # it is filled later
        return None


def _is_of(value: Any, *packages: str) -> bool:
    """Whether it is a function that a package has under a name: that says enough."""
    named = "<" not in getattr(value, "__qualname__", "<")
    return named and _module(value).partition(".")[0] in packages


def _module(value: Any) -> str:
    return str(getattr(value, "__module__", None) or "")
