from __future__ import annotations

import json
from pathlib import Path

import pytest

import slimlab as sl
from slimlab.store import read_folder, write_folder


def test_round_trip(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "a" / "b", "note", {"n": 1}, {"x.bin": b"abc", "y.bin": b""})
    manifest, files = read_folder(folder, "note")
    assert manifest["n"] == 1
    assert files == {"x.bin": b"abc", "y.bin": b""}


def test_another_kind_is_refused(tmp_path: Path) -> None:
    write_folder(tmp_path / "a", "note", {}, {})
    with pytest.raises(sl.ArtifactError, match="holds a SlimLab note, not a model"):
        read_folder(tmp_path / "a", "model")


def test_a_failed_write_leaves_the_old_folder_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "a"
    write_folder(target, "note", {}, {"x": b"old"})
    original = Path.open

    def full(self: Path, *args: object, **kwargs: object) -> object:
        if self.name == "y":
            raise OSError(28, "No space left on device")
        return original(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(sl.ArtifactError, match="No space left"):
        write_folder(target, "note", {}, {"x": b"new", "y": b"new"})
    assert read_folder(target, "note")[1] == {"x": b"old"}
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_manifest_cant_reach_outside_its_folder(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "a", "note", {}, {"x": b"1"})
    path = folder / "slimlab.json"
    manifest = json.loads(path.read_text())
    manifest["files"]["../secret"] = manifest["files"].pop("x")
    path.write_text(json.dumps(manifest))
    with pytest.raises(sl.ArtifactError, match="not written by SlimLab"):
        read_folder(folder, "note")


@pytest.mark.parametrize("content", ["", "[]", "{", '{"kind": "note"}', "\x80"])
def test_what_is_no_manifest_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "slimlab.json").write_text(content)
    with pytest.raises(sl.ArtifactError, match=r"damaged|not written by SlimLab"):
        read_folder(tmp_path, "note")
