"""How long the workbench takes from a pointer's move to the picture, and to the kernel's answer.

A real JupyterLab (`slimlab lab`) and a real Chromium without a window. A point is dragged along
its curve with 60 moves a second; a move counts from its event's time stamp to the moment after
the frame that drew it. The round trip counts from a key on a slider until the page says that the
kernel has computed the same numbers. Both with nothing running, and while a scan redraws the
curves.

    python benchmarks/interaction.py [layers ...]

Needs Playwright and Chromium, as the browser tests do. One figure: p50 and p95 in milliseconds.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
import numpy as np
from playwright.sync_api import Page, expect, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
import prerequisites  # the same search for Chromium as the tests'
from benches import deep

LOST = "The point did not follow the pointer."
SILENT = "The kernel did not answer within ten seconds."
OVER = "The scan was over before the measurement."
LAYERS = (27, 100)
MOVES = 150
TRIPS = 25
EVERY = 1000 / 60  # ms between two moves
CHROME_OPTIONS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage"]
RUN_ALL = "() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }"
READY = """() => {
    const app = window.jupyterapp, widget = app && app.shell.currentWidget;
    const session = widget && widget.sessionContext && widget.sessionContext.session;
    return !!session && !!session.kernel && session.kernel.connectionStatus === 'connected'
        && session.kernel.status === 'idle';
}"""
WATCH = """() => {
    const root = document.querySelector('.slim-kind-workbench');
    const svg = root.querySelector('.slim-curves svg');
    const channel = new MessageChannel();
    let open = [];
    window.paints = [];
    // A task that is queued in a frame's callback runs after that frame was drawn.
    channel.port1.onmessage = () => {
        const now = performance.now();
        for (const sent of open) window.paints.push(now - sent);
        open = [];
    };
    const note = (event) => {
        open.push(event.timeStamp);
        requestAnimationFrame(() => channel.port2.postMessage(0));
    };
    svg.addEventListener('pointermove', note, { capture: true });
    window.unwatch = () => svg.removeEventListener('pointermove', note, { capture: true });
}"""
TRIP = """async ([layer, key]) => {
    const root = document.querySelector('.slim-kind-workbench');
    const slider = root.querySelector(`.slim-row[data-layer="${layer}"] input`);
    const answered = () => root.querySelector('.slim-confirmed').dataset.confirmed === 'yes';
    const start = performance.now();
    slider.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
    await new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)));
    while (!answered() && performance.now() - start < 10000) {
        await new Promise((later) => setTimeout(later, 2));
    }
    return answered() ? performance.now() - start : null;
}"""


def free_port() -> int:
    """Give a port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def jupyterlab(folder: Path) -> Iterator[str]:
    """Run `slimlab lab` in a folder; give the address with `{0}` for the number in its name."""
    home, work, log, port = folder / "home", folder / "work", folder / "log.txt", free_port()
    config = home / "config" / "labconfig"
    config.mkdir(parents=True)
    work.mkdir()
    settings = {"@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"}}
    (config / "default_setting_overrides.json").write_text(json.dumps(settings))
    kept = {k: v for k, v in os.environ.items() if not k.startswith("JUPYTER")}
    environment = {
        **kept,
        "HOME": str(home),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
    }
    command = [sys.executable, "-m", "slimlab.cli", "lab", "--work", str(work), "--no-browser"]
    command += ["--port", str(port), "--LabApp.expose_app_in_browser=True"]
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        until = time.monotonic() + 120
        while time.monotonic() < until and server.poll() is None:
            found = re.search(rf"http://127\.0\.0\.1:{port}/\S*\?token=(\w+)", log.read_text())
            if found:
                token = found.group(1)
                yield f"http://127.0.0.1:{port}/lab/workspaces/w{{0}}/tree/deep{{0}}.ipynb?token={token}"
                return
            time.sleep(0.1)
        raise RuntimeError(log.read_text()[-2000:])
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=30)


def open_bench(page: Page, address: str, folder: Path, layers: int) -> None:
    """Open a notebook with a workbench on a network of so many layers, scanned once."""
    name = f"deep{layers}.ipynb"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": kernel})
    notebook.cells = [nbformat.v4.new_code_cell(deep(layers, scanned=False))]
    (folder / "work" / name).write_text(nbformat.writes(notebook), encoding="utf-8")
    page.goto(address.format(layers))
    page.wait_for_function(READY, timeout=120_000)
    page.evaluate(RUN_ALL)
    page.get_by_role("tab", name="Scan and pick").click(timeout=180_000)
    scan(page, images=8, ratios="0.08:0.89:0.09")
    bar = page.locator('.slim-jobbar[data-status="done"]')
    expect(bar).to_be_attached(timeout=600_000)
    page.wait_for_timeout(4000)  # the picture that the notebook keeps is drawn


def scan(page: Page, *, images: int, ratios: str) -> None:
    """Press Scan."""
    page.get_by_label("Images").fill(str(images))
    page.get_by_label("Ratios", exact=True).fill(ratios)
    page.locator('[data-action="scan"]').click()


def drag(page: Page) -> list[float]:
    """Milliseconds from each move of a drag to its paint."""
    page.locator(".slim-row .slim-name").nth(3).click()
    handle = page.locator(".slim-handle")
    handle.scroll_into_view_if_needed()
    page.evaluate(WATCH)
    box = handle.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    before = handle.get_attribute("data-ratio")
    start = time.perf_counter()
    for move in range(MOVES):
        there = 200 * abs((move % 50) / 25 - 1)
        page.mouse.move(x + 205 - there, y)
        pause = start + (move + 1) * EVERY / 1000 - time.perf_counter()
        if pause > 0:
            time.sleep(pause)
    moved = handle.get_attribute("data-ratio")
    page.mouse.up()
    page.wait_for_timeout(500)
    if moved == before:
        raise SystemExit(LOST)
    found: list[float] = page.evaluate("() => { window.unwatch(); return window.paints; }")
    return found


def trips(page: Page) -> list[float]:
    """Milliseconds from a key to the kernel's answer on the page."""
    layer = page.locator(".slim-row:not(.slim-head)").nth(5).get_attribute("data-layer")
    found = []
    for trip in range(TRIPS):
        took = page.evaluate(TRIP, [layer, "ArrowRight" if trip % 2 == 0 else "ArrowLeft"])
        if took is None:
            raise SystemExit(SILENT)
        found.append(took)
        page.wait_for_timeout(130)
    return found


def measure(layers: int) -> Iterator[tuple[str, str, list[float]]]:
    """What is measured on one network: situation, what, milliseconds; each as it is known."""
    chrome = prerequisites.find_chrome()
    if chrome is None:
        raise SystemExit(prerequisites.NO_CHROME)
    with tempfile.TemporaryDirectory() as name, jupyterlab(Path(name)) as address:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chrome, args=CHROME_OPTIONS)
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            open_bench(page, address, Path(name), layers)
            yield "idle", "move to paint", drag(page)
            yield "idle", "kernel", trips(page)
            scan(page, images=359, ratios="0.04:0.94:0.02")
            curves = page.locator(".slim-curve")
            expect(curves).to_have_count(layers, timeout=600_000)
            page.wait_for_timeout(3000)  # a view that was rebuilt stays for the time of a scan
            yield "scanning", "move to paint", drag(page)
            yield "scanning", "kernel", trips(page)
            running = page.locator('.slim-jobbar[data-status="running"]')
            if running.count() == 0:
                raise SystemExit(OVER)
            page.locator('[data-action="stop"]').click()
            browser.close()


def main() -> None:
    """Print the table."""
    layers = [int(argument) for argument in sys.argv[1:]] or list(LAYERS)
    print(
        "| layers | situation | what | p50 (ms) | p95 (ms) | n |\n|---|---|---|---|---|---|",
        flush=True,
    )
    for count in layers:
        for situation, what, found in measure(count):
            middle, most = np.percentile(found, [50, 95])
            print(
                f"| {count} | {situation} | {what} | {middle:.0f} | {most:.0f} | {len(found)} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
