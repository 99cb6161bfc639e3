"""Floor 2. Times of layers on disk, by machine, clock and shape, so that none is measured twice.

One SQLite file. Knows keys and milliseconds, not what is measured.
"""

from __future__ import annotations

import math
import os
import platform
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import TypeGuard

from slimlab.errors import ArtifactError

_TABLE = (
    "CREATE TABLE IF NOT EXISTS times (machine TEXT, clock TEXT, shape TEXT, ms REAL, "
    "PRIMARY KEY (machine, clock, shape))"
)


def machine() -> str:
    """What times depend on of a machine: its processor, its cores and its system, in a line."""
    name = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    except OSError:
        pass  # another system than Linux: what Python says has to do
    return f"{name}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}"


def default_cache() -> Path:
    """The user's file of times: `$XDG_CACHE_HOME/slimlab/times.sqlite`, else below `~/.cache`."""
    folder = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(folder) / "slimlab" / "times.sqlite"


class TimeCache:
    """A file of times; what several processes write at once is kept whole.

    Parameters
    ----------
    path
        It is made, with its folders, when the first time is stored.
    machine, clock
        What the times belong to.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from slimlab.timing import TimeCache
    >>> folder = tempfile.TemporaryDirectory()
    >>> cache = TimeCache(pathlib.Path(folder.name) / "times.sqlite", "my machine", "my clock")
    >>> cache.read()
    {}
    >>> cache.write({"conv": 1.5})
    >>> cache.read()
    {'conv': 1.5}
    """

    def __init__(self, path: str | Path, machine: str, clock: str) -> None:
        self._path, self._machine, self._clock = Path(path), machine, clock

    def read(self) -> dict[str, float]:
        """Shape to milliseconds.

        Raises
        ------
        ArtifactError
            When the file is none of ours or damaged.
        """
        if not self._path.exists():
            return {}
        rows = self._ask(
            "SELECT shape, ms FROM times WHERE machine = ? AND clock = ?",
            [(self._machine, self._clock)],
        )
        return {str(shape): ms for shape, ms in rows if _is_time(ms)}

    def write(self, times: Mapping[str, float]) -> None:
        """Store times; what is there under the same shape is replaced.

        Raises
        ------
        ArtifactError
            When the file is none of ours, damaged, or can't be written.
        """
        rows = [(self._machine, self._clock, shape, ms) for shape, ms in times.items()]
        self._ask("INSERT OR REPLACE INTO times VALUES (?, ?, ?, ?)", rows)

    def _ask(
        self, question: str, rows: list[tuple[str, str]] | list[tuple[str, str, str, float]]
    ) -> list[tuple[object, object]]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self._path)
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error
        try:
            with connection:
                connection.execute(_TABLE)
                if question.startswith("INSERT"):
                    connection.executemany(question, rows)
                    return []
                return connection.execute(question, rows[0]).fetchall()
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        finally:
            connection.close()

    def _unusable(self, error: Exception) -> ArtifactError:
        msg = (
            f"The file of measured times {self._path} can't be used: {error}. Delete it (times are "
            "then measured again) or give another one with cache=."
        )
        return ArtifactError(msg, path=str(self._path))


def _is_time(ms: object) -> TypeGuard[float]:
    return isinstance(ms, float) and math.isfinite(ms) and ms > 0
