"""Floor 0. Folders of files that are whole or absent: written aside, checked by hash, moved into
place.

Knows bytes and JSON, not what they mean. Pickle is never read or written.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from slimlab.errors import ArtifactError

MANIFEST = "slimlab.json"
LEFT_OVER = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{8}\.(tmp|old)")


def write_folder(
    folder: str | Path, kind: str, facts: Mapping[str, Any], files: Mapping[str, bytes]
) -> Path:
    """Write files and a manifest with their hashes; the folder appears whole or not at all.

    Parameters
    ----------
    folder
        Where. An earlier folder of ours is replaced; any other folder with something in it is not.
    kind
        What it is, such as `"model"`; `read_folder` asks for it.
    facts
        JSON values for the manifest.
    files
        Name to content.

    Raises
    ------
    ArtifactError
        When the place is taken by something else or can't be written.
    """
    target = Path(folder).absolute()
    check_free(target)
    entries = {n: {"sha256": _sha256(c), "bytes": len(c)} for n, c in files.items()}
    manifest: dict[str, Any] = {"kind": kind, **facts, "files": entries}
    manifest["sha256"] = _sha256(_canonical(manifest))
    aside = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        aside.mkdir(parents=True)
        for name, content in files.items():
            _write(aside / name, content)
        _write(aside / MANIFEST, json.dumps(manifest, indent=1).encode())
        _replace(aside, target)
    except OSError as error:
        msg = f"{target} can't be written: {error.strerror or error}. Nothing was changed there."
        raise ArtifactError(msg, path=str(target)) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return target


def remove_left_overs(folder: str | Path, names: Iterable[str]) -> None:
    """Remove what a process left aside that was killed while it wrote folders of these names.

    Examples
    --------
    >>> import tempfile
    >>> from slimlab.store import remove_left_overs
    >>> place = Path(tempfile.mkdtemp())
    >>> (place / ".model.0a1b2c3d.tmp").mkdir()
    >>> remove_left_overs(place, ["model"])
    >>> list(place.iterdir())
    []
    """
    known, place = set(names), Path(folder)
    for path in place.iterdir() if place.is_dir() else ():
        found = LEFT_OVER.fullmatch(path.name)
        if found is not None and found["name"] in known:
            shutil.rmtree(path, ignore_errors=True)


def write_file(path: str | Path, content: bytes) -> Path:
    """Write one file, whole or not at all; one that is there is replaced at once.

    Raises
    ------
    ArtifactError
        When the place is a folder or can't be written; what was there is left as it was.

    Examples
    --------
    >>> import tempfile
    >>> from slimlab.store import write_file
    >>> write_file(tempfile.mkdtemp() + "/deep/page.html", b"<p>").read_bytes()
    b'<p>'
    """
    target = Path(path).absolute()
    if target.is_dir():
        msg = f"{target} is a folder; give the name of a file."
        raise ArtifactError(msg, path=str(target))
    aside = target.with_name(f".{target.name[:64]}.{secrets.token_hex(4)}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _write(aside, content)
        aside.replace(target)
    except OSError as error:
        msg = f"{target} can't be written: {error.strerror or error}. Nothing was changed there."
        raise ArtifactError(msg, path=str(target)) from error
    finally:
        aside.unlink(missing_ok=True)
    return target


def read_folder(folder: str | Path, kind: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Read what `write_folder` wrote: the manifest, and every file's content.

    Raises
    ------
    ArtifactError
        When the folder, its manifest or a file is missing, cut short, edited or of another kind.
    """
    root = Path(folder)
    manifest = _manifest(root)
    if manifest["kind"] != kind:
        msg = f"{root} holds a SlimLab {manifest['kind']}, not a {kind}."
        raise ArtifactError(msg, path=str(root), kind=manifest["kind"])
    return manifest, {
        name: _content(root / name, entry) for name, entry in manifest["files"].items()
    }


def _manifest(root: Path) -> dict[str, Any]:
    path = root / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
    except FileNotFoundError:
        there = "it has no " + MANIFEST if root.is_dir() else "there is no such folder"
        msg = f"{root} is no SlimLab folder: {there}."
        raise ArtifactError(msg, path=str(root)) from None
    except OSError as error:
        msg = f"{path} can't be read: {error.strerror or error}."
        raise ArtifactError(msg, path=str(path)) from error
    except ValueError as error:
        msg = f"{path} is damaged: it is no whole JSON file ({error})."
        raise ArtifactError(msg, path=str(path)) from error
    known = isinstance(manifest, dict) and {"kind", "files", "sha256"} <= set(manifest)
    if not known or not _entries_are_sound(manifest["files"]):
        msg = f"{path} was not written by SlimLab: it lists no files with their hashes."
        raise ArtifactError(msg, path=str(path))
    claimed = manifest.pop("sha256")
    if claimed != _sha256(_canonical(manifest)):
        msg = f"{path} was edited after it was written: its checksum does not fit."
        raise ArtifactError(msg, path=str(path))
    return dict(manifest)


def _entries_are_sound(entries: Any) -> bool:
    # A name must stay inside the folder, whatever the manifest claims.
    return isinstance(entries, dict) and all(
        isinstance(entry, dict) and {"sha256", "bytes"} <= set(entry) and Path(name).name == name
        for name, entry in entries.items()
    )


def _content(path: Path, entry: Mapping[str, Any]) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        msg = f"{path} is missing or can't be read: {error.strerror or error}."
        raise ArtifactError(msg, path=str(path)) from error
    if len(content) != entry["bytes"]:
        msg = f"{path} is damaged: it has {len(content):,} of {entry['bytes']:,} bytes."
        raise ArtifactError(msg, path=str(path), bytes=len(content))
    if _sha256(content) != entry["sha256"]:
        msg = f"{path} is damaged: its content does not fit the checksum in {MANIFEST}."
        raise ArtifactError(msg, path=str(path))
    return content


def check_free(target: Path) -> None:
    """Make sure that a folder of ours can stand in a place, before work is spent on it.

    Raises
    ------
    ArtifactError
        When something else is there.
    """
    if not target.exists():
        return
    if not target.is_dir():
        msg = f"{target} is a file; give the name of a folder."
        raise ArtifactError(msg, path=str(target))
    if any(target.iterdir()) and not (target / MANIFEST).exists():
        msg = f"{target} holds files that are not SlimLab's; give another folder."
        raise ArtifactError(msg, path=str(target))


def _replace(aside: Path, target: Path) -> None:
    if target.exists():
        old = aside.with_suffix(".old")
        target.rename(old)
        aside.rename(target)
        shutil.rmtree(old)
    else:
        aside.rename(target)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _canonical(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
