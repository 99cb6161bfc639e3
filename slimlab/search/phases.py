"""Floor 4. Several pieces of long work one after the other, as one: progress, and stopping."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Generic, TypeVar

from slimlab.steps import Step, Stopped, finish_early

R = TypeVar("R")
T = TypeVar("T")
UNITS = 100  # of progress a phase


class Phases(Generic[T]):
    """Counts phases, each worth a hundred units of progress.

    Attributes
    ----------
    item
        The result so far, given with each step.

    Examples
    --------
    >>> from slimlab.search.phases import Phases
    >>> from slimlab.steps import Step
    >>> def count(n):
    ...     for k in range(1, n + 1):
    ...         yield Step(k, n, "counting")
    ...     return n
    >>> phases = Phases(total=2)
    >>> [step.done for step in phases.run(count(4), "first")]
    [25, 50, 75, 100]
    >>> [step.done for step in phases.run(count(1), "second")]
    [200]
    """

    def __init__(self, total: int) -> None:
        self._stopped = False
        self.item: T | None = None
        self._total, self._finished = total, 0

    def stopped(self) -> bool:
        """Whether the work was asked to stop: the phase under way gave what it had, and whoever
        runs the phases begins no other.
        """
        return self._stopped

    def run(
        self, steps: Generator[Step[Any], None, R], label: str
    ) -> Generator[Step[T], None, R | None]:
        """Run one phase; its result, a partial one when stopped, or None where there is none."""
        value: R | None = None
        try:
            while True:
                step = next(steps)
                share = min(1.0, step.done / max(1, step.total))
                yield self._step(int(UNITS * share), label)
        except StopIteration as end:
            value = end.value
        except Stopped:
            self._stopped = True
            try:
                value = finish_early(steps)
            except Stopped:
                value = None
        finally:
            steps.close()
        self._finished += 1
        return value

    def tick(self, label: str) -> Generator[Step[T], None, None]:
        """A phase that is over in no time, or was just done."""
        self._finished += 1
        try:
            yield self._step(0, label)
        except Stopped:
            self._stopped = True

    def _step(self, units: int, label: str) -> Step[T]:
        whole = UNITS * self._total
        return Step(min(whole, UNITS * self._finished + units), whole, label, self.item)
