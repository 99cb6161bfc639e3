"""Floor 6. `slimlab lab` and `slimlab app`: hand over to the widgets package, which is optional."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence
from typing import Any

from slimlab.commands.doing.sources import model_of, task_of
from slimlab.errors import SlimLabError


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
