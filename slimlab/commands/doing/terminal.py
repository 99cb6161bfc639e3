"""Floor 6. Talking to a person in a terminal: lines, tables, notes, and stopping."""

from __future__ import annotations

import signal
import sys
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

import pandas as pd
from tqdm.auto import tqdm

from slimlab.errors import SlimLabWarning
from slimlab.steps import Step, drain, finish_early

R = TypeVar("R")


def say(text: str) -> None:
    """Write a line to the standard output."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def say_above(text: str) -> None:
    """Write a line to the standard output, above a progress bar where there is one."""
    tqdm.write(text, file=sys.stdout)
    sys.stdout.flush()


def show(frame: pd.DataFrame) -> None:
    """Write a table: numbers with few digits, nothing for what is missing."""
    empty = [name for name in frame.columns if frame[name].isna().all()]
    text = frame.drop(columns=empty).to_string(index=False, na_rep="", float_format="{:.2f}".format)
    say(text)


@contextmanager
def notes() -> Iterator[None]:
    """Write SlimLab's warnings as sentences, and leave out those of libraries below."""

    def told(message: Warning | str, *others: Any, **more: Any) -> None:
        sys.stderr.write(f"slimlab: note: {message}\n")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", SlimLabWarning)
        warnings.showwarning = told
        yield


def work(steps: Generator[Step[Any], None, R], *, title: str, quiet: bool) -> tuple[R, bool]:
    """Drain long work under a progress bar; Ctrl-C or a SIGTERM asks it to stop between two steps.

    Returns
    -------
    result, stopped
        A partial result where it was stopped. A second signal ends the process at once.
    """
    asked: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        for each in before:
            signal.signal(each, before[each])

    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        for each in before:
            signal.signal(each, stop)
        result = drain(_stoppable(steps, asked), progress=not quiet, title=title)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    return result, bool(asked)


def _stoppable(
    steps: Generator[Step[Any], None, R], asked: list[int]
) -> Generator[Step[Any], None, R]:
    try:
        while not asked:
            yield next(steps)
        return finish_early(steps)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    finally:
        steps.close()
