"""Floor 6. `slimlab lab` and `slimlab app`: hand over to the widgets package, which is optional."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from slimlab.commands.sources import add_task, model_of, task_of
from slimlab.errors import SlimLabError

LAB = """\
Open JupyterLab on the quickstart notebook. It listens on this machine only, and prints its address
with the token that opens it. Options that are not listed here go to JupyterLab, such as
--no-browser or --port 9999.
"""
APP = """\
Open the workbench as a page of its own, without code cells. It listens on this machine only, and
prints its address with the token that opens it. Options that are not listed here go to Voila, such
as --no-browser, --port 9999 or --theme=dark.
"""


def add(commands: Any) -> None:
    """Add both commands."""
    lab = commands.add_parser(
        "lab",
        help="open JupyterLab on the quickstart notebook",
        description=LAB,
        allow_abbrev=False,
    )
    _add_work(lab, "the notebooks are copied there, and")
    lab.set_defaults(run=run_lab, passes_on=True)
    app = commands.add_parser(
        "app",
        help="open the workbench as a page without code cells",
        description=APP,
        allow_abbrev=False,
    )
    # No positional argument: it would take the values of options that are Voila's.
    app.add_argument(
        "--model",
        default="resnet20",
        metavar="MODEL",
        help="a zoo network's name, or a saved folder (default: %(default)s)",
    )
    add_task(app)
    app.set_defaults(task="digits")
    _add_work(app, "the page's notebook is written there;")
    app.set_defaults(run=run_app, passes_on=True)


def run_lab(arguments: argparse.Namespace, others: Sequence[str]) -> int:
    """Carry `slimlab lab` out.

    Raises
    ------
    SlimLabError
        When JupyterLab or the widgets are not installed.
    """
    _widgets("lab", "jupyterlab").launch(arguments.work, others)
    return 0


def run_app(arguments: argparse.Namespace, others: Sequence[str]) -> int:
    """Carry `slimlab app` out.

    Raises
    ------
    SlimLabError
        When Voila or the widgets are not installed, or there is no such model or task.
    """
    app = _widgets("app", "voila")
    # A wrong name is told here, in a sentence, and not on the page.
    model_of(arguments.model, task_of(arguments))
    subject = app.Subject(arguments.model, arguments.task, arguments.size)
    app.launch(arguments.work, subject, others)
    return 0


def _add_work(parser: Any, what: str) -> None:
    parser.add_argument(
        "--work",
        type=Path,
        default=Path("slimlab-work"),
        metavar="FOLDER",
        help=(
            f"folder to work in: {what} files that are there already are never overwritten"
            " (default: %(default)s)"
        ),
    )


def _widgets(name: str, host: str) -> Any:
    try:
        # By name: the core must not depend on the widgets, and works without them.
        module = importlib.import_module(f"slimlab_widgets.{name}")
        importlib.import_module(host)
    except ModuleNotFoundError as missing:
        msg = (
            f"`slimlab {name}` needs {missing.name}, which is not installed:"
            " pip install 'slimlab[widgets]'."
        )
        raise SlimLabError(msg, missing=missing.name) from missing
    return module
