"""Top floor. Keeps what lies on a bench in a folder beside its scans; decides nothing, no widget.

The folder holds `bench.json` and one folder for each pruned model. A model is written once, before
the notes that name it, so that notes never point at what is not there.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Generator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slimlab as sl
from slimlab.errors import SlimLabError
from slimlab.steps import Step
from slimlab.store import write_file
from slimlab_widgets.notes import candidate_of, noted
from slimlab_widgets.settings import folder_for
from slimlab_widgets.shelf import NOTES, Left, Shelf

if TYPE_CHECKING:
    from paddle.nn import Layer

    from slimlab_widgets.state import Candidate, State

Saved = dict[str, tuple["Layer", str]]
# What notes of another version, or written by hand, can lead to.
UNUSABLE = (SlimLabError, KeyError, TypeError, ValueError, AttributeError, OSError)


class Keeper:
    """Writes a bench's state to the disk, as often as it is asked.

    Parameters
    ----------
    shelf
        Gives the folder.
    model
        The unpruned model: what candidates of a user's own network are loaded into.
    """

    def __init__(self, shelf: Shelf, model: Layer) -> None:
        self._shelf = shelf
        self._model = model
        self._saved: Saved = {}
        self._folder: Path | None = None
        self._mine: set[str] = set()  # folders that no other kernel needs
        self._number = 0
        self._lock = threading.Lock()

    def keep(self, state: State) -> None:
        """Write what is worth keeping; nothing for a bench on which nothing was done.

        Raises
        ------
        ArtifactError
            When the disk is full or can't be written.
        """
        picks = state.picks
        if not (picks.past or picks.snapshots or state.candidates or state.times):
            return
        with self._lock:
            folder = self._folder or self._shelf.new_bench()
            if folder is None:
                return
            self._folder = folder
            for candidate in state.candidates:
                self._save(folder, candidate)
            folders = {name: where for name, (_, where) in self._saved.items()}
            notes = {**noted(state, folders), **asdict(self._shelf.identity)}
            write_file(folder / NOTES, json.dumps(notes, allow_nan=True).encode())
            self._clear(folder, [candidate.name for candidate in state.candidates])

    def take_up(self, left: Left) -> Generator[Step[Any], None, tuple[list[Candidate], list[str]]]:
        """Load the models that an earlier kernel left, and go on in its folder.

        Returns
        -------
        tuple
            Candidates, and the names of those that can't be loaded.
        """
        found: list[Candidate] = []
        lost: list[str] = []
        notes = left.notes["candidates"]
        with self._lock:
            self._folder = left.folder
        for number, note in enumerate(notes):
            yield Step(number, len(notes), str(note["name"]))
            try:
                candidate = candidate_of(note, lambda name: self._load(left.folder / name))
            except UNUSABLE:
                lost.append(str(note["name"]))
                continue
            found.append(candidate)
            with self._lock:
                self._saved[candidate.name] = (candidate.model, str(note["folder"]))
                self._mine.add(str(note["folder"]))
        yield Step(len(notes), len(notes), "")
        return found, lost

    def _load(self, folder: Path) -> Layer:
        return sl.load(folder, self._model)

    def _save(self, folder: Path, candidate: Candidate) -> None:
        known = self._saved.get(candidate.name)
        if known is not None and known[0] is candidate.model:
            return
        while True:
            self._number += 1
            name = f"{folder_for(candidate.name).split('/')[-1][:60]}-{self._number}"
            if not (folder / name).exists():
                break
        sl.save(candidate.model, folder / name)
        self._saved[candidate.name] = (candidate.model, name)
        self._mine.add(name)

    def _clear(self, folder: Path, names: list[str]) -> None:
        """Remove models that no note names any more."""
        self._saved = {name: self._saved[name] for name in names}
        old = self._mine - {where for _, where in self._saved.values()}
        for name in old:
            shutil.rmtree(folder / name, ignore_errors=True)
        self._mine -= old
