"""What holds for every test, doctests included: fixed seeds, and a list of what did not run."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

SEED = 20


@pytest.fixture(autouse=True)
def seeds() -> None:
    """Start every test from the same random numbers."""
    random.seed(SEED)
    np.random.seed(SEED)  # noqa: NPY002 - libraries below still draw from the global generator
    # Importing Paddle takes seconds: tests that don't need it must not pay for it.
    paddle = sys.modules.get("paddle")
    if paddle is not None and hasattr(paddle, "seed"):
        paddle.seed(SEED)


@pytest.fixture(autouse=True)
def examples_work_elsewhere(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: Any
) -> None:
    """Give the widgets' examples a folder of their own: a workbench keeps its work where it is."""
    if isinstance(request.node, pytest.DoctestItem) and "slimlab_widgets" in str(request.path):
        monkeypatch.chdir(tmp_path_factory.mktemp("example"))


def skipped(reports: Iterable[Any]) -> list[str]:
    """Give a line for each skipped test: its name and the reason."""
    lines = []
    for report in reports:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        lines.append(f"{report.nodeid}: {str(reason).removeprefix('Skipped: ')}")
    return sorted(lines)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Name, above pytest's last line, all that this machine could not run."""
    notes = [note for note in os.environ.get("SLIMLAB_NOTES", "").split("\n") if note]
    lines = notes + skipped(terminalreporter.stats.get("skipped", []))
    if lines:
        terminalreporter.section("not run here")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each process whole files, and all browser tests to one: they share one server."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.split("::", 1)[0]
            return "tests/browser" if path.startswith("tests/browser/") else path

    return ByFile(config, log)
