"""Top floor. Updates for the browser, at most ten a second, the last one always; knows no model.

A Jupyter server drops what a kernel sends faster than about a thousand messages a second, and the
final state with it. So every update goes through a `Publisher`: between two sendings a newer value
of a name replaces the older one, and what is left over is sent a moment later.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping

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
    slow
        Names whose values are large: how many times as long lies between two of one such.
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
        self,
        send: Send,
        *,
        every: float = 0.1,
        slow: Mapping[str, float] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._send = send
        self._every = every
        self._clock = clock
        self._slow = dict(slow or {})
        self._sent = dict.fromkeys(self._slow, -float("inf"))
        self._pending: dict[str, Value] = {}
        self._last = -float("inf")
        self._timer: threading.Timer | None = None
        self._wakes = 0.0  # when the timer rings
        self._pending_lock = threading.Lock()
        # Held while sending, so that two threads can't send an older value after a newer one.
        self._sending_lock = threading.RLock()

    def put(self, **values: Value) -> None:
        """Send these values now or, if something was sent just before, in a moment.

        A value that is a function without parameters is called when it is sent.
        """
        self.hold(**values)
        self.look()

    def hold(self, **values: Value) -> None:
        """Remember these values; `look`, `send_now` or `flush` sends them."""
        with self._pending_lock:
            self._pending.update(values)

    def send_now(self, *names: str) -> None:
        """Send these values at once, whatever was sent just before: the answer to a hand."""
        with self._sending_lock:
            self._send_these(names)

    def flush(self) -> None:
        """Send what is pending at once."""
        with self._sending_lock:
            self._last = self._clock()
            self._send_these(tuple(self._pending))
        with self._pending_lock:
            self._wake()

    def look(self) -> None:
        """Send what may be sent, and see to it that the rest is sent later."""
        if self._clock() - self._last >= self._every:
            with self._sending_lock:
                now = self._clock()
                with self._pending_lock:
                    due = [name for name in self._pending if self._next(name) <= now]
                self._last = now if due else self._last
                self._send_these(due)
        with self._pending_lock:
            self._wake()

    def _next(self, name: str) -> float:
        """When a value may be sent again."""
        return self._sent.get(name, -float("inf")) + self._slow.get(name, 1.0) * self._every

    def _send_these(self, names: Iterable[str]) -> None:
        with self._pending_lock:
            values = {name: self._pending.pop(name) for name in names if name in self._pending}
            now = self._clock()
            self._sent.update({name: now for name in values if name in self._slow})
        if values:
            self._send({k: v() if callable(v) else v for k, v in values.items()})

    def _wake(self) -> None:
        """Start the timer for what is pending first; the lock is held."""
        if self._timer is not None and not self._pending:
            self._timer.cancel()
            self._timer = None
        if not self._pending:
            return
        first = max(self._last + self._every, min(self._next(name) for name in self._pending))
        if self._timer is not None:
            if self._wakes <= first:
                return
            self._timer.cancel()
        self._wakes = first
        self._timer = threading.Timer(max(0.0, first - self._clock()), self._later)
        self._timer.daemon = True
        self._timer.start()

    def _later(self) -> None:
        with self._pending_lock:
            self._timer = None
        self.look()
