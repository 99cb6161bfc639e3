"""The file of a scan: whole or refused, never half, and what can't be read is left alone."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import slimlab as sl
from slimlab.scan import database
from slimlab.scan.board import Board
from slimlab.scan.records import WHOLE, Key, Record, Records, identity_of
from slimlab.sensitivity import Fingerprint
from slimlab.task import TOP1

OWN = {"model": "m", "task": "t", "metric": "top1", "criterion": "l1_norm", "recalibrate_bn": "0"}
ABOUT = {"layers": ["a", "b"], "ratios": [0.5], "images": 40}
KEYS: tuple[Key, ...] = (WHOLE, ("a", 0.5), ("b", 0.5))
IMAGES = 40
# Which images each network of `KEYS` gets right.
RIGHT = np.random.default_rng(0).integers(0, 2, (len(KEYS), IMAGES)).astype(np.float32)
EMPTY = sl.Sensitivity(
    (), ("a", "b"), (0.5,), float("nan"), "top1", "%", "l1_norm", IMAGES, Fingerprint("m", "t")
)


def record(key: Key, start: int, stop: int, dtype: str = "float32") -> Record:
    return Record(key, dtype, start, RIGHT[KEYS.index(key), start:stop])


def written(path: Path) -> bytes:
    with Records(OWN, path) as records:
        records.describe(ABOUT)
        for key in KEYS:
            records.add([record(key, 0, 16)])
            records.add([record(key, 16, IMAGES)])
    return path.read_bytes()


def content(records: Records) -> object:
    return records.about, {place: records.scores(*place).tobytes() for place in records.known()}


def refused(path: Path) -> bool:
    """Whether a file is refused by all that may read it, and left without a trace."""
    before, names = path.read_bytes(), sorted(path.parent.iterdir())
    said = 0
    for attempt in (
        lambda: Records(OWN, path).close(),
        lambda: Records(OWN, path, write=False),
        lambda: sl.load_scan(path),
        lambda: identity_of(path),
        lambda: sl.merge_scans([path], path.with_name("whole.scan")),
    ):
        with pytest.raises(sl.ArtifactError) as caught:
            attempt()
        said += str(path) in str(caught.value) and str(caught.value).endswith(".")
    assert path.read_bytes() == before
    assert sorted(path.parent.iterdir()) == names
    return said == 5


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Give the bytes of a good file."""
    return written(tmp_path_factory.mktemp("good") / "a.scan")


# ------------------------------------------------------------------------------------- damage


@settings(max_examples=60, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_file_that_is_cut_short_is_refused(whole: bytes, share: float) -> None:
    with folder() as place:
        path = place / "a.scan"
        path.write_bytes(whole[: int(share * len(whole))])
        assert refused(path)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_flipped_bit_is_refused_or_changes_nothing(whole: bytes, data: st.DataObject) -> None:
    # Most of a small file is room that nothing uses; bytes that are not zero are mostly used.
    used = [n for n, byte in enumerate(whole) if byte]
    at = data.draw(st.one_of(st.sampled_from(used), st.integers(0, len(whole) - 1)))
    bit = data.draw(st.integers(0, 7))
    with folder() as place:
        path = place / "a.scan"
        good = place / "good.scan"
        good.write_bytes(whole)
        flipped = bytearray(whole)
        flipped[at] ^= 1 << bit
        path.write_bytes(flipped)
        try:
            found = content(Records(OWN, path, write=False))
        except sl.ArtifactError:
            assert path.read_bytes() == flipped
            with pytest.raises(sl.ArtifactError):
                Records(OWN, path)
            assert path.read_bytes() == flipped
            assert {p.name for p in place.iterdir()} == {"a.scan", "good.scan"}
            return
        assert found == content(Records(OWN, good, write=False))
        try:  # it may be that it can be read and not written to
            with Records(OWN, path) as again:
                again.add([Record(("a", 0.5), "float32", IMAGES, np.ones(3, dtype=np.float32))])
        except sl.ArtifactError:
            assert content(Records(OWN, path, write=False)) == found


def test_no_bit_of_a_page_head_makes_records_vanish(tmp_path: Path, whole: bytes) -> None:
    """A page's head counts its rows: one less would be a scan with a hole that nobody notices."""
    path = tmp_path / "a.scan"
    path.write_bytes(whole)
    good = content(Records(OWN, path, write=False))
    page = int.from_bytes(whole[16:18], "big")
    heads = [start + (100 if start == 0 else 0) for start in range(0, len(whole), page)]
    outcomes = set()
    for at in (head + n for head in heads for n in range(14)):
        for bit in range(8):
            flipped = bytearray(whole)
            flipped[at] ^= 1 << bit
            path.write_bytes(flipped)
            try:
                outcomes.add(content(Records(OWN, path, write=False)) == good)
            except sl.ArtifactError:
                outcomes.add(None)
    assert False not in outcomes
    assert None in outcomes


def foreign_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("CREATE TABLE facts (name TEXT, value TEXT)")
        file.execute("CREATE TABLE addresses (street TEXT)")


@pytest.mark.parametrize(
    "other",
    [
        b"",
        b"layer,ratio,drop\nconv1,0.5,0.1\n" * 100,
        b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00}\x94.",
        b"SQLite format 3\x00",
        bytes(8192),
    ],
    ids=["empty", "text", "pickle", "a header", "zeros"],
)
def test_other_files_are_refused(tmp_path: Path, other: bytes) -> None:
    path = tmp_path / "a.scan"
    path.write_bytes(other)
    assert refused(path)


def test_another_programs_database_is_not_made_a_scan(tmp_path: Path) -> None:
    path = tmp_path / "addresses.db"
    foreign_database(path)
    assert refused(path)


def test_another_versions_scan_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.scan"
    with monkeypatch.context() as context:
        context.setattr(database, "FORMAT", "slimlab-scan-0")
        written(path)
    with pytest.raises(sl.ArtifactError, match="another version wrote"):
        Records(OWN, path)
    assert refused(path)


def test_a_folder_and_nothing_are_sentences(tmp_path: Path) -> None:
    for attempt in (lambda: Records(OWN, tmp_path), lambda: sl.load_scan(tmp_path)):
        with pytest.raises(sl.ArtifactError, match="is no file: give the name"):
            attempt()
    with pytest.raises(sl.ArtifactError, match="There is no scan at"):
        sl.load_scan(tmp_path / "nothing.scan")
    with pytest.raises(sl.ArtifactError, match="There are no scans to merge"):
        sl.merge_scans([], tmp_path / "whole.scan")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no folder here that nobody can write")
@pytest.mark.parametrize("name", ["a.scan", "deeper/a.scan"])
def test_a_place_that_cant_be_written_to_is_a_sentence(name: str) -> None:
    with pytest.raises(sl.ArtifactError, match="The scan can't be kept in /proc"):
        Records(OWN, Path("/proc") / name)


def test_a_file_that_cant_be_written_to_says_so_before_the_scan(tmp_path: Path) -> None:
    """Read, it is as good as ever. Byte 18 of the header is SQLite's leave to write."""
    path = tmp_path / "a.scan"
    damaged = bytearray(written(path))
    damaged[18] = 9
    path.write_bytes(damaged)
    assert len(Records(OWN, path, write=False).known()) == len(KEYS)
    with pytest.raises(sl.ArtifactError, match=r"can't be kept in .*a\.scan"):
        Records(OWN, path)
    assert path.read_bytes() == damaged


def test_a_full_disk_is_a_sentence_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.scan"
    written(path)
    many = Record(("a", 0.5), "float32", IMAGES, np.ones(100_000, dtype=np.float32))
    with Records(OWN, path) as records:
        before = content(records)
        assert records._file is not None
        records._file.execute("PRAGMA max_page_count=4")
        with pytest.raises(sl.ArtifactError, match="full"):
            records.add([many])
        assert content(records) == before, "what is not on disk is not in memory either"
    assert content(Records(OWN, path, write=False)) == before


def test_a_new_file_appears_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a kill before the last moment of making it leaves is no file at the path."""

    def killed(aside: Path, path: Path) -> None:
        assert not path.exists()
        assert len(database.read(aside).identity) == len(OWN) + 1, "it is whole by now"
        raise KeyboardInterrupt

    monkeypatch.setattr(database, "_appear", killed)
    with pytest.raises(KeyboardInterrupt):
        Records(OWN, tmp_path / "a.scan")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_another_process_made_meanwhile_is_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "a.scan"
    before = written(path)
    database.create(path, {**OWN, "model": "another"})
    assert path.read_bytes() == before
    assert sorted(tmp_path.iterdir()) == [path]


# ------------------------------------------------------------------------------------ content


def test_what_is_added_is_on_disk_at_once(tmp_path: Path) -> None:
    path = tmp_path / "deeper" / "a.scan"
    with Records(OWN, path) as records:
        records.add([record(WHOLE, 0, 16)])
        assert content(Records(OWN, path, write=False)) == content(records)
        records.add([record(("a", 0.5), 0, 16)])
        assert content(Records(OWN, path, write=False)) == content(records)
    assert identity_of(path) == OWN


def test_reading_leaves_a_file_as_it_is(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "a.scan"
    path.write_bytes(whole)
    # The folder's time tells of files beside it that came and went: there may be no leave to
    # make them.
    times = path.stat().st_mtime_ns, tmp_path.stat().st_mtime_ns
    Records(OWN, path, write=False).add([Record(("a", 0.5), "float32", 90, RIGHT[0])])
    assert identity_of(path) == OWN
    assert (path.stat().st_mtime_ns, tmp_path.stat().st_mtime_ns) == times
    assert path.read_bytes() == whole
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("fact", list(OWN))
def test_another_scans_file_is_refused_with_the_difference(tmp_path: Path, fact: str) -> None:
    path = tmp_path / "a.scan"
    before = written(path)
    with pytest.raises(sl.ArtifactError, match=r"differs \(") as caught:
        Records({**OWN, fact: "other"}, path)
    assert caught.value.facts["known"] == OWN[fact]
    assert caught.value.facts["found"] == "other"
    assert path.read_bytes() == before


def test_nan_where_nothing_was_measured() -> None:
    records = Records(OWN)
    records.add([record(WHOLE, 5, 8), record(WHOLE, 12, 14)])
    known = np.flatnonzero(~np.isnan(records.scores(WHOLE, "float32")))
    assert known.tolist() == [5, 6, 7, 12, 13]
    assert len(records.scores(WHOLE, "float32")) == 14
    assert records.scores(WHOLE, "bfloat16").shape == (0,)
    assert records.has(WHOLE, "float32", 12, 14)
    assert not records.has(WHOLE, "float32", 7, 13)
    assert not records.has(WHOLE, "float32", 13, 15), "images after the last one known"
    again = [(r.start, len(r.scores)) for r in records.all()]
    assert again == [(5, 3), (12, 2)]


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_order_split_and_overlap_gives_the_same_table(data: st.DataObject) -> None:
    bounds = st.tuples(st.integers(0, IMAGES), st.integers(0, IMAGES)).map(sorted)
    parts = [
        (key, start, stop)
        for key in KEYS
        for start, stop in [*data.draw(st.lists(bounds, max_size=3)), (0, 20), (15, IMAGES)]
    ]
    shuffled = data.draw(st.permutations(parts))
    split = data.draw(st.integers(0, len(shuffled)))
    at_once = Records(OWN)
    at_once.add(record(key, 0, IMAGES) for key in KEYS)
    expected = Board(EMPTY, TOP1, at_once, "float32").table
    with folder() as place:
        path = place / "a.scan"
        with Records(OWN, path) as first:
            first.add(record(*part) for part in shuffled[:split])
        with Records(OWN, path) as second:
            board = Board(EMPTY, TOP1, second, "float32")
            for part in shuffled[split:]:
                board.add([record(*part)])
        assert board.table == expected
        again = Records(OWN, path, write=False)
        assert Board(EMPTY, TOP1, again, "float32").table == expected


def test_a_description_keeps_what_the_file_holds(tmp_path: Path) -> None:
    path = tmp_path / "a.scan"
    written(path)
    with Records(OWN, path) as records:
        records.describe({"layers": ["b", "c"], "ratios": [0.25], "images": 10})
    assert Records(OWN, path, write=False).about == {
        "layers": ["b", "c", "a"],
        "ratios": [0.25, 0.5],
        "images": 40,
    }
