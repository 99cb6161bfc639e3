"""Top floor. One bench writes into a folder at a time: a lock that ends with its process.

Knows a folder, who holds it, and nothing of what lies in it. The operating system keeps the lock,
so that one whose kernel was killed is free at once; a file beside it says in words who holds it.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

OWNER = "owner.json"
_FAR = 1 << 30  # a byte behind the words: on Windows a byte that is locked can't be read


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

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Let others have the folder."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

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
    try:
        descriptor = os.open(folder / OWNER, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError:
        return Owner()
    try:
        _lock(descriptor)
    except OSError:
        os.close(descriptor)
        return _read(folder)
    me = Owner(os.getpid(), socket.gethostname(), time.time())
    with contextlib.suppress(OSError):  # a full disk: the lock counts, not the words
        os.ftruncate(descriptor, 0)
        os.write(descriptor, json.dumps(asdict(me)).encode())
    return Claim(descriptor)


def holder(folder: Path) -> Owner | None:
    """Who holds a folder; None when nobody does."""
    if not (folder / OWNER).exists():
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


def _lock(descriptor: int) -> None:
    """Lock a file without waiting; an `OSError` where another one has it or nobody can."""
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, _FAR, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
