"""A real JupyterLab and a real browser for the tests of this folder.

What a test asks for:

`lab`
    A fresh page and the JupyterLab server, as a `Lab`. In short::

        def test_scan(lab):
            lab.open_notebook("01_quickstart.ipynb")  # a copy of its own, with a kernel of its own
            lab.run_all()                             # returns at once
            expect(lab.page.get_by_text("done")).to_be_visible(timeout=60_000)

    `lab.open_cells(["1 + 1"])` opens a notebook of those code cells. `lab.run_all(wait=True)`
    returns when the kernel is idle again. Jobs in threads go on after that: wait for what the page
    shows, with `playwright.sync_api.expect`.
`server`, `app_server`
    The `Server` alone, of `slimlab lab` or `slimlab app`: its address, token, process and work
    folder. One for all tests.

Every test here is marked `browser`, and they all run one after the other in the same process. When
one fails, the page's picture, text, console and requests and the server's log are kept in
`test-results/browser/<test>/`.
"""

from __future__ import annotations

import json
import re
import shutil
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import prerequisites
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright
from servers import START_SECONDS, Server, running

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "test-results" / "browser"
SIZE = {"width": 1280, "height": 800}
# The sandbox needs rights that containers rarely give, and only pages of this machine are opened;
# the rest keeps the browser from calling home.
CHROME_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
# How long a page may take: five seconds are short where other work shares the machine.
PATIENCE = 60_000  # milliseconds
expect.set_options(timeout=PATIENCE)
KERNEL_READY = """() => {
    const app = window.jupyterapp, widget = app && app.shell.currentWidget;
    const session = widget && widget.sessionContext && widget.sessionContext.session;
    const kernel = session && session.kernel;
    return !!kernel && widget.sessionContext.isReady && widget.context.isReady
        && kernel.connectionStatus === 'connected' && kernel.status === 'idle';
}"""
RUN_ALL = """() => {
    window.slimlabRunning = true;
    window.jupyterapp.commands.execute('notebook:run-all-cells')
        .finally(() => { window.slimlabRunning = false; });
}"""


@dataclass
class Lab:
    """A page of the browser on a server, with what a person does there."""

    page: Page
    server: Server
    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def open_notebook(self, name: str = "01_quickstart.ipynb") -> Path:
        """Open a copy of a shipped notebook in a folder of its own; wait for its kernel."""
        return self._open(name, (ROOT / "notebooks" / name).read_text(encoding="utf-8"))

    def open_cells(self, cells: Sequence[str]) -> Path:
        """Open a new notebook of these code cells; wait for its kernel."""
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        notebook = nbformat.v4.new_notebook(metadata={"kernelspec": kernel})
        notebook.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
        return self._open("cells.ipynb", nbformat.writes(notebook))

    def _open(self, name: str, text: str) -> Path:
        folder = self.server.work / f"test-{uuid.uuid4().hex[:8]}"
        folder.mkdir()
        path = folder / name
        path.write_text(text, encoding="utf-8")
        # A workspace of its own: in the common one the tabs of the test before would come back.
        where = f"/lab/workspaces/{folder.name}/tree/{folder.name}/{name}"
        self.page.goto(f"{self.server.url}{where}?token={self.server.token}")
        self.page.wait_for_selector(".jp-Notebook", timeout=START_SECONDS * 1000)
        self.kernel_ready()
        return path

    def kernel_ready(self, *, seconds: float = 60) -> None:
        """Wait until the notebook's kernel is connected and idle."""
        self.page.wait_for_function(KERNEL_READY, timeout=seconds * 1000)

    def run_all(self, *, wait: bool = False, seconds: float = 120) -> None:
        """Run all cells. Clicks and keys lose cells now and then, so this asks Lab itself."""
        self.page.evaluate(RUN_ALL)
        if wait:
            self.page.wait_for_function("() => !window.slimlabRunning", timeout=seconds * 1000)
            self.kernel_ready(seconds=seconds)

    def save(self) -> None:
        """Save the notebook that is open."""
        self.page.evaluate(
            "() => window.jupyterapp.commands.execute('docmanager:save').then(() => null)"
        )

    def stop_kernels(self) -> None:
        """End every kernel of the server."""
        status, body, _ = self.server.request("/api/sessions")
        for session in json.loads(body) if status == 200 else []:
            self.server.request(f"/api/sessions/{session['id']}", method="DELETE")

    def keep(self, folder: Path) -> None:
        """Write down what the page shows and said."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "console.txt").write_text("\n".join(self.console), encoding="utf-8")
        (folder / "requests.txt").write_text("\n".join(self.requests), encoding="utf-8")
        shutil.copyfile(self.server.log, folder / "server.txt")
        for number, page in enumerate(self.page.context.pages):
            name = "page" if page is self.page else f"tab-{number}"
            page.screenshot(path=folder / f"{name}.png")
            (folder / f"{name}.txt").write_text(page.inner_text("body"), encoding="utf-8")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run `slimlab lab` as `make lab` does, on a free port and in a home of its own."""
    # The last option is for window.jupyterapp, which tests ask.
    options = ["--ServerApp.port_retries=0", "--LabApp.expose_app_in_browser=True"]
    with running(tmp_path_factory.mktemp("lab"), "lab", options) as started:
        yield started


@pytest.fixture(scope="session")
def app_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run `slimlab app` with the quickstart's network, on a free port and in a home of its own."""
    with running(tmp_path_factory.mktemp("app"), "app", ["--Voila.port_retries=0"]) as started:
        yield started


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Start Chromium. For this folder only: Playwright keeps an event loop running meanwhile."""
    chrome = prerequisites.find_chrome()
    if chrome is None:
        pytest.fail(prerequisites.NO_CHROME, pytrace=False)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=chrome, headless=True, args=CHROME_OPTIONS
        )
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Open a page that shares nothing with the tests before."""
    context = browser.new_context(viewport=SIZE)
    context.set_default_timeout(2 * PATIENCE)
    yield context.new_page()
    context.close()


@pytest.fixture
def lab(request: pytest.FixtureRequest, page: Page, server: Server) -> Iterator[Lab]:
    """Give a page on the server; keep what it showed if the test fails, end its kernels."""
    opened = Lab(page, server)

    def on_console(message: ConsoleMessage) -> None:
        opened.console.append(f"{message.type}: {message.text}")

    def on_request(sent: Request) -> None:
        opened.requests.append(f"{sent.method} {sent.url}")

    page.on("console", on_console)
    page.on("request", on_request)
    page.on("pageerror", lambda error: opened.console.append(f"uncaught: {error}"))
    yield opened
    if request.node.stash.get(FAILED, default=False):
        opened.keep(RESULTS / re.sub(r"\W+", "-", request.node.nodeid))
    opened.stop_kernels()


FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Remember a failure for the fixtures, which run after it."""
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark the tests of this folder; ../../conftest.py keeps them in one process."""
    item.add_marker(pytest.mark.browser)
