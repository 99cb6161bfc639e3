"""The processes that were forked from this one, and not those that other tests started."""

from __future__ import annotations

import psutil


def forked() -> list[psutil.Process]:
    """Children that run what this process runs, and dead ones that nobody has waited for."""
    own = psutil.Process()
    return [child for child in own.children() if _dead(child) or _line(child) == own.cmdline()]


def _dead(child: psutil.Process) -> bool:
    return child.is_running() and child.status() == psutil.STATUS_ZOMBIE


def _line(child: psutil.Process) -> list[str]:
    try:
        return child.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return []
