"""Floor 5. Numbers as cells of text: units in the heads, shares beside totals, nothing unsaid."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from slimlab.compare import Comparison, Trial

NOT_MEASURED = "not measured"
_LONG = 200  # rows of a table; what lies beyond is counted


@dataclass(frozen=True)
class Table:
    """A caption, heads, and rows of text.

    Attributes
    ----------
    caption
        What it shows.
    heads
        Names of columns with their units.
    numeric
        Which columns hold numbers and are set flush right.
    rows
        Cells as text; the first of each row is its head.
    note
        What a reader has to know of it.
    """

    caption: str
    heads: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def overview(comparison: Comparison) -> Table:
    """The trials side by side: metric, drop, costs with the shares removed, latency."""
    frame = comparison.to_frame()
    first = comparison.trials[0]
    ways = {(t.latency.batch, t.latency.runtime) for t in comparison.trials if t.latency}
    unit = " (%)" if first.higher_is_better else ""
    points = " (points)" if first.higher_is_better else ""
    heads = ["Trial", f"{first.metric}{unit}", f"Drop{points}", "MACs an image", "Parameters"]
    heads += ["Bytes on disk", *(["Latency (ms a batch)"] if ways else []), "Pareto-optimal"]
    rows = []
    for trial, row in zip(comparison.trials, frame.to_dict("records"), strict=True):
        drop = "–" if trial is first else f"{row['drop']:+.2f}".replace("-", "−")
        costs = (
            _with_share(trial.profile.macs, first.profile.macs, trial is first),
            _with_share(trial.profile.params, first.profile.params, trial is first),
            _with_share(trial.bytes, first.bytes, trial is first),
        )
        time = (_latency(trial, named=len(ways) > 1),) if ways else ()
        best = "yes" if row["pareto"] else "no"
        rows.append((trial.name, f"{trial.value:.2f}", drop, *costs, *time, best))
    numeric = (False, *[True] * (len(heads) - 2), False)
    note = (
        f"Drops and shares are against {first.name!r}. A positive drop is worse. Pareto-optimal: "
        "no other trial is at least as good in metric, MACs and bytes and better in one."
    )
    if ways:
        how = "; ".join(f"batches of {batch} in {runtime}" for batch, runtime in sorted(ways))
        note += f" Latency: the median, first and third quartile of {how}."
    return Table("Trials side by side", tuple(heads), numeric, tuple(rows), note)


def metrics(trials: Sequence[Trial]) -> Table:
    """Every metric of every trial, and the images it was measured on."""
    names = list(dict.fromkeys(name for trial in trials for name in trial.scores.values))
    rows = []
    for trial in trials:
        values = trial.scores.values
        cells = [f"{values[n]:.4g}" if n in values else NOT_MEASURED for n in names]
        rows.append((trial.name, *cells, f"{trial.scores.images:,}"))
    heads = ("Trial", *names, "Images")
    return Table("All metrics", heads, (False, *[True] * (len(names) + 1)), tuple(rows))


def plain(frame: pd.DataFrame, caption: str, *, note: str = "") -> Table:
    """Any result's table, as it is; a long one is cut, and says so."""
    shown = frame.head(_LONG)
    left = len(frame) - len(shown)
    if left:
        note = f"{note} {left:,} more rows are not shown.".strip()
    numeric = tuple(_is_number(frame.iloc[:, n]) for n in range(frame.shape[1]))
    rows = tuple(tuple(_cell(value) for value in row) for row in shown.itertuples(index=False))
    return Table(caption, tuple(map(str, frame.columns)), numeric, rows, note)


def pairs(facts: Iterable[tuple[str, str]], caption: str, *, note: str = "") -> Table:
    """Facts of two columns."""
    return Table(caption, ("What", "Which"), (False, False), tuple(facts), note)


def _is_number(column: pd.Series) -> bool:
    kinds = pd.api.types
    return kinds.is_numeric_dtype(column) and not kinds.is_bool_dtype(column)


def _with_share(value: int, whole: int, is_first: bool) -> str:
    if is_first or not whole:
        return f"{value:,}"
    change = 100 * (value / whole - 1)
    return f"{value:,} ({change:+.1f} %)".replace("-", "−")


def _latency(trial: Trial, *, named: bool) -> str:
    found = trial.latency
    if found is None:
        return NOT_MEASURED
    spread = f"{found.median_ms:.2f} ({found.low_ms:.2f} to {found.high_ms:.2f})"
    return f"{spread}, batch {found.batch}, {found.runtime}" if named else spread


def _cell(value: Any) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "–"
    if isinstance(value, (int, np.integer)):
        return f"{value:,}"
    if isinstance(value, (float, np.floating)):
        return f"{value:.4g}"
    return str(value)
