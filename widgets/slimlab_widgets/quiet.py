"""Top floor. Does something once the hand has rested for a while; knows nothing of what it does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Quiet:
    """Runs an action when it was asked for and nothing was touched for some seconds.

    JupyterLab draws a view anew when its saved picture changes. A slider that is being dragged
    would be taken out of the hand, so the picture waits.

    Parameters
    ----------
    action
        Called without arguments, from a timer's thread; it must not raise.
    seconds
        How long nothing must be touched; at 0 the action runs as soon as it is asked for.
    clock
        Gives the time in seconds; replaced in tests.

    Examples
    --------
    >>> from slimlab_widgets.quiet import Quiet
    >>> done = []
    >>> quiet = Quiet(lambda: done.append("drawn"), seconds=0)
    >>> quiet.touch()
    >>> quiet.ask()
    >>> done
    ['drawn']
    """

    def __init__(
        self,
        action: Callable[[], None],
        *,
        seconds: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._action = action
        self._seconds = seconds
        self._clock = clock
        self._touched = -float("inf")
        self._asked = False
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()

    def touch(self) -> None:
        """Note that a hand is at work."""
        with self._lock:
            self._touched = self._clock()

    def rests(self) -> bool:
        """Whether nothing was touched for that long."""
        with self._lock:
            return self._wait() <= 0

    def ask(self) -> None:
        """Run the action now or, if something was touched just before, when it is quiet."""
        with self._lock:
            self._asked = True
        self.look()

    def look(self) -> None:
        """Run the action if it was asked for and it is quiet, else look again later."""
        with self._lock:
            if not self._asked:
                return
            wait = self._wait()
            if wait > 0:
                if self._timer is None:
                    self._timer = threading.Timer(wait, self._later)
                    self._timer.daemon = True
                    self._timer.start()
                return
            self._asked = False
        self._action()

    def _wait(self) -> float:
        """Seconds to wait yet; the lock is held."""
        return self._touched + self._seconds - self._clock() if self._seconds > 0 else 0.0

    def _later(self) -> None:
        with self._lock:
            self._timer = None
        self.look()
