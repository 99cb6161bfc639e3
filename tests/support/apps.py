"""The page of app mode for a test: a bench of its own, as the first visitor would find it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench_page import SECONDS, Bench
from playwright.sync_api import Page, expect
from servers import Server

NOTEBOOK = "app-resnet20-digits.ipynb"
KERNEL = """() => JSON.parse(document.getElementById("jupyter-config-data").textContent).kernelId"""


def end_kernel(page: Page, server: Server) -> None:
    """End the kernel of a page, as a crash or Ctrl-C would; what is on the disk stays."""
    status, _, _ = server.request(f"/api/kernels/{page.evaluate(KERNEL)}", method="DELETE")
    assert status == 204


def opened(page: Page, server: Server) -> Bench:
    """Open the address that was printed."""
    page.goto(server.printed, timeout=120 * SECONDS)  # it is there when its cell has run
    bench = Bench(page)
    expect(bench.root).to_be_visible(timeout=120 * SECONDS)
    return bench


@contextmanager
def app(page: Page, server: Server, cell: str | None = None) -> Iterator[Bench]:
    """Open the page with a new kernel, on another cell where one is given; clean up after it."""
    path = server.work / NOTEBOOK
    before = path.read_text(encoding="utf-8")
    if cell is not None:
        _write(path, cell)
    try:
        yield opened(page, server)
    finally:
        path.write_text(before, encoding="utf-8")
        end_kernel(page, server)
        shutil.rmtree(server.work / ".slimlab", ignore_errors=True)


def _write(path: Path, cell: str) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    notebook["cells"][0]["source"] = cell.splitlines(keepends=True)
    path.write_text(json.dumps(notebook), encoding="utf-8")
