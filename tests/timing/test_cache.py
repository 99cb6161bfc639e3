"""The file of measured times."""

from __future__ import annotations

import sqlite3

import pytest

from slimlab.errors import ArtifactError
from slimlab.timing import TimeCache, default_cache, machine


def test_times_belong_to_a_machine_and_a_clock(tmp_path):
    path = tmp_path / "times.sqlite"
    TimeCache(path, "m1", "c1").write({"a": 1.0, "b": 2.0})
    TimeCache(path, "m1", "c1").write({"b": 3.0})
    TimeCache(path, "m2", "c1").write({"a": 9.0})
    assert TimeCache(path, "m1", "c1").read() == {"a": 1.0, "b": 3.0}
    assert TimeCache(path, "m2", "c1").read() == {"a": 9.0}
    assert TimeCache(path, "m1", "c2").read() == {}


def test_a_file_that_is_none_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "times.sqlite"
    path.write_bytes(b"no database at all, but long enough to be looked at" * 20)
    before = path.read_bytes()
    cache = TimeCache(path, "m", "c")
    with pytest.raises(ArtifactError, match="Delete it"):
        cache.read()
    with pytest.raises(ArtifactError, match="Delete it"):
        cache.write({"a": 1.0})
    assert path.read_bytes() == before


def test_times_that_are_none_are_not_believed(tmp_path):
    path = tmp_path / "times.sqlite"
    TimeCache(path, "m", "c").write({"good": 1.0})
    with sqlite3.connect(path) as connection:
        for shape, ms in (("zero", 0.0), ("minus", -1.0), ("word", "fast"), ("none", None)):
            connection.execute("INSERT INTO times VALUES ('m', 'c', ?, ?)", (shape, ms))
    assert TimeCache(path, "m", "c").read() == {"good": 1.0}


def test_a_place_that_is_taken_is_said(tmp_path):
    taken = tmp_path / "file"
    taken.write_text("x")
    with pytest.raises(ArtifactError, match="can't be used"):
        TimeCache(taken / "times.sqlite", "m", "c").write({"a": 1.0})


def test_the_users_place_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "slimlab" / "times.sqlite"
    assert "cores" in machine()
