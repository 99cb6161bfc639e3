"""Reloads, a restarted kernel, and a notebook that is looked at without one."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from bench_page import RUN_NEW_CELL, SECONDS, Bench
from playwright.sync_api import expect

CELL = (
    "import slimlab as sl, slimlab_widgets as slw\n"
    "task = sl.load_task('digits')\n"
    "bench = slw.Workbench(sl.load_model('resnet20', task), task)\n"
    "bench"
)
LONG = "0.009:0.9:0.009"  # 1,200 cells: there is time to restart in the middle
RESTART = """async () => {
    const session = window.jupyterapp.shell.currentWidget.sessionContext;
    await session.restartKernel();
    await session.ready;
}"""


@pytest.fixture
def bench(lab) -> Bench:
    lab.open_cells([CELL])
    lab.run_all()
    bench = Bench(lab.page)
    expect(bench.root).to_be_visible(timeout=90 * SECONDS)
    return bench


def running(bench: Bench) -> None:
    expect(bench.job).to_have_attribute("data-status", "running", timeout=60 * SECONDS)
    counts = bench.root.locator(".slim-counts")
    expect(counts).to_have_text(re.compile(r"[\d,]+ / [\d,]+ (images|steps)"), timeout=60 * SECONDS)


def done_so_far(bench: Bench) -> int:
    return int(bench.root.locator("[data-done]").get_attribute("data-done") or 0)


def test_a_reload_shows_the_running_job_again(lab, bench):
    bench.open("Scan and pick")
    bench.button("Set uniform").click()
    bench.button("Prune").click()
    bench.finished("Pruned 'uniform 0.50'")
    bench.open("Fine-tune")
    bench.root.get_by_label("Epochs").fill("1000")  # over long after this test
    bench.button("Fine-tune").click()
    running(bench)
    loss = '[data-panel="tune"] [data-chart="loss"]'
    expect(bench.root.locator(loss)).not_to_have_attribute("data-points", "0")
    lab.save()
    before = done_so_far(bench)
    lab.page.reload()
    lab.page.wait_for_selector(".jp-Notebook", timeout=90 * SECONDS)
    again = Bench(lab.page)
    expect(again.root).to_be_visible(timeout=180 * SECONDS)
    running(again)
    assert done_so_far(again) >= before
    expect(again.root.locator(loss)).not_to_have_attribute("data-points", "0")

    again.button("Stop").click()
    expect(again.job).to_have_attribute("data-status", "stopped", timeout=30 * SECONDS)


def test_after_a_kernel_restart_the_scan_is_offered_and_goes_on(lab, bench):
    bench.scan(LONG, images=359)
    running(bench)
    expect(bench.curves.nth(2)).to_be_attached(timeout=60 * SECONDS)
    lab.page.evaluate(RESTART)  # in the middle of the scan
    lab.kernel_ready()
    lab.run_all()
    again = Bench(lab.page)
    offer = again.root.locator(".slim-offer")
    expect(again.root).to_be_visible(timeout=90 * SECONDS)
    again.open("Scan and pick")
    expect(offer).to_contain_text("of 1,200 cells, not finished", timeout=60 * SECONDS)
    again.button("Use it").click()
    expect(offer).not_to_be_visible()
    expect(again.curves.nth(2)).to_be_attached()
    again.button("Resume").click()
    expect(again.job).to_have_attribute("data-status", "running", timeout=10 * SECONDS)
    again.button("Stop").click()
    again.finished("of 1200 cells is kept", status="stopped")


def test_without_a_kernel_the_notebook_shows_pictures_and_words(lab, bench):
    bench.scan("0.3, 0.6", images=100)
    bench.finished("Scanned 24 cells")
    lab.page.wait_for_timeout(4 * SECONDS)  # the picture is renewed when the hand has rested
    lab.save()
    (path,) = lab.server.work.glob(f"{lab.page.url.split('/tree/')[1].split('/')[0]}/*.ipynb")
    output = picture(path)
    assert "Scanned 24 of 24 cells" in "".join(output["text/plain"])
    assert len(output["image/png"]) > 20_000
    assert path.stat().st_size < 1_000_000
    lab.page.evaluate(RUN_NEW_CELL, "bench.progress.status")


def picture(path: Path) -> dict:
    """The saved output of the bench's cell."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    outputs = [o for cell in notebook["cells"] for o in cell.get("outputs", [])]
    return next(o["data"] for o in outputs if "image/png" in o.get("data", {}))
