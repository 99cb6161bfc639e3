"""Top floor. Where a workbench keeps its scans, and finds what an earlier kernel left again."""

from __future__ import annotations

import itertools
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slimlab as sl
from slimlab.errors import SlimLabError
from slimlab.sensitivity import Fingerprint
from slimlab_widgets.claims import Owner, holder

if TYPE_CHECKING:
    from slimlab import Sensitivity

SCANS = Path(".slimlab") / "scans"
NOTES = "bench.json"
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


@dataclass(frozen=True, eq=False)
class Left:
    """What else lay on a bench: a folder with notes and pruned models.

    Attributes
    ----------
    folder
        Where it is.
    notes
        As `notes.noted` wrote them.
    when
        Seconds since 1970 of the last change.
    owner
        The bench that has it open; None when none has.
    """

    folder: Path
    notes: dict[str, Any]
    when: float
    owner: Owner | None = None


@dataclass(frozen=True, eq=False)
class Offer:
    """What an earlier kernel left of this network on these data: one of the two at least."""

    scan: Kept | None
    left: Left | None


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

    def lefts(self) -> Iterator[Left]:
        """Benches of this network on these data, the one that was changed last first."""
        if self._folder is None or not self._folder.is_dir():
            return
        for path in sorted(self._folder.glob(f"{self._name}-*.bench/{NOTES}"), key=_when)[::-1]:
            notes = self._notes(path)
            if notes is not None:
                yield Left(path.parent, notes, _when(path), holder(path.parent))

    def again(self, left: Left) -> Left:
        """What lies there now; as it was known, where it can't be read."""
        notes = self._notes(left.folder / NOTES)
        return left if notes is None else replace(left, notes=notes)

    def _notes(self, path: Path) -> dict[str, Any] | None:
        """The notes of a bench of this network on these data."""
        try:
            notes: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            theirs = Fingerprint(notes["model"], notes["task"], notes["metric"])
        except (OSError, ValueError, KeyError, TypeError):
            return None  # removed, or not ours
        return notes if theirs == self.identity else None

    def offer(self) -> Offer | None:
        """The newest scan and the newest bench."""
        scan, left = next(self.kept(), None), next(self.lefts(), None)
        return Offer(scan, left) if scan is not None or left is not None else None

    def new_bench(self) -> Path | None:
        """A folder for what lies on a bench; None where nothing is kept."""
        if self._folder is None or self._writable() != self._folder:
            return None
        return self._folder / f"{self._name}-{_moment()}-{next(_numbers)}.bench"

    @property
    def identity(self) -> Fingerprint:
        """Fingerprints of the model and of the data."""
        return self._identity()

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
