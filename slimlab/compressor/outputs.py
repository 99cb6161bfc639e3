"""Floor 4. What a run leaves behind: the model, its numbers, and the recipe, in one folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from paddle.nn import Layer

from slimlab.artifact import save
from slimlab.compare import Trial, compare
from slimlab.compressor.scene import Acted
from slimlab.export import ExportReport
from slimlab.recipe import Recipe
from slimlab.store import write_folder
from slimlab.train import History

KIND, VERSION = "compression", 1
MODEL, NUMBERS = "model", "report"


@dataclass(frozen=True)
class Compression:
    """What a `Compressor` gives.

    Attributes
    ----------
    recipe
        What was carried out.
    model
        The compressed model, in evaluation mode.
    history
        Every training step and evaluation.
    baseline, trial
        The model before and after, measured on all test images; None when the run was stopped.
    acted
        What strategies did to the model, and what they decided.
    notes
        What a person should know: checkpoints that were passed over, changes of the recipe.
    exports
        The files that the recipe asked for, each compared with the model in a fresh process;
        fewer when the run was stopped while they were written.

    Examples
    --------
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> recipe = sl.Recipe(
    ...     version=1, strategies=[{"strategy": "prune", "method": "uniform", "macs": 0.5}]
    ... )
    >>> compressor = sl.Compressor(recipe, sl.load_model("vgg", task), task)
    >>> found = compressor.run(progress=False)
    >>> found.to_frame()["name"].tolist()
    ['before', 'recipe']
    """

    recipe: Recipe
    model: Layer = field(compare=False, repr=False)
    history: History = field(repr=False)
    baseline: Trial | None = None
    trial: Trial | None = None
    acted: tuple[Acted, ...] = field(default=(), repr=False)
    notes: tuple[str, ...] = ()
    exports: tuple[ExportReport, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether the recipe was carried out to its end, exports included."""
        return self.trial is not None and len(self.exports) == len(self.recipe.export)

    def to_frame(self) -> pd.DataFrame:
        """The model before and after, as `Comparison.to_frame`; empty when the run was stopped."""
        trials = [trial for trial in (self.baseline, self.trial) if trial is not None]
        return compare(trials).to_frame() if trials else pd.DataFrame()

    def facts(self) -> dict[str, Any]:
        """JSON for reports: scores and costs before and after, and what each strategy decided."""
        return {
            "name": self.recipe.name,
            "before": None if self.baseline is None else _trial_facts(self.baseline),
            "after": None if self.trial is None else _trial_facts(self.trial),
            "strategies": [
                {
                    "strategy": self.recipe.strategies[done.act.strategy].strategy,
                    "epoch": done.act.epoch,
                    "number": done.act.number,
                    **{k: v for k, v in done.facts.items() if k in ("ratios", "removed", "tried")},
                }
                for done in self.acted
            ],
            "steps": max((record.step for record in self.history.records), default=0),
            "exports": [_export_facts(report) for report in self.exports],
            "notes": list(self.notes),
        }


def write_outputs(compression: Compression, output: Path) -> None:
    """Write a finished run: `model/`, and `report/` with its numbers, history and recipe.

    Raises
    ------
    ArtifactError
        When the place is taken by something else or can't be written.
    """
    save(compression.model, output / MODEL)
    files = {
        "recipe.yaml": compression.recipe.to_yaml().encode(),
        "history.csv": compression.history.to_frame().to_csv(index=False).encode(),
    }
    facts = {"version": VERSION, **compression.facts()}
    write_folder(output / NUMBERS, KIND, facts, files)


def _export_facts(report: ExportReport) -> dict[str, Any]:
    parity = report.parity
    return {
        "format": report.format,
        "bytes": report.bytes,
        "float_bytes": report.float_bytes,
        "metric": parity.metric,
        "model": parity.model_value,
        "file": parity.file_value,
    }


def _trial_facts(trial: Trial) -> dict[str, Any]:
    scores = trial.scores.to_frame()
    return {
        "scores": {name: trial.scores[name] for name in scores["metric"]},
        "macs": trial.profile.macs,
        "params": trial.profile.params,
        "bytes": trial.bytes,
    }
