"""Floor 5. What stands in a report, as values: images, tables, sentences; from what trials hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from slimlab import plots
from slimlab.account import Account
from slimlab.compare import Comparison, Trial
from slimlab.graph import Graph
from slimlab.ratios import Ratios
from slimlab.report.pictures import Image, image
from slimlab.report.tables import Table, plain
from slimlab.sensitivity import Sensitivity

_COSTS = {
    "macs": "MACs",
    "bytes": "bytes on disk",
    "latency_ms": "measured latency",
}


@dataclass(frozen=True)
class Story:
    """How one trial came to be: its author's words, and what its history says."""

    name: str
    account: Account | None
    recipe: str
    training: str


def stories(trials: Sequence[Trial], accounts: Mapping[str, Account]) -> list[Story]:
    """A story for each trial; where nobody told one, it says so."""
    found = []
    for trial in trials:
        account = accounts.get(trial.name)
        recipe = account.recipe.to_yaml() if account and account.recipe else ""
        found.append(Story(trial.name, account, recipe, _training(trial)))
    return found


def tradeoffs(comparison: Comparison) -> list[Image]:
    """The metric against each cost that was measured for all trials."""
    frame = comparison.to_frame()
    metric = comparison.trials[0].metric
    images = []
    for column, words in _COSTS.items():
        if frame[column].isna().any():
            continue
        said = "; ".join(
            f"{row['name']}: {row[metric]:.2f} at {row[column]:,.4g}"
            for row in frame.to_dict("records")
        )
        caption = f"{metric} against {words}. Filled: Pareto-optimal in metric, MACs and bytes."
        drawn = plots.tradeoff(comparison, column)
        images.append(image(drawn, f"{metric} against {words}. {said}", caption))
    return images


def curves(sensitivity: Sensitivity | None, picks: Mapping[str, Ratios]) -> list[Image]:
    """The scan's curves, with the only pick's ratios on them."""
    if sensitivity is None:
        return []
    chosen = next(iter(picks.values())) if len(picks) == 1 else None
    on = f", ratios of {next(iter(picks))!r} marked" if chosen else ""
    drawn = plots.sensitivity_curves(sensitivity, chosen)
    words = f"Sensitivity curves of {len(sensitivity.layers)} layers; the table has the numbers."
    caption = (
        f"What pruning each layer alone costs{on}. Lines: the fitted curves, which never fall. "
        "Hollow points can't be told from no drop."
    )
    return [image(drawn, words, caption)]


def picked(picks: Mapping[str, Ratios], graph: Graph | None) -> list[Image]:
    """The ratios of all picks together, and with a graph the widths that each of them leaves."""
    if not picks:
        return []
    caption = "Pruning ratio of each layer, as the authors of the trials give it."
    names = ", ".join(picks)
    images = [image(plots.picked_ratios(picks), f"Pruning ratios of {names}", caption)]
    if graph is None:
        return images
    for name, ratios in picks.items():
        drawn = plots.pruned_widths(graph, ratios)
        caption = f"Channels before and after pruning: {name}"
        images.append(image(drawn, caption, caption))
    return images


def trainings(trials: Sequence[Trial]) -> list[Image]:
    """The history of each trial that was trained."""
    return [
        image(
            plots.training_history(trial.history, trial.metric),
            f"Training of {trial.name}: {_training(trial)}",
            f"Loss and {trial.metric} during the training of {trial.name}.",
        )
        for trial in trials
        if trial.history is not None and trial.history.records
    ]


def details(
    trials: Sequence[Trial], sensitivity: Sensitivity | None, picks: Mapping[str, Ratios]
) -> list[Table]:
    """The long tables: costs by layer, picked ratios, the scan."""
    tables = [plain(trial.profile.to_frame(), f"Costs by layer: {trial.name}") for trial in trials]
    tables += [plain(ratios.to_frame(), f"Pruning ratios: {n}") for n, ratios in picks.items()]
    if sensitivity is not None:
        note = (
            f"Baseline {sensitivity.metric} {sensitivity.baseline:.2f}{sensitivity.unit}; "
            f"{sensitivity.criterion}; measured by {sensitivity.runtime}. A positive drop is "
            "worse; low and high are its 95 % interval over images like these."
        )
        tables.append(plain(sensitivity.to_frame(), "Sensitivity scan", note=note))
    return tables


def _training(trial: Trial) -> str:
    if trial.history is None or not trial.history.records:
        return ""
    records = trial.history.records
    scores = [record.metric for record in records if record.metric is not None]
    steps = max(record.step for record in records)
    epochs = max(record.epoch for record in records)
    said = f"Trained for {steps:,} steps ({epochs:.3g} epochs)"
    if len(scores) > 1:
        said += f"; {trial.metric} went from {scores[0]:.2f} to {scores[-1]:.2f}"
    return said + "."
