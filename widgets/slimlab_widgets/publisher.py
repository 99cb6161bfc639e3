"""Top floor. Updates for the browser, at most ten a second, the last one always; knows no model.

A Jupyter server drops what a kernel sends faster than about a thousand messages a second, and the
final state with it. So every update goes through a `Publisher`: between two sendings a newer value
of a name replaces the older one, and what is left over is sent a moment later.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

Value = object
Send = Callable[[Mapping[str, Value]], None]


class Publisher:
    """Collects named values from any thread and sends them at a bounded rate.

    Parameters
    ----------
    send
        Called with the newest value of each name that was put since the last call; one call at a
        time, from whichever thread.
    every
        Shortest time between two calls, seconds.
    clock
        Gives the time in seconds; replaced in tests.

    Examples
    --------
    >>> from slimlab_widgets.publisher import Publisher
    >>> sent = []
    >>> publisher = Publisher(sent.append, every=60.0)
    >>> publisher.put(done=1)
    >>> publisher.put(done=2)
    >>> publisher.put(done=lambda: 3)  # computed only when it is sent
    >>> publisher.flush()
    >>> sent
    [{'done': 1}, {'done': 3}]
    """

    def __init__(
        self, send: Send, *, every: float = 0.1, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._send = send
        self._every = every
        self._clock = clock
        self._pending: dict[str, Value] = {}
        self._last = -float("inf")
        self._timer: threading.Timer | None = None
        self._pending_lock = threading.Lock()
        # Held while sending, so that two threads can't send an older value after a newer one.
        self._sending_lock = threading.RLock()

    def put(self, **values: Value) -> None:
        """Send these values now or, if something was sent just before, in a moment.

        A value that is a function without parameters is called when it is sent.
        """
        with self._pending_lock:
            self._pending.update(values)
            wait = self._last + self._every - self._clock()
            if wait > 0:
                if self._timer is None:
                    self._timer = threading.Timer(wait, self.flush)
                    self._timer.daemon = True
                    self._timer.start()
                return
        self.flush()

    def flush(self) -> None:
        """Send what is pending at once."""
        with self._sending_lock:
            with self._pending_lock:
                values, self._pending = self._pending, {}
                self._last = self._clock()
                if self._timer is not None:
                    self._timer.cancel()
                    self._timer = None
            if values:
                self._send({k: v() if callable(v) else v for k, v in values.items()})
