from __future__ import annotations

import threading

from slimlab_widgets.quiet import Quiet


class Hour:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_it_waits_until_nothing_was_touched_for_so_long():
    clock, done = Hour(), []
    quiet = Quiet(lambda: done.append(clock.now), seconds=50.0, clock=clock)
    quiet.touch()
    quiet.ask()
    for now, ran in [(49.0, False), (50.5, True)]:
        clock.now = now
        quiet.look()
        assert bool(done) is ran
    quiet._timer.cancel()


def test_a_touch_in_between_starts_the_wait_anew():
    clock, done = Hour(), []
    quiet = Quiet(lambda: done.append(clock.now), seconds=50.0, clock=clock)
    quiet.touch()
    quiet.ask()
    clock.now = 40.0
    quiet.touch()
    clock.now = 60.0
    quiet.look()
    assert done == []
    clock.now = 91.0
    quiet.look()
    quiet.look()
    assert done == [91.0]  # once, however often it was asked for
    quiet._timer.cancel()


def test_untouched_it_runs_at_once_and_nothing_runs_unasked():
    done = []
    quiet = Quiet(lambda: done.append(1), seconds=50.0)
    quiet.look()
    assert done == []
    quiet.ask()
    assert done == [1]


def test_its_own_timer_brings_it_about():
    ran = threading.Event()
    quiet = Quiet(ran.set, seconds=0.05)
    quiet.touch()
    quiet.ask()
    assert ran.wait(20)
