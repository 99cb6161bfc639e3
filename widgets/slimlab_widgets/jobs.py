"""Top floor. Runs one core generator at a time in a thread, and stops it on request.

Knows `slimlab.steps` and nothing of models, widgets or the browser. The cell that starts a job
returns at once, so that the kernel stays free; a job can be stopped between any two of its steps
and then gives its partial result.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Any

from slimlab.errors import SlimLabError
from slimlab.steps import Step, Stopped, finish_early

Steps = Generator[Step[Any], None, Any]
Runner = Callable[[Callable[[], None]], None]

_NAME = "slimlab-job"
# How far heavy work steps back behind the page, the cells and everything else of a person.
_BEHIND = 10
# Before this much work is seen, a prediction of the time left would only jump about.
_SECONDS_BEFORE_ETA = 0.7


def in_thread(work: Callable[[], None]) -> None:
    """Run work in a daemon thread: what a notebook wants."""
    threading.Thread(target=work, daemon=True, name=_NAME).start()


def step_back() -> None:
    """Let everything else go first, in a thread of a job and where threads have priorities (Linux).

    A scan takes all cores; the browser that draws beside it would wait for them. Threads that are
    started by this one, such as a runtime's, step back with it.
    """
    if sys.platform != "linux" or threading.current_thread().name != _NAME:
        return
    with contextlib.suppress(OSError):
        mine = threading.get_native_id()
        now = os.getpriority(os.PRIO_PROCESS, mine)
        os.setpriority(os.PRIO_PROCESS, mine, min(19, now + _BEHIND))


def inline(work: Callable[[], None]) -> None:
    """Run work before returning: what tests and scripts want."""
    work()


@dataclass(frozen=True)
class Progress:
    """What is known about the present or the last job.

    Attributes
    ----------
    kind
        Which verb: `"scan"`, `"fine-tune"`, ...; empty before the first job.
    status
        `idle`, `running`, `stopping`, `stopped`, `done` or `error`.
    done, total
        Units of work.
    label
        What is being worked on.
    elapsed, left
        Seconds since the start, and predicted to the end (`None` while unknown).
    message
        A sentence for the status line.
    details
        The traceback of an error that was not foreseen, else empty.
    warning
        What went wrong beside the running job, which goes on; stays until the next job.
    """

    kind: str = ""
    status: str = "idle"
    done: int = 0
    total: int = 0
    label: str = ""
    elapsed: float = 0.0
    left: float | None = None
    message: str = ""
    details: str = ""
    warning: str = ""

    @property
    def busy(self) -> bool:
        """Whether a job is under way."""
        return self.status in {"running", "stopping"}


@dataclass(frozen=True)
class Work:
    """A piece of long work, described before it is started.

    Attributes
    ----------
    kind, title
        Its name in code, and for a person (`"Scanning"`).
    steps
        Makes the generator; called in the job's thread.
    on_done
        Gets the result and whether it is partial; gives the sentence for the status line.
    on_step
        Gets each step that carries a result so far.
    timed
        Whether it takes times, which it must not do behind others.
    """

    kind: str
    title: str
    steps: Callable[[], Steps]
    on_done: Callable[[Any, bool], str]
    on_step: Callable[[Step[Any]], None] = lambda step: None
    timed: bool = False


class Jobs:
    """One job at a time.

    Parameters
    ----------
    publish
        Called with every new `Progress`, from the job's thread; must not raise.
    run
        How work is run: `in_thread` or `inline`.
    clock
        Gives the time in seconds; replaced in tests.

    Examples
    --------
    >>> from slimlab.steps import Step
    >>> from slimlab_widgets.jobs import Jobs, Work, inline
    >>> def iter_count(n):
    ...     for k in range(n):
    ...         yield Step(k + 1, n, "counting", k)
    ...     return n
    >>> jobs = Jobs(lambda progress: None, run=inline)
    >>> jobs.start(Work("count", "Counting", lambda: iter_count(3), lambda n, partial: f"To {n}."))
    >>> jobs.progress.status, jobs.progress.message, jobs.progress.done
    ('done', 'To 3.', 3)
    """

    def __init__(
        self,
        publish: Callable[[Progress], None],
        *,
        run: Runner = in_thread,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._publish = publish
        self._runner = run
        self._clock = clock
        self._lock = threading.Lock()
        self._cancel = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._number = 0
        self.progress = Progress()

    def start(self, work: Work) -> None:
        """Start a job, or raise `SlimLabError` while another one runs."""
        with self._lock:
            if self.progress.busy:
                msg = f"A {self.progress.kind} is still running. Wait for it or press Stop first."
                raise SlimLabError(msg, running=self.progress.kind)
            self._number += 1
            number = self._number
            self._cancel = threading.Event()
            self._idle.clear()
            self.progress = Progress(work.kind, "running", message=f"{work.title} ...")
        self._publish(self.progress)
        self._runner(lambda: self._work(number, work))

    def stop(self) -> None:
        """Ask the running job to stop; it answers at its next step. No job: nothing happens."""
        with self._lock:
            if self.progress.status != "running":
                return
            self._cancel.set()
            self.progress = replace(
                self.progress, status="stopping", message="Stopping ...", left=None
            )
        self._publish(self.progress)

    def wait(self, timeout: float | None = None) -> bool:
        """Block until no job runs; whether that was reached within `timeout` seconds."""
        return self._idle.wait(timeout)

    def note(self, message: str, *, error: bool = False, details: str = "") -> None:
        """Show a sentence in the status line; while a job runs, beside what it says itself."""
        with self._lock:
            if self.progress.busy:
                self.progress = replace(self.progress, warning=message, details=details)
            else:
                status = "error" if error else "idle"
                self.progress = replace(
                    self.progress, status=status, message=message, details=details, warning=""
                )
        self._publish(self.progress)

    def abandon(self) -> None:
        """Stop listening to the running job: whatever it still says is dropped."""
        self.stop()
        with self._lock:
            self._number += 1
            self.progress = Progress(message="The job was abandoned.")
            self._idle.set()
        self._publish(self.progress)

    def _work(self, number: int, work: Work) -> None:
        if not work.timed:
            step_back()
        start = self._clock()
        end: dict[str, Any] = {"status": "error", "left": None}
        try:
            result, partial = self._drain(number, work, start)
            message = work.on_done(result, partial) if number == self._number else ""
            end |= {"status": "stopped" if partial else "done", "message": message}
        except Stopped:
            end |= {"status": "stopped", "message": "Stopped before there was anything to keep."}
        except SlimLabError as error:
            end |= {"message": str(error)}
        except Exception as error:
            end |= {"message": last_line(error), "details": traceback.format_exc()}
        try:
            self._change(number, elapsed=self._clock() - start, **end)
        finally:
            with self._lock:
                if number == self._number:
                    self._idle.set()

    def _drain(self, number: int, work: Work, start: float) -> tuple[Any, bool]:
        steps = work.steps()
        cancel = self._cancel
        first: tuple[float, int] | None = None
        try:
            while True:
                try:
                    step = next(steps)
                except StopIteration as end:
                    return end.value, False
                if step.item is not None and number == self._number:
                    work.on_step(step)
                now = self._clock()
                # Work that continues earlier work starts above zero: the rate counts from there.
                first = first or (now, step.done)
                self._report(number, work, step, now - start, _left(step, now, first))
                if cancel.is_set():
                    return finish_early(steps), True
        finally:
            steps.close()

    def _report(
        self, number: int, work: Work, step: Step[Any], elapsed: float, left: float | None
    ) -> None:
        facts: dict[str, Any] = {"done": step.done, "total": step.total, "label": step.label}
        if not self._cancel.is_set():
            label = f": {step.label}" if step.label else ""
            facts |= {"left": left, "message": f"{work.title}{label}"}
        self._change(number, elapsed=elapsed, **facts)

    def _change(self, number: int, **facts: Any) -> None:
        with self._lock:
            if number != self._number:
                return  # a late word of a job that was abandoned
            self.progress = replace(self.progress, **facts)
        self._publish(self.progress)


def _left(step: Step[Any], now: float, first: tuple[float, int]) -> float | None:
    seconds, units = now - first[0], step.done - first[1]
    if seconds < _SECONDS_BEFORE_ETA or units <= 0:
        return None
    return (step.total - step.done) * seconds / units


def last_line(error: BaseException) -> str:
    """The error as the last line of its traceback."""
    return traceback.format_exception_only(error)[-1].strip()


def once(function: Callable[[], Any], label: str = "") -> Steps:
    """Make work of one step out of a function that has none of its own."""
    yield Step(0, 1, label)
    result = function()
    yield Step(1, 1, label)
    return result
