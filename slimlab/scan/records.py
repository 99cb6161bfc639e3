"""Floor 3. Scores of single images, cell by cell, on disk as they are measured.

A file is an SQLite database: a record is there whole or not at all, whatever kills the process, and
each carries a checksum. Knows scores and what they belong to; measures nothing.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slimlab.errors import ArtifactError

FORMAT = "slimlab-scan-1"
Scores = NDArray[np.float32]
Key = tuple[str, float]  # layer and ratio
WHOLE: Key = ("", 0.0)  # the network as it is

# What each fact of an identity is called in a sentence.
WORDS = {
    "model": "model's weights",
    "task": "task's data",
    "metric": "metric",
    "criterion": "criterion",
    "recalibrate_bn": "BatchNorm re-estimation",
}


@dataclass(frozen=True, eq=False)
class Record:
    """Scores of one cell on some consecutive images.

    Attributes
    ----------
    key
        Layer and ratio; `WHOLE` for the network as it is.
    dtype
        Precision it was computed in.
    start
        Number of the first image.
    scores
        ``(n,)``, one an image.
    """

    key: Key
    dtype: str
    start: int
    scores: Scores


class Records:
    """The records of one scan, in memory and, with a path, on disk.

    Parameters
    ----------
    identity
        What the scores depend on beside layer, ratio and image; see `WORDS`.
    path
        The file; made when it isn't there. In memory only when None.

    Raises
    ------
    ArtifactError
        When the file is damaged, is no scan, or belongs to another identity: the first fact that
        differs is named.
    """

    def __init__(self, identity: Mapping[str, str], path: str | Path | None = None) -> None:
        self.identity = dict(identity)
        self.path = None if path is None else Path(path)
        self.about: dict[str, Any] = {}
        self._scores: dict[tuple[Key, str], Scores] = {}
        self._file: sqlite3.Connection | None = None
        if self.path is not None:
            self._file = _open(self.path)
            try:
                self._agree(self.path)
                for record in _read(self._file, self.path):
                    self._put(record)
            except BaseException:
                self.close()
                raise

    def add(self, records: Iterable[Record]) -> None:
        """Keep records; they are on disk, all or none, when this returns."""
        rows = list(records)
        if self._file is not None:
            with self._file:
                self._file.executemany(
                    "INSERT OR REPLACE INTO scores VALUES (?, ?, ?, ?, ?, ?)", map(_row, rows)
                )
        for record in rows:
            self._put(record)

    def describe(self, about: Mapping[str, Any]) -> None:
        """Keep what a table needs to be made without model and data, as JSON."""
        self.about = dict(about)
        if self._file is not None:
            with self._file:
                row = ("about", json.dumps(self.about))
                self._file.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", row)

    def scores(self, key: Key, dtype: str) -> Scores:
        """The scores of a cell by image, NaN where not measured; as long as the last one known."""
        return self._scores.get((key, dtype), np.empty(0, dtype=np.float32))

    def has(self, key: Key, dtype: str, start: int, stop: int) -> bool:
        """Whether these images of a cell have been measured."""
        known = self.scores(key, dtype)[start:stop]
        return len(known) == stop - start and not np.isnan(known).any()

    def known(self) -> tuple[tuple[Key, str], ...]:
        """Cells and precisions of which something is known."""
        return tuple(self._scores)

    def all(self) -> Iterator[Record]:
        """Everything that is known, a record a cell and precision."""
        for (key, dtype), scores in self._scores.items():
            known = np.flatnonzero(~np.isnan(scores))
            for run in np.split(known, np.flatnonzero(np.diff(known) != 1) + 1):
                if len(run):
                    yield Record(key, dtype, int(run[0]), scores[run[0] : run[-1] + 1])

    def close(self) -> None:
        """Give the file back; what was added stays."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Records:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def _put(self, record: Record) -> None:
        place = (record.key, record.dtype)
        known, stop = self.scores(*place), record.start + len(record.scores)
        if len(known) < stop:
            longer = np.full(stop, np.nan, dtype=np.float32)
            longer[: len(known)] = known
            self._scores[place] = known = longer
        known[record.start : stop] = record.scores

    def _agree(self, path: Path) -> None:
        """Check that the file is a scan of the same things, or make it one if it is new."""
        assert self._file is not None
        with self._file:
            self._file.execute(
                "CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT)"
            )
            self._file.execute(
                "CREATE TABLE IF NOT EXISTS scores (layer TEXT, ratio REAL, dtype TEXT, start "
                "INTEGER, scores BLOB, sha256 TEXT, PRIMARY KEY (layer, ratio, dtype, start))"
            )
            facts = dict(self._file.execute("SELECT name, value FROM facts"))
            if not facts:
                own = {"format": FORMAT, **{n: json.dumps(v) for n, v in self.identity.items()}}
                self._file.executemany("INSERT INTO facts VALUES (?, ?)", own.items())
                return
        if facts.pop("format", None) != FORMAT:
            msg = f"{path} is a database, but no scan that this version wrote."
            raise ArtifactError(msg, path=str(path))
        known = {name: json.loads(value) for name, value in facts.items()}
        self.about = known.pop("about", {})
        check_same(self.identity, known, str(path))


def check_same(mine: Mapping[str, str], theirs: Mapping[str, str], what: str) -> None:
    """Refuse a scan of something else, naming the first fact that differs.

    Raises
    ------
    ArtifactError
        With the fact and both its values.
    """
    for name, word in WORDS.items():
        if mine.get(name) != theirs.get(name):
            msg = (
                f"{what} can't be gone on with: its {word} differs ({theirs.get(name)} there, "
                f"{mine.get(name)} here). Use another file, or the model, task and settings it "
                "was made with."
            )
            raise ArtifactError(msg, what=word, known=theirs.get(name), found=mine.get(name))


def identity_of(path: str | Path) -> dict[str, str]:
    """What a scan file belongs to.

    Raises
    ------
    ArtifactError
        When there is no such file or it is no scan.
    """
    place = Path(path)
    if not place.is_file():
        msg = f"There is no scan at {place}."
        raise ArtifactError(msg, path=str(place))
    file = _open(place)
    try:
        facts = dict(file.execute("SELECT name, value FROM facts"))
        own = facts.pop("format", None) == FORMAT
        found = {name: json.loads(value) for name, value in facts.items() if name != "about"}
    except (sqlite3.Error, ValueError) as error:
        msg = f"{place} is no scan file, or it is damaged: {error}."
        raise ArtifactError(msg, path=str(place)) from error
    finally:
        file.close()
    if not own:
        msg = f"{place} is a database, but no scan that this version wrote."
        raise ArtifactError(msg, path=str(place))
    return found


def _open(path: Path) -> sqlite3.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The thread that scans need not be the one that opened the file; they never meet.
        file = sqlite3.connect(path, check_same_thread=False)
        # A record is safe when the process dies; no wait for the disk after each one.
        file.execute("PRAGMA journal_mode=WAL")
        file.execute("PRAGMA synchronous=NORMAL")
        problem = file.execute("PRAGMA quick_check").fetchone()[0]
    except (sqlite3.Error, OSError) as error:
        msg = f"{path} can't be opened as a scan file: {error}. Give another name, or remove it."
        raise ArtifactError(msg, path=str(path)) from error
    if problem != "ok":
        file.close()
        msg = f"{path} is damaged: {problem}. Remove it and scan again."
        raise ArtifactError(msg, path=str(path))
    return file


def _row(record: Record) -> tuple[str, float, str, int, bytes, str]:
    content = np.ascontiguousarray(record.scores, dtype="<f4").tobytes()
    layer, ratio = record.key
    return layer, ratio, record.dtype, record.start, content, _checksum(record, content)


def _checksum(record: Record, content: bytes) -> str:
    head = json.dumps([*record.key, record.dtype, record.start]).encode()
    return hashlib.sha256(head + content).hexdigest()


def _read(file: sqlite3.Connection, path: Path) -> Iterator[Record]:
    try:
        rows = file.execute("SELECT layer, ratio, dtype, start, scores, sha256 FROM scores")
        for layer, ratio, dtype, start, content, checksum in rows:
            scores = np.frombuffer(content, dtype="<f4").astype(np.float32)
            record = Record((layer, float(ratio)), dtype, int(start), scores)
            if _checksum(record, content) != checksum:
                msg = (
                    f"{path} is damaged: the record of layer {layer!r} at {ratio}, images from "
                    f"{start}, does not fit its checksum. Remove the file and scan again."
                )
                raise ArtifactError(msg, path=str(path), layer=layer, ratio=ratio)
            yield record
    except (sqlite3.Error, TypeError, ValueError) as error:
        msg = f"{path} is damaged: {error}. Remove it and scan again."
        raise ArtifactError(msg, path=str(path)) from error
