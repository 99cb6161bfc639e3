"""What processes are about: which were forked from this one, and where a server listens."""

from __future__ import annotations

import contextlib

import psutil


def forked() -> list[psutil.Process]:
    """Children that run what this process runs, and dead ones that nobody has waited for."""
    own = psutil.Process()
    return [child for child in own.children() if _dead(child) or _line(child) == own.cmdline()]


def listened_at(pid: int) -> set[str]:
    """The addresses at which a process and all that it started take connections."""
    process = psutil.Process(pid)
    addresses: set[str] = set()
    for member in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):  # a kernel that ends meanwhile
            addresses |= {
                connection.laddr.ip
                for connection in member.net_connections(kind="inet")
                if connection.status == psutil.CONN_LISTEN
            }
    return addresses


def _dead(child: psutil.Process) -> bool:
    return child.is_running() and child.status() == psutil.STATUS_ZOMBIE


def _line(child: psutil.Process) -> list[str]:
    try:
        return child.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return []
