"""Top floor. Where a workbench keeps its scans, and finds those of an earlier kernel again."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import slimlab as sl
from slimlab.errors import SlimLabError

if TYPE_CHECKING:
    from slimlab import Sensitivity
    from slimlab.sensitivity import Fingerprint

SCANS = Path(".slimlab") / "scans"
# So many of the newest files of a network are looked at.
MOST = 20
_numbers = itertools.count()


@dataclass(frozen=True, eq=False)
class Kept:
    """A scan that was found.

    Attributes
    ----------
    path
        Its file.
    sensitivity
        What it holds.
    when
        Seconds since 1970 of its last measurement.
    """

    path: Path
    sensitivity: Sensitivity
    when: float


class Shelf:
    """A folder of scan files, each named for the network and the data it belongs to.

    Parameters
    ----------
    folder
        Where they lie; one that goes with the process when None, or when it can't be written.
    identity
        Gives the fingerprint of model and data; called when it is needed, for it takes a while.

    Examples
    --------
    >>> import slimlab as sl
    >>> from slimlab.sensitivity import Fingerprint
    >>> from slimlab_widgets.shelf import Shelf
    >>> shelf = Shelf(None, lambda: Fingerprint("model", "data"))
    >>> first = shelf.new_scan()
    >>> shelf.scan == first, shelf.new_scan() == first
    (True, False)
    >>> list(shelf.kept())
    []
    """

    def __init__(self, folder: Path | None, identity: Callable[[], Fingerprint]) -> None:
        self._identity = identity
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._folder = folder.absolute() if folder is not None else None
        self.scan: Path | None = None

    def new_scan(self) -> Path:
        """A file that nothing was measured for; from now on the present one."""
        self.scan = self._writable() / f"{self._name}-{_moment()}-{next(_numbers)}.scan"
        return self.scan

    def kept(self) -> Iterator[Kept]:
        """The scans of this network on these data that hold something, the newest first.

        Files that can't be read are passed over: another process may be writing one.
        """
        if self._folder is None or not self._folder.is_dir():
            return
        files = sorted(self._folder.glob(f"{self._name}-*.scan"), key=_when, reverse=True)
        for path in files[:MOST]:
            try:
                sensitivity = sl.load_scan(path)
            except (SlimLabError, OSError):
                continue
            if sensitivity.cells and sensitivity.fingerprint == self._identity():
                yield Kept(path, sensitivity, _when(path))

    @property
    def _name(self) -> str:
        known = self._identity()
        return f"{known.model[:12]}-{known.task[:12]}"

    def _writable(self) -> Path:
        if self._folder is not None:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryFile(dir=self._folder):
                    return self._folder
            except OSError:
                pass  # a folder for reading only: scans go with the process
        if self._temporary is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="slimlab-")
        return Path(self._temporary.name)


def _when(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _moment() -> str:
    return time.strftime("%Y%m%d-%H%M%S", time.gmtime()) + f"-{time.time_ns() % 10**6:06d}"
