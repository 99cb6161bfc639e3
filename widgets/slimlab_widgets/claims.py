"""Top floor. One bench writes into a folder at a time: a lock that ends with its process.

Knows a folder, who holds it, and nothing of what lies in it. The operating system keeps the lock
(`filelock`), so that one whose kernel was killed is free at once; a file beside it says in words
who holds it.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

OWNER, LOCK = "owner.json", "owner.lock"


@dataclass(frozen=True)
class Owner:
    """Who holds a folder.

    Attributes
    ----------
    pid, host
        Its process; 0 and empty where that is not known.
    since
        When it began, seconds since 1970.

    Examples
    --------
    >>> from slimlab_widgets.claims import Owner
    >>> str(Owner(12, "elsewhere", 0.0))
    'process 12 on elsewhere'
    """

    pid: int = 0
    host: str = ""
    since: float = 0.0

    def __str__(self) -> str:
        if not self.pid:
            return "another process"
        if self.host != socket.gethostname():
            return f"process {self.pid} on {self.host}"
        if self.pid == os.getpid():
            return "another workbench of this kernel"
        return f"another kernel (process {self.pid})"


class Claim:
    """Holds a folder until it is released or the process ends."""

    def __init__(self, lock: FileLock) -> None:
        self._lock = lock

    def release(self) -> None:
        """Let others have the folder."""
        self._lock.release()

    def __del__(self) -> None:
        self.release()


def claim(folder: Path) -> Claim | Owner:
    """Hold a folder, or say who does; one that can't be locked is held by nobody knows whom.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from slimlab_widgets.claims import claim
    >>> folder = Path(tempfile.mkdtemp())
    >>> first = claim(folder)
    >>> str(claim(folder))
    'another workbench of this kernel'
    >>> first.release()
    >>> claim(folder).release()
    """
    if not folder.is_dir():
        return Owner()
    # Whoever lets go of it need not be in the thread that took it.
    lock = FileLock(folder / LOCK, timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        return _read(folder)
    except (OSError, NotImplementedError):  # not allowed to write, or a disk without locks
        return Owner()
    me = Owner(os.getpid(), socket.gethostname(), time.time())
    with contextlib.suppress(OSError):  # a full disk: the lock counts, not the words
        (folder / OWNER).write_text(json.dumps(asdict(me)), encoding="utf-8")
    return Claim(lock)


def holder(folder: Path) -> Owner | None:
    """Who holds a folder; None when nobody does."""
    if not (folder / LOCK).exists():
        return None
    found = claim(folder)
    if isinstance(found, Owner):
        return found
    found.release()
    return None


def _read(folder: Path) -> Owner:
    try:
        facts = json.loads((folder / OWNER).read_bytes())
        return Owner(int(facts["pid"]), str(facts["host"]), float(facts["since"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Owner()
