"""Floor 3. The file of a scan: an SQLite database whose rows each carry a checksum.

A record is there whole or not at all, whatever kills the process. A file is looked at without a
write before it is opened for writing, so that what is damaged or foreign stays as it is. Knows rows
and files; what scores mean is not known here.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slimlab.errors import ArtifactError

FORMAT = "slimlab-scan-1"
Scores = NDArray[np.float32]
Key = tuple[str, float]  # layer and ratio

# `images` is part of the key: a shorter record must not take the place of a longer one. Without
# row numbers there is one tree and no index beside it that could come to disagree.
TABLES = (
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT, sha256 TEXT) WITHOUT ROWID",
    "CREATE TABLE scores (layer TEXT, ratio REAL, dtype TEXT, start INTEGER, images INTEGER, "
    "scores BLOB, sha256 TEXT, PRIMARY KEY (layer, ratio, dtype, start, images)) WITHOUT ROWID",
)
# What a damaged file may raise while it is read; a size that was hit makes SQLite want gigabytes.
DAMAGE = (sqlite3.Error, OSError, ValueError, TypeError, OverflowError, MemoryError)


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


@dataclass(frozen=True, eq=False)
class Content:
    """What a scan file holds: what it belongs to, what its table needs, and its records."""

    identity: Mapping[str, str]
    about: Mapping[str, Any]
    records: tuple[Record, ...]


def read(path: Path) -> Content:
    """Read a scan file and change nothing.

    Raises
    ------
    ArtifactError
        When there is none, or it is damaged or something else.
    """
    if not path.is_file():
        msg = f"There is no scan at {path}."
        if path.exists():
            msg = f"{path} is no file: give the name of a scan file."
        raise ArtifactError(msg, path=str(path))
    try:
        with closing(_look(path)) as file:
            problem = file.execute("PRAGMA quick_check").fetchone()[0]
            if problem != "ok":
                raise sqlite3.DatabaseError(problem)
            facts = dict(_facts(file))
            content = Content(facts["scan"], facts.get("about", {}), tuple(_records(file)))
    except (*DAMAGE, KeyError) as error:
        why = str(error).strip().rstrip(".") or type(error).__name__
        msg = (
            f"{path} is no scan file, or it is damaged: {why}. Give another name, or remove the "
            "file and scan again."
        )
        raise ArtifactError(msg, path=str(path)) from error
    if content.identity.get("format") != FORMAT:
        msg = f"{path} is a scan that another version wrote. Give another name, and scan again."
        raise ArtifactError(msg, path=str(path))
    return content


def create(path: Path, identity: Mapping[str, str]) -> None:
    """Make an empty scan file, unless there is a file.

    It is written aside and appears whole, so that a process that dies leaves no half of one.

    Raises
    ------
    ArtifactError
        When nothing can be written there.
    """
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with closing(sqlite3.connect(aside)) as file:
                # A record is safe when the process dies, without a wait for the disk after each.
                file.execute("PRAGMA journal_mode=WAL")
                with file:
                    for table in TABLES:
                        file.execute(table)
                    put_fact(file, "scan", {**identity, "format": FORMAT})
            _appear(aside, path)
        finally:
            aside.unlink(missing_ok=True)


def connect(path: Path) -> sqlite3.Connection:
    """Open a scan file that has been read to write to it.

    Raises
    ------
    ArtifactError
        When it can't be written to: now, and not after an hour of measuring.
    """
    with writing(path):
        # The thread that scans need not be the one that opened the file; they never meet.
        file = sqlite3.connect(f"{_uri(path)}?mode=rw", uri=True, check_same_thread=False)
        try:
            file.execute("PRAGMA synchronous=NORMAL")
            file.execute("UPDATE facts SET name = name")
            file.rollback()
        except BaseException:
            file.close()
            raise
    return file


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say in a sentence why a file can't be written to."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        msg = (
            f"The scan can't be kept in {path}: {error}. Give a place that can be written to; "
            "what is there already stays."
        )
        raise ArtifactError(msg, path=str(path)) from error


def put_fact(file: sqlite3.Connection, name: str, value: Mapping[str, Any]) -> None:
    """Keep a fact under a name, in the transaction that is open."""
    text = json.dumps(dict(value))
    row = (name, text, _checksum([name], text.encode()))
    file.execute("INSERT OR REPLACE INTO facts VALUES (?, ?, ?)", row)


def put_records(file: sqlite3.Connection, records: Iterable[Record]) -> None:
    """Keep records, in the transaction that is open."""
    rows = map(_row, records)
    file.executemany("INSERT OR REPLACE INTO scores VALUES (?, ?, ?, ?, ?, ?, ?)", rows)


def _look(path: Path) -> sqlite3.Connection:
    """Open to read. A file that nobody has open is left without the slightest trace."""
    beside = path.with_name(f"{path.name}-wal")  # there while a scan runs, or after it was killed
    mode = "mode=ro" if beside.exists() else "immutable=1"
    return sqlite3.connect(f"{_uri(path)}?{mode}", uri=True)


def _uri(path: Path) -> str:
    return path.absolute().as_uri()


def _appear(aside: Path, path: Path) -> None:
    try:
        os.link(aside, path)  # unlike a rename it never replaces a file
    except FileExistsError:
        return  # another process was faster; whether it is a scan of the same is found next
    except OSError:
        if not path.exists():  # a file system without links
            aside.rename(path)


def _facts(file: sqlite3.Connection) -> Iterator[tuple[str, Any]]:
    for name, text, checksum in file.execute("SELECT name, value, sha256 FROM facts"):
        if _checksum([name], text.encode() if isinstance(text, str) else b"") != checksum:
            msg = f"what it says of {name!r} does not fit its checksum"
            raise ValueError(msg)
        yield name, json.loads(text)


def _records(file: sqlite3.Connection) -> Iterator[Record]:
    for *place, content, checksum in file.execute(
        "SELECT layer, ratio, dtype, start, images, scores, sha256 FROM scores"
    ):
        layer, ratio, dtype, start, _ = place
        if not isinstance(content, bytes) or _checksum(place, content) != checksum:
            msg = (
                f"the record of layer {layer!r} at {ratio}, images from {start}, does not fit its "
                "checksum"
            )
            raise ValueError(msg)
        scores = np.frombuffer(content, dtype="<f4").astype(np.float32)
        yield Record((layer, float(ratio)), dtype, int(start), scores)


def _row(record: Record) -> tuple[Any, ...]:
    content = np.ascontiguousarray(record.scores, dtype="<f4").tobytes()
    layer, ratio = record.key
    place = [layer, float(ratio), record.dtype, int(record.start), len(record.scores)]
    return (*place, content, _checksum(place, content))


def _checksum(place: list[Any], content: bytes) -> str:
    return hashlib.sha256(json.dumps(place).encode() + content).hexdigest()
