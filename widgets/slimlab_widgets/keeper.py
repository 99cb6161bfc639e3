"""Top floor. Keeps what lies on a bench in a folder beside its scans; decides nothing, no widget.

The folder holds `bench.json` and one folder for each pruned model. A model is written once, before
the notes that name it, so that notes never point at what is not there. One bench at a time writes
into a folder: what another one holds is copied.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
from collections.abc import Generator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slimlab as sl
from slimlab.errors import SlimLabError
from slimlab.steps import Step
from slimlab.store import write_file
from slimlab_widgets.claims import Claim, Owner, claim
from slimlab_widgets.notes import candidate_of, noted
from slimlab_widgets.settings import folder_for
from slimlab_widgets.shelf import NOTES, Left, Shelf

if TYPE_CHECKING:
    from paddle.nn import Layer

    from slimlab_widgets.state import Candidate, State

Saved = dict[str, tuple["Layer", str]]
# What notes of another version, or written by hand, can lead to.
UNUSABLE = (SlimLabError, KeyError, TypeError, ValueError, AttributeError, OSError)


@dataclass(frozen=True, eq=False)
class TakenUp:
    """What was read of an earlier bench.

    Attributes
    ----------
    candidates
        Those that can be loaded.
    lost
        Names of those that can't. They stay where they are: this bench goes on elsewhere.
    """

    candidates: tuple[Candidate, ...]
    lost: tuple[str, ...]


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
        self._claim: Claim | None = None
        self._reading = False  # an earlier bench: until it is whole again nothing is written
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
            folder = None if self._reading else self._folder or self._new()
            if folder is None:
                return
            for candidate in state.candidates:
                self._save(folder, candidate)
            folders = {name: where for name, (_, where) in self._saved.items()}
            notes = {**noted(state, folders), **asdict(self._shelf.identity)}
            write_file(folder / NOTES, json.dumps(notes, allow_nan=True).encode())
            self._clear(folder, [candidate.name for candidate in state.candidates])

    def open(self, left: Left) -> tuple[Left, Owner | None]:
        """Hold the folder of an earlier bench and read its notes as they are now.

        Returns
        -------
        tuple
            What lies there, and who else holds the folder: then it is copied, and left alone.
        """
        with self._lock:
            self._release()
            held = claim(left.folder)
            if isinstance(held, Claim):
                self._folder, self._claim = left.folder, held
            self._reading = bool(left.notes.get("candidates"))
            return self._shelf.again(left), held if isinstance(held, Owner) else None

    def take_up(self, left: Left) -> Generator[Step[Any], None, TakenUp]:
        """Load the models of a bench that was opened; stopped, this bench goes on elsewhere."""
        found: dict[str, Candidate] = {}
        whole = False
        notes = left.notes["candidates"]
        folders: dict[str, str] = {}
        try:
            for number, note in enumerate(notes):
                name = str(note["name"])
                yield Step(number, len(notes), name)
                candidate, folder = self._candidate(left, note)
                if candidate is not None:
                    found[name], folders[name] = candidate, folder
            yield Step(len(notes), len(notes), "")
            whole = len(found) == len(notes)
        finally:
            with self._lock:
                self._reading = False
                if not whole:
                    self._release()
                if self._folder == left.folder:
                    self._saved |= {n: (c.model, folders[n]) for n, c in found.items()}
                    self._mine |= set(folders.values())
        lost = [str(note["name"]) for note in notes if str(note["name"]) not in found]
        return TakenUp(tuple(found.values()), tuple(lost))

    def release(self) -> None:
        """Let other benches have the folder; what is kept from now on goes to another one."""
        with self._lock:
            self._release()

    def _release(self) -> None:
        if self._claim is not None:
            self._claim.release()
        self._claim, self._folder = None, None
        self._saved, self._mine = {}, set()

    def _new(self) -> Path | None:
        """A folder of this bench's own; None where nothing can be kept."""
        folder = self._shelf.new_bench()
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            held = claim(folder)
            self._claim = held if isinstance(held, Claim) else None
        self._folder = folder
        return folder

    def _candidate(self, left: Left, note: dict[str, Any]) -> tuple[Candidate | None, str]:
        """A candidate and its folder. The owner of a bench that is copied may replace a model
        meanwhile: then its newer notes say where it is.
        """
        for notes in (left.notes, self._shelf.again(left).notes):
            for one in notes["candidates"]:
                if one["name"] == note["name"]:
                    with contextlib.suppress(*UNUSABLE):
                        load = lambda name: self._load(left.folder / name)  # noqa: E731
                        return candidate_of(one, load), str(one["folder"])
        return None, ""

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
