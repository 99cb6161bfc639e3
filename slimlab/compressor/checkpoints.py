"""Floor 4. Checkpoints: all that the rest of a run depends on, as safetensors and JSON.

Each is a folder that is whole or absent, with a checksum of every file; the last few are kept. One
that is damaged is passed over, with a sentence, for the one before. Random numbers follow from the
recipe's seed and the step, so none are kept.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from slimlab.compressor.journal import history_arrays, history_from
from slimlab.compressor.scene import Acted
from slimlab.compressor.timetable import Act
from slimlab.errors import ArtifactError, SlimLabError
from slimlab.recipe import Recipe
from slimlab.store import read_folder, write_folder
from slimlab.train import History
from slimlab.train.snapshot import Arrays, Snapshot

KIND, VERSION = "checkpoint", 1
SHOWN = 300  # characters of what is wrong with one
NAME = re.compile(r"\d{9}-\d{3}")
LEFT_OVER = re.compile(r"\.\d{9}-\d{3}\.[0-9a-f]+\.(tmp|old)")


@dataclass(frozen=True)
class Position:
    """Where a run is.

    Attributes
    ----------
    epoch
        Passes over the training data that are whole.
    batch
        Batches of the next one that were trained on.
    step
        Training steps in all.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0


@dataclass(frozen=True)
class State:
    """A run between two steps.

    Attributes
    ----------
    recipe
        By which it got here.
    identity
        Hashes of the first model and of the data.
    position, acted, history
        Where it is, what strategies did, and what was recorded.
    snapshot
        The model's tensors and, inside a piece that one optimizer trains, all that belongs to it.
    training
        Whether the snapshot is inside such a piece.
    quantizers
        What activation quantizers remember of the batches they saw.
    """

    recipe: Recipe
    identity: Mapping[str, str]
    position: Position
    acted: tuple[Acted, ...]
    history: History
    snapshot: Snapshot
    training: bool
    quantizers: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Checkpoints:
    """A folder of checkpoints.

    Attributes
    ----------
    folder
        Where.
    keep
        How many of the last ones stay.
    writes
        False for one that only reads.
    """

    folder: Path
    keep: int = 3
    writes: bool = True
    notes: list[str] = field(default_factory=list)

    def write(self, state: State) -> Path | None:
        """Write a checkpoint, then remove those that are too old.

        Raises
        ------
        ArtifactError
            When it can't be written.
        """
        if not self.writes:
            return None
        name = f"{state.position.step:09d}-{len(state.acted):03d}"
        path = write_folder(self.folder / name, KIND, _facts(state), _files(state))
        for old in self.all()[self.keep :]:
            shutil.rmtree(old, ignore_errors=True)
        return path

    def all(self) -> list[Path]:
        """Give the checkpoints, newest first, damaged ones too."""
        if not self.folder.is_dir():
            return []
        found = [path for path in self.folder.iterdir() if NAME.fullmatch(path.name)]
        return sorted(found, key=lambda path: path.name, reverse=True)

    def clean(self) -> None:
        """Remove what a killed process left half-written."""
        if self.writes and self.folder.is_dir():
            for path in self.folder.iterdir():
                if LEFT_OVER.fullmatch(path.name):
                    shutil.rmtree(path, ignore_errors=True)

    def newest(self) -> tuple[State | None, tuple[str, ...]]:
        """Read the newest checkpoint that is whole, and say in sentences which were passed over.

        Raises
        ------
        ArtifactError
            When there are checkpoints and none of them is whole.
        """
        passed: list[str] = []
        for path in self.all():
            try:
                return read_state(path), tuple(passed)
            except ArtifactError as error:
                passed.append(f"Checkpoint {path.name} was passed over: {error}")
        if passed:
            msg = (
                f"None of the {len(passed)} checkpoints in {self.folder} can be read. The newest: "
                f"{passed[0]} Give another folder to begin anew."
            )
            raise ArtifactError(msg, path=str(self.folder))
        return None, ()


def read_state(path: Path) -> State:
    """Read one checkpoint.

    Raises
    ------
    ArtifactError
        When it is damaged, foreign, or of a later version.
    """
    facts, files = read_folder(path, KIND)
    if facts.get("version") != VERSION:
        found = facts.get("version")
        shown = repr(found)[:SHOWN]
        msg = f"{path} is of version {shown}; this SlimLab reads version {VERSION}."
        raise ArtifactError(msg, path=str(path), version=found)
    try:
        _check_facts(facts)
        tensors = {name: load_tensors(content) for name, content in files.items()}
        adapters = {
            label: tensors[f"adapter{place}.safetensors"]
            for place, label in enumerate(facts["adapters"])
        }
        return State(
            recipe=Recipe.model_validate_json(json.dumps(facts["recipe"]), strict=True),
            identity=dict(facts["identity"]),
            position=Position(**_numbers(facts["position"])),
            acted=tuple(_acted(done) for done in facts["acted"]),
            history=history_from(facts["history"], tensors["history.safetensors"]),
            snapshot=Snapshot(
                student=tensors["model.safetensors"],
                optimizer=tensors["optimizer.safetensors"],
                adapters=adapters,
                average=tensors.get("average.safetensors"),
                updates=int(facts["updates"]),
            ),
            training=bool(facts["training"]),
            quantizers=dict(facts["quantizers"]),
        )
    except (
        SlimLabError, AttributeError, LookupError, TypeError, ValueError, SafetensorError
    ) as error:  # fmt: skip
        what = f"{type(error).__name__}: {' '.join(str(error).split())[:SHOWN]}"
        msg = f"{path} holds no checkpoint that can be read: {what}"
        raise ArtifactError(msg, path=str(path)) from error


def _check_facts(facts: Mapping[str, Any]) -> None:
    """Refuse lists that are none; what is in them is read where it is needed."""
    kinds: dict[type, tuple[str, ...]] = {
        list: ("acted", "adapters", "history"),
        dict: ("identity", "position", "quantizers"),
        bool: ("training",),
        int: ("updates",),
    }
    for kind, names in kinds.items():
        for name in names:
            if type(facts[name]) is not kind:
                msg = f"{name!r} is no {kind.__name__}"
                raise TypeError(msg)
    if not all(isinstance(label, str) for label in facts["adapters"]):
        msg = "'adapters' are no names"
        raise TypeError(msg)


def _numbers(facts: Mapping[str, Any]) -> dict[str, int]:
    """Whole numbers from 0 by name."""
    for name, value in facts.items():
        if type(value) is not int or value < 0:
            msg = f"{name!r} is {value!r}, no whole number from 0"
            raise TypeError(msg)
    return dict(facts)


def _acted(done: Mapping[str, Any]) -> Acted:
    if not isinstance(done["facts"], dict):
        msg = "the facts of an act are no mapping"
        raise TypeError(msg)
    return Acted(Act(**_numbers(done["act"])), done["facts"])


def _facts(state: State) -> dict[str, Any]:
    return {
        "version": VERSION,
        "recipe": state.recipe.model_dump(mode="json", exclude_none=True),
        "identity": dict(state.identity),
        "position": vars(state.position),
        "acted": [{"act": vars(done.act), "facts": done.facts} for done in state.acted],
        "history": history_arrays(state.history)[0],
        "adapters": list(state.snapshot.adapters),
        "updates": state.snapshot.updates,
        "training": state.training,
        "quantizers": dict(state.quantizers),
    }


def _files(state: State) -> dict[str, bytes]:
    snapshot = state.snapshot
    files: dict[str, Arrays] = {
        "model.safetensors": snapshot.student,
        "optimizer.safetensors": snapshot.optimizer,
        "history.safetensors": history_arrays(state.history)[1],
    }
    if snapshot.average is not None:
        files["average.safetensors"] = snapshot.average
    for place, arrays in enumerate(snapshot.adapters.values()):
        files[f"adapter{place}.safetensors"] = arrays
    return {name: save_tensors(arrays) for name, arrays in files.items()}
