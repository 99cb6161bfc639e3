"""Floor 6. What can be typed behind `slimlab lab` and `slimlab app`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slimlab.commands.adding import MODEL_HELP, add_command, add_task

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
    lab = add_command(
        commands,
        "lab",
        "pages.run_lab",
        help="open JupyterLab on the quickstart notebook",
        description=LAB,
    )
    _add_work(lab, "the notebooks are copied there, and")
    lab.set_defaults(passes_on=True)
    app = add_command(
        commands,
        "app",
        "pages.run_app",
        help="open the workbench as a page without code cells",
        description=APP,
    )
    # No positional argument: it would take the values of options that are Voila's.
    app.add_argument(
        "--model",
        default="resnet20",
        metavar="MODEL",
        help=f"{MODEL_HELP} (default: %(default)s)",
    )
    add_task(app)
    app.set_defaults(task="digits")
    _add_work(app, "the page's notebook is written there;")
    app.set_defaults(passes_on=True)


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
