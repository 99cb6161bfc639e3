"""Floor 1. Cheaper call stacks for the operators that Paddle traces.

Paddle notes with every operator which lines of Python asked for it, and for every parameter, three
times: reading those stacks, down to the bottom and with the text of each line, is a third of what
tracing costs. While a network is traced, a stack here holds only the frames of the network's code
and of the functions it calls, without their text, which `trace.Op.source` looks up where it is
needed.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import paddle

_PADDLE = str(Path(paddle.__file__).parent).replace(chr(92), "/")
# Where tracing begins: frames below are those of whoever asked for it.
_START = ("dy2static/program_translator.py",)
# What stands between a layer and its forward, and makes no operator.
_BETWEEN = tuple(f"{_PADDLE}/{part}" for part in ("base/", "utils/", "jit/", "nn/layer/layers.py"))
# Where parameters are made again in the program: no line of the network asked for them.
_MAKING = tuple(f"{_PADDLE}/{part}" for part in ("pir/core.py", "nn/initializer/"))


@contextlib.contextmanager
def short_stacks() -> Iterator[None]:
    """Let call stacks be short in this thread; enter it inside `standing_in`, whose lock it needs.

    Examples
    --------
    >>> import traceback
    >>> from slimlab.call_stacks import short_stacks
    >>> with short_stacks():
    ...     [frame.line for frame in traceback.extract_stack()][-1]
    ''
    """
    usual, here = traceback.extract_stack, threading.get_ident()

    def extract(f: FrameType | None = None, limit: int | None = None) -> traceback.StackSummary:
        if f is not None or limit is not None or threading.get_ident() != here:
            return usual(f if f is not None else sys._getframe(1), limit)
        return _short(sys._getframe(1))

    traceback.extract_stack = extract
    try:
        yield
    finally:
        traceback.extract_stack = usual


def _short(frame: FrameType | None) -> traceback.StackSummary:
    found = traceback.StackSummary()
    while frame is not None:
        code, number = frame.f_code, frame.f_lineno
        file = code.co_filename.replace(chr(92), "/")
        if file.endswith(_START) or (not found and file.startswith(_MAKING)):
            break
        if not found or not file.startswith(_BETWEEN):
            one = traceback.FrameSummary(
                code.co_filename, number, code.co_name, lookup_line=False, line=""
            )
            found.append(one)
        frame = frame.f_back
    found.reverse()
    return found
