from __future__ import annotations

import os
import sys
import threading

import pytest

from slimlab.errors import SlimLabError
from slimlab.steps import Step, Stopped
from slimlab_widgets.jobs import Jobs, Work, in_thread, inline, once


def iter_count(n, gate=None, keeps=True):
    """Count to n; with a gate, wait before each number until the test lets it go on."""
    seen = 0
    try:
        for seen in range(1, n + 1):
            yield Step(seen, n, f"number {seen}", seen)
            if gate is not None:
                gate.wait(5)
    except Stopped:
        if not keeps:
            raise
    return seen


def work(steps, *, seen=None, done=lambda result, partial: f"{result} {partial}"):
    on_step = (lambda step: seen.append(step.item)) if seen is not None else lambda step: None
    return Work("count", "Counting", steps, done, on_step)


def test_runs_to_the_end_and_tells_every_step():
    told, seen = [], []
    jobs = Jobs(told.append, run=inline)
    jobs.start(work(lambda: iter_count(3), seen=seen))
    assert seen == [1, 2, 3]
    assert [p.status for p in told] == ["running"] * 4 + ["done"]
    assert told[2].message == "Counting: number 2"
    assert jobs.progress.message == "3 False"
    assert (jobs.progress.done, jobs.progress.total) == (3, 3)


def test_stop_keeps_the_partial_result():
    gate, started = threading.Event(), threading.Event()
    results = []
    jobs = Jobs(lambda p: started.set() if p.done else None)
    jobs.start(work(lambda: iter_count(1000, gate), done=lambda r, p: results.append((r, p)) or ""))
    assert started.wait(5)
    jobs.stop()
    assert jobs.progress.status == "stopping"
    gate.set()
    assert jobs.wait(5)
    assert jobs.progress.status == "stopped"
    ((result, partial),) = results
    assert partial
    assert 1 <= result <= 3


def test_stop_of_work_that_keeps_nothing_says_so():
    jobs = Jobs(lambda p: jobs.stop() if p.done == 1 else None, run=inline)
    jobs.start(work(lambda: iter_count(5, keeps=False)))
    assert jobs.progress.status == "stopped"
    assert "before there was anything" in jobs.progress.message


def test_one_job_at_a_time():
    gate = threading.Event()
    jobs = Jobs(lambda p: None)
    jobs.start(work(lambda: iter_count(2, gate)))
    with pytest.raises(SlimLabError, match="A count is still running"):
        jobs.start(work(lambda: iter_count(2)))
    gate.set()
    assert jobs.wait(5)
    jobs.start(work(lambda: iter_count(2)))
    assert jobs.wait(5)
    assert jobs.progress.status == "done"


def test_a_foreseen_error_is_its_sentence():
    def steps():
        yield Step(0, 1, "")
        msg = "No layer 'covn1'."
        raise SlimLabError(msg)

    jobs = Jobs(lambda p: None, run=inline)
    jobs.start(work(steps))
    assert (jobs.progress.status, jobs.progress.message) == ("error", "No layer 'covn1'.")
    assert jobs.progress.details == ""


def test_any_other_error_comes_with_its_traceback():
    jobs = Jobs(lambda p: None, run=inline)
    jobs.start(work(lambda: once(lambda: 1 / 0)))
    assert jobs.progress.status == "error"
    assert jobs.progress.message == "ZeroDivisionError: division by zero"
    assert "Traceback" in jobs.progress.details


def test_an_error_while_the_result_is_taken_is_shown_too():
    jobs = Jobs(lambda p: None, run=inline)
    jobs.start(work(lambda: iter_count(1), done=lambda result, partial: {}[result]))
    assert jobs.progress.message == "KeyError: 1"


def test_the_time_left_counts_only_new_work():
    times = iter([0.0, 0.0, 1.0, 2.0, 2.0])
    told = []

    def resumed():
        for done in (50, 60, 70):
            yield Step(done, 100, "")

    jobs = Jobs(told.append, run=inline, clock=lambda: next(times))
    jobs.start(work(resumed))
    assert [p.left for p in told if p.status == "running"] == [None, None, 4.0, 3.0]


def test_an_abandoned_job_is_not_heard_any_more():
    gate, started = threading.Event(), threading.Event()
    results = []
    jobs = Jobs(lambda p: started.set() if p.done else None)
    jobs.start(work(lambda: iter_count(3, gate), done=lambda r, p: results.append(r) or ""))
    assert started.wait(5)
    jobs.abandon()
    assert not jobs.progress.busy
    thread = next(t for t in threading.enumerate() if t.name == "slimlab-job")
    gate.set()
    thread.join(5)
    assert results == []
    assert jobs.progress.message == "The job was abandoned."


def test_a_note_does_not_end_a_running_job():
    told = []
    jobs = Jobs(told.append, run=inline)

    def steps():
        yield Step(1, 2, "")
        jobs.note("something else went wrong", error=True)
        yield Step(2, 2, "")

    jobs.start(work(steps))
    assert [p.status for p in told] == ["running", "running", "running", "running", "done"]
    assert jobs.progress.warning == "something else went wrong"
    assert "something else" not in jobs.progress.message
    jobs.start(work(lambda: iter_count(1)))
    assert jobs.progress.warning == ""


def test_the_end_is_reached_even_where_nobody_can_be_told():
    def publish(progress):
        if progress.status == "done":
            msg = "the browser is gone"
            raise OSError(msg)

    jobs = Jobs(publish, run=inline)
    with pytest.raises(OSError, match="gone"):
        jobs.start(work(lambda: iter_count(1)))
    assert jobs.wait(0)


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priorities of their own here")
@pytest.mark.parametrize(
    ("run", "timed", "behind"),
    [(in_thread, False, True), (in_thread, True, False), (inline, False, False)],
)
def test_a_job_goes_behind_the_page_unless_it_takes_times(run, timed, behind):
    def nice():
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    def steps():
        found.append(nice())
        yield Step(1, 1, "", None)

    found: list[int] = []
    before = nice()
    jobs = Jobs(lambda progress: None, run=run)
    jobs.start(Work("count", "Counting", steps, lambda result, partial: "", timed=timed))
    assert jobs.wait(30)
    assert found == [min(19, before + 10) if behind else before]
    assert nice() == before  # who started it stays where it was
