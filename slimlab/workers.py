"""Floor 0. Processes that compute the same thing on parts of the data and agree on sums.

The process that asks leads, the others are forked from it: they have its models and data without
anything having been sent. Numbers meet in shared memory and are added in the order of the workers,
so that all see the same bits. Signals go through sockets, so that a process that waits for one that
died learns of it at once. Knows no model.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import socket
import struct
import sys
import tempfile
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextvars import ContextVar

import numpy as np
from numpy.typing import NDArray

from slimlab.errors import SlimLabError, WorkerError

Floats = NDArray[np.float32]
FRAME = struct.Struct("=cd")  # a kind and a number
SUM, LARGEST, END, BROKEN = b"s", b"m", b"e", b"!"
SENTENCE = 4000  # bytes of an error at most


class Group(ABC):
    """One worker's view of the workers: what it says, and what all have said together.

    Parameters
    ----------
    rank
        0 for the process that leads.
    size
        How many workers there are.
    """

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size

    def part(self, images: int) -> slice:
        """Give this worker's images of a batch."""
        return slice(images * self.rank // self.size, images * (self.rank + 1) // self.size)

    @abstractmethod
    def sum(self, numbers: Floats) -> Floats:
        """Add what all workers give: the same bits everywhere.

        Parameters
        ----------
        numbers
            ``(n,)`` float32, as many in each worker.
        """

    @abstractmethod
    def largest(self, number: float) -> float:
        """Give the largest of what all workers give."""

    @abstractmethod
    def end(self, mark: float) -> None:
        """Say that a piece of work is done, with a mark of its result.

        Raises
        ------
        WorkerError
            When the others' marks differ.
        """


class ForkedGroup(Group):
    """Workers that share memory, and a socket each with the leader.

    Parameters
    ----------
    rank
        0 for the process that leads.
    links
        Sockets: the leader's to each other worker; of the others, one to the leader.
    memory
        Two rows of numbers a worker, ``(2, workers, numbers)`` float32, shared by all.
    """

    def __init__(self, rank: int, links: list[socket.socket], memory: Floats) -> None:
        super().__init__(rank, int(memory.shape[1]))
        self._links, self._memory = links, memory
        self._turn = 0

    def sum(self, numbers: Floats) -> Floats:
        """Add what all workers give, in their order; see `Group.sum`."""
        # Two rows in turn: nobody writes into what another still reads.
        rows, self._turn = self._memory[self._turn], 1 - self._turn
        count = len(numbers)
        rows[self.rank, :count] = numbers
        self._meet(SUM, count)
        total: Floats = rows[0, :count].copy()
        for row in rows[1:]:
            total += row[:count]
        return total

    def largest(self, number: float) -> float:
        """Give the largest of what all workers give."""
        return self._meet(LARGEST, number)

    def end(self, mark: float) -> None:
        """Compare the workers' marks; see `Group.end`."""
        self._meet(END, mark)

    def _meet(self, kind: bytes, number: float) -> float:
        """Wait for all: the largest of their numbers."""
        if self.rank:
            _send(self._links[0], kind, number)
            return self._heard(0, kind, None)
        equal = None if kind == LARGEST else number
        heard = [self._heard(place, kind, equal) for place in range(len(self._links))]
        agreed = max(number, *heard)
        for link in self._links:
            _send(link, kind, agreed)
        return agreed

    def _heard(self, place: int, kind: bytes, equal: float | None) -> float:
        """What another worker says; all must say the same kind, and some the same number."""
        link, worker = self._links[place], place + 1 if self.rank == 0 else 0
        said, number = FRAME.unpack(_received(link, FRAME.size, worker))
        if said == BROKEN:
            words = _received(link, int(number), worker).decode(errors="replace")
            msg = f"Worker {worker} of {self.size} failed: {words}"
            raise WorkerError(msg, worker=worker)
        if said != kind or (equal is not None and number != equal):
            raise differing(worker, self)
        return float(number)


def differing(other: int | None, group: Group) -> WorkerError:
    """Give the error of workers that came to different results; which other, where it is known."""
    who = "Another worker" if other is None else f"Worker {other}"
    msg = (
        f"{who} of {group.size} came to another result than worker {group.rank}. What they compute "
        "must follow from the seed alone: look for random numbers or clocks in the model, the loss "
        "or a callback, and for a callback that changes the model."
    )
    return WorkerError(msg, worker=other)


_GROUP: ContextVar[Group | None] = ContextVar("group", default=None)


@contextlib.contextmanager
def speaking(group: Group | None) -> Iterator[None]:
    """Let `agreed_largest` speak with a group inside the block."""
    token = _GROUP.set(group)
    try:
        yield
    finally:
        _GROUP.reset(token)


def together() -> bool:
    """Whether several workers compute the present batch, each a part of it."""
    return _GROUP.get() is not None


def agreed_largest(number: float) -> float:
    """Give the largest of what the workers of the present group give; alone, the number itself.

    Examples
    --------
    >>> from slimlab.workers import agreed_largest
    >>> agreed_largest(2.0)
    2.0
    """
    group = _GROUP.get()
    return number if group is None else group.largest(number)


class Crew:
    """Workers that are forked from this process, for one piece of work.

    Parameters
    ----------
    count
        Workers, with this process: at least 2.
    numbers
        How many they add at most.

    Raises
    ------
    WorkerError
        Where processes can't be forked.

    Examples
    --------
    >>> import numpy as np
    >>> from slimlab.workers import Crew
    >>> def work(group):
    ...     mine = np.full(2, 1.0 + group.rank, dtype=np.float32)
    ...     total = group.sum(mine)
    ...     group.end(0.0)
    ...     return total.tolist()
    >>> with Crew(3, numbers=2) as crew:
    ...     work(crew.start(work))
    [6.0, 6.0]
    """

    def __init__(self, count: int, numbers: int) -> None:
        check_workers(count)
        self.count = count
        self._pids: dict[int, int] = {}  # worker -> process
        self._links: list[socket.socket] = []
        # A file without a name: nothing is left of it, however the processes end.
        with tempfile.TemporaryFile(dir=_fast_folder()) as file:
            file.truncate(2 * count * max(1, numbers) * 4)
            shared = mmap.mmap(file.fileno(), 0)
        self._memory = np.frombuffer(shared, np.float32).reshape(2, count, -1)

    def start(self, work: Callable[[Group], object]) -> Group:
        """Fork the others, each of which does `work` with its group; give the leader's group."""
        for worker in range(1, self.count):
            mine, theirs = socket.socketpair()
            with warnings.catch_warnings():
                # Python 3.12 warns of threads; the workers use none of those that stay behind.
                warnings.simplefilter("ignore", DeprecationWarning)
                pid = os.fork()
            if pid == 0:
                mine.close()
                self._follow(worker, theirs, work)
            theirs.close()
            self._pids[worker] = pid
            self._links.append(mine)
        return ForkedGroup(0, self._links, self._memory)

    def _follow(self, worker: int, link: socket.socket, work: Callable[[Group], object]) -> None:
        """Work, and end the process without going back to what it was forked from."""
        try:
            for other in self._links:
                other.close()
            # A Ctrl-C is the leader's to answer: it closes the link.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            work(ForkedGroup(worker, [link], self._memory))
        except BaseException as error:  # whatever it is, the leader is told
            kind = "" if isinstance(error, SlimLabError) else f"{type(error).__name__}: "
            words = f"{kind}{error}".encode()[:SENTENCE]
            with contextlib.suppress(BaseException):
                link.sendall(FRAME.pack(BROKEN, len(words)) + words)
        finally:
            os._exit(0)

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the other workers, whatever they do."""
        for link in self._links:
            link.close()
        self._links.clear()
        for pid in self._pids.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
        self._pids.clear()


def check_workers(count: int) -> None:
    """Refuse a number of workers that can't be.

    Raises
    ------
    WorkerError
        When it is no whole number from 1, or above 1 where processes can't be forked.
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        msg = f"workers is {count!r}; it must be a whole number, 1 or more."
        raise WorkerError(msg, workers=count)
    if count > 1 and sys.platform != "linux":
        msg = f"{count} workers were asked for; more than one needs Linux. Leave workers at 1."
        raise WorkerError(msg, workers=count)


def _fast_folder() -> str | None:
    """A folder in memory, where the system has one."""
    return next((folder for folder in ("/dev/shm",) if os.access(folder, os.W_OK)), None)


def _send(link: socket.socket, kind: bytes, number: float) -> None:
    # A closed link says more when it is read: the other's last words may be in it.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        link.sendall(FRAME.pack(kind, number))


def _received(link: socket.socket, count: int, worker: int) -> bytes:
    found = b""
    while len(found) < count:
        try:
            more = link.recv(count - len(found))
        except ConnectionResetError:
            more = b""
        if not more:
            msg = (
                f"Worker {worker} died: its process was killed, or crashed. Run the same again: a "
                "run with a folder goes on from its last checkpoint. If it happens again, look for "
                "too little memory."
            )
            raise WorkerError(msg, worker=worker)
        found += more
    return found
