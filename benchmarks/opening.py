"""How long the quickstart takes to its first picture, and how large it is when it was run.

A real JupyterLab (`slimlab lab`) and a real Chromium without a window. The clock starts when
JupyterLab is up (its application says that it was restored), with the kernel not yet started. Then
the quickstart is opened and all of its cells are run. The first picture is the curves of the scan,
drawn by Matplotlib; the first widget is the ratio picker below it. When all cells have run, the
notebook is saved, and its bytes on the disk are counted, with its outputs and without.

    python benchmarks/opening.py [times]

Needs Playwright and Chromium, as the browser tests do. One figure: seconds to the first picture.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from interaction import CHROME_OPTIONS, READY, RUN_ALL, jupyterlab
from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
import prerequisites  # the same search for Chromium as the tests'

NAME = "01_quickstart.ipynb"
UP = "() => window.jupyterapp && window.jupyterapp.restored.then(() => true)"
OPEN = """(path) => {
    window.jupyterapp.commands.execute('docmanager:open', { path, factory: 'Notebook' });
}"""
RUNNING = """() => {
    const notebook = window.jupyterapp.shell.currentWidget.content;
    return notebook.widgets.some((cell) => cell.model.executionState === 'running')
        || notebook.widgets.filter((cell) => cell.model.type === 'code')
            .some((cell) => cell.model.executionCount === null);
}"""
SAVE = "() => window.jupyterapp.commands.execute('docmanager:save').then(() => null)"


def measure(page: Page, address: str, work: Path) -> dict[str, float]:
    """Seconds and bytes of one opening."""
    base, _, rest = address.partition("/lab/")
    token = rest.partition("token=")[2]
    (work / NAME).write_text((work.parent / NAME).read_text(encoding="utf-8"), encoding="utf-8")
    page.goto(f"{base}/lab/workspaces/opening?token={token}")
    page.wait_for_function("() => window.jupyterapp", timeout=120_000)
    page.evaluate(UP)
    start = time.perf_counter()
    found: dict[str, float] = {}
    page.evaluate(OPEN, NAME)
    page.wait_for_function(READY, timeout=120_000)
    found["kernel"] = time.perf_counter() - start
    page.evaluate(RUN_ALL)
    page.wait_for_selector(".jp-OutputArea-output img, .jp-OutputArea-output svg", timeout=120_000)
    found["picture"] = time.perf_counter() - start
    page.wait_for_selector(".slim-kind-picker .slim-curve", state="attached", timeout=120_000)
    found["widget"] = time.perf_counter() - start
    page.wait_for_selector(".slim-kind-workbench", timeout=600_000)
    page.wait_for_function(f"() => !({RUNNING})()", timeout=600_000)
    found["all cells"] = time.perf_counter() - start
    page.wait_for_timeout(4000)  # the picture that the notebook keeps is drawn
    page.evaluate(SAVE)
    found["bytes"] = (work / NAME).stat().st_size
    found["bytes of widgets"] = widget_bytes(work / NAME)
    return found


def widget_bytes(path: Path) -> int:
    """Bytes of a notebook that are the state of its widgets."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return len(json.dumps(notebook["metadata"].get("widgets", {})))


def main() -> None:
    """Print the table."""
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    chrome = prerequisites.find_chrome()
    if chrome is None:
        raise SystemExit(prerequisites.NO_CHROME)
    source = Path(__file__).resolve().parents[1] / "notebooks" / NAME
    runs = []
    for _ in range(times):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / NAME).write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
            with jupyterlab(folder) as address, sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chrome, args=CHROME_OPTIONS)
                page = browser.new_page(viewport={"width": 1280, "height": 800})
                runs.append(measure(page, address, folder / "work"))
                browser.close()
    print(f"| what | median of {times} | most |\n|---|---|---|")
    for what in runs[0]:
        values = [run[what] for run in runs]
        unit, scale = ("kB", 1000) if what.startswith("bytes") else ("s", 1)
        middle, most = np.median(values) / scale, max(values) / scale
        print(f"| {what} | {middle:.1f} {unit} | {most:.1f} {unit} |")


if __name__ == "__main__":
    main()
