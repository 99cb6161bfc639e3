"""Top floor. What lies on a bench as JSON, and back; knows the core's nouns, no widget, no thread.

Models are not in it: each candidate names a folder beside the notes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slimlab as sl
from slimlab.allocate import Preview
from slimlab.distill import loss_to_dict
from slimlab.export.parity import Elsewhere, Parity
from slimlab.latency import Latency
from slimlab.profile import LayerProfile, Profile
from slimlab.recipe.losses import read_loss
from slimlab.timing import TimeTable
from slimlab.train import Record
from slimlab_widgets.picks import Pick, Picks
from slimlab_widgets.script import Deed, Pruned, Quantized, Tuned
from slimlab_widgets.settings import Settings
from slimlab_widgets.state import Candidate, State

if TYPE_CHECKING:
    from paddle.nn import Layer

    from slimlab import ExportReport, History, Trial

Json = dict[str, Any]


def noted(state: State, folders: Mapping[str, str]) -> Json:
    """What is to be kept of a state; `folders` holds each candidate's model, by its name.

    Examples
    --------
    >>> from slimlab_widgets.notes import noted, picks_of
    >>> from slimlab_widgets.picks import Picks
    >>> from slimlab_widgets.state import State
    >>> picks_of(noted(State(), {})) == Picks()
    True
    """
    picks = state.picks
    return {
        "settings": asdict(state.settings),
        "picks": {
            "now": _pick(picks.now),
            "past": [_pick(one) for one in picks.past],
            "future": [_pick(one) for one in picks.future],
            "snapshots": [[name, _pick(one)] for name, one in picks.snapshots],
        },
        "times": None if state.times is None else state.times.to_dict(),
        "chosen": state.chosen,
        "candidates": [_candidate(one, folders[one.name]) for one in state.candidates],
        "trials": [_trial(one) for one in state.trials],
        "exports": [[name, _export(found)] for (name, _), found in state.exports.items()],
    }


def settings_of(notes: Json) -> Settings:
    """The settings; those that this version does not know are passed over."""
    return Settings().with_facts(notes["settings"])


def picks_of(notes: Json) -> Picks:
    """The present pick with its past, its future and the named ones."""
    found = notes["picks"]
    past, future = (tuple(_read_pick(one) for one in found[side]) for side in ("past", "future"))
    named = tuple((str(name), _read_pick(one)) for name, one in found["snapshots"])
    return Picks(_read_pick(found["now"]), past, future, named)


def times_of(notes: Json) -> TimeTable | None:
    """The measured times of the layers."""
    return None if notes["times"] is None else TimeTable.from_dict(notes["times"])


def candidate_of(note: Json, load: Callable[[str], Layer]) -> Candidate:
    """A candidate from its note; `load` gives the model of a folder."""
    preview = dict(note["preview"])
    preview["widths"] = {name: (int(a), int(b)) for name, (a, b) in preview["widths"].items()}
    history = note["history"]
    return Candidate(
        name=str(note["name"]),
        model=load(str(note["folder"])),
        ratios=sl.Ratios(note["ratios"]),
        preview=Preview(**preview),
        epochs=float(note["epochs"]),
        score=note["score"],
        cut_drop=note["cut_drop"],
        history=None if history is None else _read_history(history),
        deeds=tuple(_read_deed(one) for one in note["deeds"]),
    )


def trials_of(notes: Json) -> tuple[Trial, ...]:
    """What was measured of the baseline and the candidates."""
    return tuple(_read_trial(note) for note in notes["trials"])


def exports_of(notes: Json) -> tuple[dict[tuple[str, str], ExportReport], tuple[str, ...]]:
    """Exports of which all files are there, and what others were called."""
    found, gone = {}, []
    for name, note in notes.get("exports", ()):
        report = _read_export(note)
        if all(_size(report.folder / file) == n for file, n in report.files.items()):
            found[str(name), report.format] = report
        else:
            gone.append(f"{name}, {report.format}")
    return found, tuple(gone)


def _pick(pick: Pick) -> Json:
    return {"ratios": dict(pick.ratios), "name": pick.name, "call": pick.call}


def _read_pick(note: Json) -> Pick:
    return Pick(sl.Ratios(note["ratios"]), str(note["name"]), str(note["call"]))


def _candidate(candidate: Candidate, folder: str) -> Json:
    preview = {f.name: getattr(candidate.preview, f.name) for f in fields(candidate.preview)}
    preview["widths"] = {name: list(pair) for name, pair in candidate.preview.widths.items()}
    return {
        "name": candidate.name,
        "folder": folder,
        "ratios": dict(candidate.ratios),
        "preview": preview,
        "epochs": candidate.epochs,
        "score": candidate.score,
        "cut_drop": candidate.cut_drop,
        "history": None if candidate.history is None else _history(candidate.history),
        "deeds": [_deed(deed) for deed in candidate.deeds],
    }


def _history(history: History) -> list[list[Any]]:
    return [[getattr(record, f.name) for f in fields(record)] for record in history.records]


def _read_history(rows: list[list[Any]]) -> History:
    records = []
    for *row, parts in rows:
        records.append(Record(*row, parts=tuple((str(name), value) for name, value in parts)))
    return sl.History(tuple(records))


def _deed(deed: Deed) -> Json:
    if isinstance(deed, Pruned):
        ratios = dict(deed.ratios)
        return {"pruned": {"ratios": ratios, "criterion": deed.criterion, "call": deed.call}}
    if isinstance(deed, Quantized):
        epochs = {"epochs": deed.epochs, "first_epoch": deed.first_epoch}
        return {"quantized": {"config": deed.config.to_dict(), **epochs}}
    facts = {f.name: getattr(deed, f.name) for f in fields(deed)}
    return {"tuned": {**facts, "losses": [loss_to_dict(loss) for loss in deed.losses]}}


def _read_deed(note: Json) -> Deed:
    ((kind, facts),) = note.items()
    if kind == "pruned":
        return Pruned(sl.Ratios(facts["ratios"]), facts["criterion"], facts["call"])
    if kind == "quantized":
        config = sl.QuantConfig.from_dict(facts["config"])
        return Quantized(config, facts["epochs"], facts["first_epoch"])
    return Tuned(**{**facts, "losses": tuple(read_loss(loss) for loss in facts["losses"])})


def _trial(trial: Trial) -> Json:
    return {
        "name": trial.name,
        "scores": dict(trial.scores.values),
        "images": trial.scores.images,
        "metric": trial.metric,
        "higher_is_better": trial.higher_is_better,
        "profile": [asdict(layer) for layer in trial.profile.layers],
        "bytes": trial.bytes,
        "latency": None if trial.latency is None else asdict(trial.latency),
        "history": None if trial.history is None else _history(trial.history),
    }


def _read_trial(note: Json) -> Trial:
    rows = [{**row, "output": tuple(row["output"])} for row in note["profile"]]
    latency, history = note["latency"], note["history"]
    return sl.Trial(
        str(note["name"]),
        sl.Scores(note["scores"], int(note["images"])),
        str(note["metric"]),
        bool(note["higher_is_better"]),
        Profile(tuple(LayerProfile(**row) for row in rows)),
        int(note["bytes"]),
        None if latency is None else Latency(**latency),
        None if history is None else _read_history(history),
    )


def _export(report: ExportReport) -> Json:
    folder = report.folder
    with contextlib.suppress(ValueError):  # elsewhere: it stays absolute
        folder = folder.relative_to(Path.cwd())  # a notebook may be moved with what is beside it
    return {
        "folder": str(folder),
        "format": report.format,
        "files": dict(report.files),
        "float_bytes": report.float_bytes,
        "parity": asdict(report.parity),
        "latency": [asdict(one) for one in report.latency],
        "float_latency": [asdict(one) for one in report.float_latency],
    }


def _read_export(note: Json) -> ExportReport:
    elsewhere = tuple(Elsewhere(**one) for one in note["parity"]["elsewhere"])
    return sl.ExportReport(
        Path(note["folder"]).absolute(),
        str(note["format"]),
        {str(name): int(size) for name, size in note["files"].items()},
        int(note["float_bytes"]),
        Parity(**{**note["parity"], "elsewhere": elsewhere}),
        tuple(Latency(**one) for one in note["latency"]),
        tuple(Latency(**one) for one in note["float_latency"]),
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
