"""Floor 5. The page itself: content into the template, and the file into its place, whole."""

from __future__ import annotations

import datetime
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import jinja2
import pandas as pd

from slimlab.account import Account
from slimlab.compare import Comparison, Trial, compare
from slimlab.errors import PlanError, nearest
from slimlab.graph import Graph
from slimlab.ratios import Ratios
from slimlab.report import content
from slimlab.report.machine import machine
from slimlab.report.tables import metrics, overview, pairs, plain
from slimlab.sensitivity import Sensitivity
from slimlab.store import write_file

_TEMPLATE = Path(__file__).with_name("page.html")


class Tabular(Protocol):
    """A result that is given as a table, such as that of checking an export."""

    def to_frame(self) -> pd.DataFrame:
        """The numbers."""
        ...


def report(
    trials: Sequence[Trial] | Comparison,
    path: str | Path,
    *,
    title: str = "Compression report",
    accounts: Mapping[str, Account] | None = None,
    sensitivity: Sensitivity | None = None,
    graph: Graph | None = None,
    exports: Mapping[str, Tabular] | None = None,
) -> Path:
    """Write trials up as one HTML page that holds all it shows and opens without a server.

    A report measures nothing. What a trial does not hold, such as a latency, is said to be missing.
    The page has no script and asks for no other file, follows the reader's light or dark theme, and
    prints in black on white.

    Parameters
    ----------
    trials
        Strategies that were measured; the first is the baseline.
    path
        The file to write, usually `report.html`. One that exists is replaced at once and whole.
    title
        Of the page.
    accounts
        Trial's name to how it came to be; see `Account`. Their ratios are drawn.
    sensitivity
        The scan that ratios were picked from: its curves and its table.
    graph
        The traced baseline; with it the widths that the accounts' ratios leave are drawn.
    exports
        Name to the result of checking an export, or anything else with `to_frame()`.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    PlanError
        When there is no trial, names are taken twice, an account belongs to no trial, or ratios
        don't fit the graph.
    ArtifactError
        When the file can't be written; an older one is left as it was.

    Examples
    --------
    >>> import tempfile
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> trial = sl.measure_trial("unpruned", sl.load_model("vgg", task), task, latency=False)
    >>> page = sl.report([trial], tempfile.mkdtemp() + "/report.html")
    >>> page.read_text(encoding="utf-8")[:15]
    '<!doctype html>'
    """
    comparison = trials if isinstance(trials, Comparison) else compare(trials)
    told = dict(accounts or {})
    _check_names(told, comparison.trials)
    picks = {name: Ratios(a.ratios) for name, a in told.items() if a.ratios is not None}
    with warnings.catch_warnings():
        # A name may be written in letters that the plots' font doesn't have; the tables show it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        facts = {
            "title": title,
            "written": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
            "first": comparison.trials[0],
            "overview": overview(comparison),
            "metrics": metrics(comparison.trials),
            "stories": content.stories(comparison.trials, told),
            "tradeoffs": content.tradeoffs(comparison),
            "curves": content.curves(sensitivity, picks),
            "picked": content.picked(picks, graph),
            "trainings": content.trainings(comparison.trials),
            "exports": [plain(found.to_frame(), name) for name, found in (exports or {}).items()],
            "details": content.details(comparison.trials, sensitivity, picks),
            "machine": pairs(machine(), "Where this report was written"),
        }
    page = _environment().from_string(_TEMPLATE.read_text(encoding="utf-8")).render(facts)
    return write_file(path, page.encode())


def _environment() -> jinja2.Environment:
    # Every value is escaped: names come from anywhere.
    return jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


def _check_names(accounts: Mapping[str, Account], trials: Sequence[Trial]) -> None:
    names = [trial.name for trial in trials]
    for name in accounts:
        if name not in names:
            msg = f"There is an account of {name!r}, but no such trial. {nearest(name, names)}"
            raise PlanError(msg, name=name)
