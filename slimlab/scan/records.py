"""Floor 3. Scores of single images, cell by cell, on disk as they are measured.

Knows scores and what they belong to; measures nothing. How the file is made is known in
`database`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slimlab.errors import ArtifactError
from slimlab.scan.database import (
    Key,
    Record,
    Scores,
    connect,
    create,
    put_fact,
    put_records,
    read,
    writing,
)

__all__ = ["WHOLE", "WORDS", "Key", "Record", "Records", "Scores", "check_same", "identity_of"]

WHOLE: Key = ("", 0.0)  # the network as it is

# What each fact of an identity is called in a sentence.
WORDS = {
    "model": "model's weights",
    "task": "task's data",
    "metric": "metric",
    "criterion": "criterion",
    "recalibrate_bn": "BatchNorm re-estimation",
}


class Records:
    """The records of one scan, in memory and, with a path, on disk.

    What was measured first stays: an image that is measured again changes nothing.

    Parameters
    ----------
    identity
        What the scores depend on beside layer, ratio and image; see `WORDS`.
    path
        The file; made when it isn't there. In memory only when None.
    write
        False to read a file that must be there, and leave it as it is; what is added stays in
        memory.

    Raises
    ------
    ArtifactError
        When the file is damaged, is no scan, can't be written to, or belongs to another identity:
        the first fact that differs is named. Such a file is not changed.
    """

    def __init__(
        self, identity: Mapping[str, str], path: str | Path | None = None, *, write: bool = True
    ) -> None:
        self.identity = dict(identity)
        self.path = None if path is None else Path(path)
        self.about: dict[str, Any] = {}
        self._scores: dict[tuple[Key, str], Scores] = {}
        self._file: sqlite3.Connection | None = None
        if self.path is not None:
            if write and not self.path.exists():
                create(self.path, self.identity)
            content = read(self.path)
            check_same(self.identity, content.identity, str(self.path))
            self.about = dict(content.about)
            for record in content.records:
                self._put(record)
            if write:
                self._file = connect(self.path)

    def add(self, records: Iterable[Record], about: Mapping[str, Any] | None = None) -> None:
        """Keep records, and what they are about; they are on disk, all or none, when this returns.

        Raises
        ------
        ArtifactError
            When the file can't be written to any more: the disk is full, for instance.
        """
        new = [part for record in records for part in self._unknown(record)]
        told = self.about if about is None else _widened(about, self.about)
        if self._file is not None and self.path is not None:
            with writing(self.path), self._file:
                put_records(self._file, new)
                if told != self.about:
                    put_fact(self._file, "about", told)
        for record in new:
            self._put(record)
        self.about = told

    def describe(self, about: Mapping[str, Any]) -> None:
        """Keep what a table needs to be made without model and data, as JSON.

        Layers and ratios are added to those that are known, and the most images count: what a file
        holds stays in its table when a part of it is asked for again.
        """
        self.add([], about)

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
        """Everything that is known, as few records as hold it."""
        for (key, dtype), scores in self._scores.items():
            for start, stop in _runs(~np.isnan(scores)):
                yield Record(key, dtype, start, scores[start:stop])

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

    def _unknown(self, record: Record) -> Iterator[Record]:
        """What a record says of images that nothing is known of."""
        known = self.scores(record.key, record.dtype)[record.start :][: len(record.scores)]
        wanting = np.ones(len(record.scores), dtype=bool)
        wanting[: len(known)] = np.isnan(known)
        for start, stop in _runs(wanting):
            part = record.scores[start:stop]
            yield Record(record.key, record.dtype, record.start + start, part)

    def _put(self, record: Record) -> None:
        place = (record.key, record.dtype)
        known, stop = self.scores(*place), record.start + len(record.scores)
        if len(known) < stop:
            longer = np.full(stop, np.nan, dtype=np.float32)
            longer[: len(known)] = known
            self._scores[place] = known = longer
        part = known[record.start : stop]
        np.copyto(part, record.scores, where=np.isnan(part))


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
    identity = dict(read(Path(path)).identity)
    return {name: value for name, value in identity.items() if name in WORDS}


def _widened(new: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of a table that holds both; their order is that of the newer one."""
    if not old:
        return dict(new)
    try:
        return {
            **new,
            "layers": list(dict.fromkeys([*new["layers"], *old["layers"]])),
            "ratios": sorted({*new["ratios"], *old["ratios"]}),
            "images": max(new["images"], old["images"]),
        }
    except (KeyError, TypeError) as error:
        msg = f"The scan does not say what it measured: {type(error).__name__} at {error}."
        raise ArtifactError(msg) from error


def _runs(mask: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Start and stop of each stretch of True."""
    edges = np.flatnonzero(np.diff(mask, prepend=False, append=False)).tolist()
    yield from zip(edges[::2], edges[1::2], strict=True)
