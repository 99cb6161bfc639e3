"""Floor 2. What a runtime is, and the dictionary of those that there are. Knows none of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from slimlab.errors import TaskError, UnsupportedOpError, nearest

Array = NDArray[np.float32]
WHOLE = ("onnxruntime", "openvino")  # for whole networks, the fastest first


class Compiled(Protocol):
    """A network that can be run on this machine."""

    def __call__(self, inputs: Sequence[Array]) -> list[Array]:
        """Take one array an input of the network, in its order; give one an output.

        What a network gives in bfloat16 are bits for another one to take: NumPy has no such type.
        """
        ...

    def rest(self) -> None:
        """Give back the memory that only running takes, where the runtime can; keep the weights."""
        ...


class Runtime(Protocol):
    """Compiles an ONNX model with static shapes for this machine.

    Attributes
    ----------
    name
        As tables show it.
    dtypes
        Precisions it can compute in on this machine; `"float32"` is always one.
    channels_last
        Whether it computes convolutions with channels last: what passes from one network to
        another is best handed over like that.
    """

    name: str
    channels_last: bool

    @property
    def dtypes(self) -> tuple[str, ...]:
        """Precisions that this machine's processor computes in."""
        ...

    def compile(
        self, model: Any, *, dtype: str = "float32", threads: int | None = None
    ) -> Compiled:
        """Make a function of an `onnx.ModelProto`; `threads` are all of the machine's when None.

        It and the function raise `UnsupportedOpError` for what the runtime can't do.
        """
        ...


RUNTIMES: dict[str, Runtime] = {}


def runtime(name: str) -> Callable[[type[Any]], type[Any]]:
    """Register a class as a runtime under a name.

    Examples
    --------
    >>> from slimlab.runtimes import RUNTIMES, runtime
    >>> @runtime("nothing")
    ... class Nothing:
    ...     name = "nothing"
    >>> del RUNTIMES["nothing"]
    """

    def register(kind: type[Any]) -> type[Any]:
        RUNTIMES[name] = kind()
        return kind

    return register


def refused(name: str, error: Exception) -> UnsupportedOpError:
    """What a runtime's own error becomes."""
    first = (str(error).strip().splitlines() or [""])[0]
    msg = f"{name} can't run this network: {first} Use runtime='paddle'."
    return UnsupportedOpError(msg, runtime=name)


def fastest(dtype: str = "float32", names: Sequence[str] = WHOLE) -> Runtime:
    """Give the first runtime that computes in a precision on this machine.

    Parameters
    ----------
    dtype
        The precision.
    names
        Runtimes, the one that is liked best first. Of whole networks ONNX Runtime was the fastest
        in float32; only OpenVINO computes in bfloat16.

    Raises
    ------
    TaskError
        For an unknown runtime, or a precision that none of them or this machine's processor has.

    Examples
    --------
    >>> from slimlab.runtimes import fastest
    >>> fastest().name
    'onnxruntime'
    """
    for name in names:
        if name not in RUNTIMES:
            msg = f"No runtime {name!r}. {nearest(name, RUNTIMES)}"
            raise TaskError(msg, runtime=name)
    for name in names:
        if dtype in RUNTIMES[name].dtypes:
            return RUNTIMES[name]
    have = {n: RUNTIMES[n].dtypes for n in names}
    msg = (
        f"No runtime computes in {dtype!r} on this machine: "
        + "; ".join(f"{n} has {', '.join(d)}" for n, d in have.items())
        + ". Use float32."
    )
    raise TaskError(msg, dtype=dtype)
