"""Floor 0. Long work as generators of frozen steps; knows neither threads nor widgets.

Every long verb `x` has a twin `iter_x`: a generator that yields `Step` values and *returns* the
result. `x` drains it with a progress bar; a widget drains it in a thread. Whoever drains may ask it
to finish early with `finish_early`, and gets what was done so far.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from tqdm.auto import tqdm

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Step(Generic[T]):
    """One sign of life of a piece of long work.

    Attributes
    ----------
    done, total
        Units of work finished, and in all. `done` never falls.
    label
        What is being worked on, for a person.
    item
        The result so far, as a frozen value; `None` where this step adds nothing to it.

    Examples
    --------
    >>> import slimlab as sl
    >>> sl.Step(3, 10, "conv1")
    Step(done=3, total=10, label='conv1', item=None)
    """

    done: int
    total: int
    label: str
    item: T | None = None


class Stopped(Exception):  # noqa: N818 - a signal, like GeneratorExit, not an error
    """Thrown into a suspended generator to make it return what it has."""


def finish_early(steps: Generator[Step[T], None, R]) -> R:
    """Ask suspended work to stop and return its partial result.

    Raises `Stopped` when the work has no partial result to give.

    Examples
    --------
    >>> from slimlab.steps import Step, Stopped, finish_early
    >>> def iter_count(n):
    ...     seen = 0
    ...     try:
    ...         for seen in range(1, n + 1):
    ...             yield Step(seen, n, "counting")
    ...     except Stopped:
    ...         pass
    ...     return seen
    >>> steps = iter_count(10)
    >>> next(steps).done, next(steps).done
    (1, 2)
    >>> finish_early(steps)
    2
    """
    try:
        steps.throw(Stopped())
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    steps.close()
    msg = "The work went on after it was asked to stop."
    raise RuntimeError(msg)


def drain(steps: Generator[Step[T], None, R], *, progress: bool = True, title: str = "") -> R:
    """Run a generator of steps to its end and give its result.

    Parameters
    ----------
    steps
        What an `iter_` verb returned.
    progress
        Show a progress bar (in a notebook a widget, in a terminal a line).
    title
        Words before the bar.
    """
    bar: Any = None
    try:
        while True:
            step = next(steps)
            if progress and bar is None:
                bar = tqdm(total=step.total, desc=title, leave=False)
            if bar is not None:
                bar.total = step.total
                bar.set_postfix_str(step.label, refresh=False)
                bar.update(step.done - bar.n)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    finally:
        steps.close()
        if bar is not None:
            bar.close()
