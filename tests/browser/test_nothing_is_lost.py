"""Reloads, a second tab, a lost connection, a restarted kernel, and a notebook without one."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from apps import app, end_kernel, opened
from bench_page import SECONDS, TRIES, Bench
from playwright.sync_api import expect

CELL = (
    "import slimlab as sl, slimlab_widgets as slw\n"
    "task = sl.load_task('digits')\n"
    "bench = slw.Workbench(sl.load_model('resnet20', task), task)\n"
    "bench"
)
LONG = "0.009:0.9:0.009"  # 1,200 cells: there is time to restart in the middle
# The socket is closed under the kernel's connection, as by a network that is gone.
LOSE = """() => {
    const session = window.jupyterapp.shell.currentWidget.sessionContext.session;
    window.slimlabLost = false;
    session.kernel.connectionStatusChanged.connect((_, status) => {
        if (status !== 'connected') window.slimlabLost = true;
    });
    session.kernel._ws.close(4001, 'lost');
}"""
# What is sent from now on goes nowhere, and nobody notices.
SWALLOW = """() => {
    const session = window.jupyterapp.shell.currentWidget.sessionContext.session;
    session.kernel._ws.send = () => {};
}"""
LOST = "() => window.slimlabLost"
FOUND = """() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel
    .connectionStatus === 'connected'"""
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
    expect(bench.root).to_be_visible(timeout=180 * SECONDS)
    return bench


def running(bench: Bench) -> None:
    expect(bench.job).to_have_attribute("data-status", "running", timeout=120 * SECONDS)
    counts = bench.root.locator(".slim-counts")
    expect(counts).to_have_text(
        re.compile(r"[\d,]+ / [\d,]+ (images|steps)"), timeout=120 * SECONDS
    )


def done_so_far(bench: Bench) -> int:
    return int(bench.root.locator("[data-done]").get_attribute("data-done") or 0)


def further(bench: Bench, before: int) -> None:
    """Wait until more than that is done."""
    bench.page.wait_for_function(
        "(before) => Number(document.querySelector('[data-done]').dataset.done) > before",
        arg=before,
        timeout=120 * SECONDS,
    )


def written_down(place: Path) -> None:
    """Wait until picks and snapshot lie on the disk: they do once the hand has rested."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        for path in place.glob("**/*.bench/bench.json"):
            picks = json.loads(path.read_text(encoding="utf-8"))["picks"]
            if picks["now"]["ratios"].get("stem") == 0.5 and picks["snapshots"]:
                return
        time.sleep(0.1)
    pytest.fail(f"nothing is written below {place}")


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
    lab.page.wait_for_selector(".jp-Notebook", timeout=180 * SECONDS)
    again = Bench(lab.page)
    expect(again.root).to_be_visible(timeout=180 * SECONDS)
    running(again)
    further(again, before - 1)
    expect(again.root.locator(loss)).not_to_have_attribute("data-points", "0")

    again.button("Stop").click()
    expect(again.job).to_have_attribute("data-status", "stopped", timeout=120 * SECONDS)


def test_a_second_tab_shows_the_running_job_and_what_is_done_in_the_first(lab, bench):
    bench.open("Scan and pick")
    bench.button("Set uniform").click()
    bench.confirmed()
    bench.scan(LONG, images=359)
    running(bench)
    lab.save()
    other = second_tab(lab)
    running(other)
    expect(other.curves.nth(1)).to_be_attached(timeout=120 * SECONDS)
    other.open("Scan and pick")
    expect(other.row("stem")).to_have_attribute("data-ratio", "0.5")
    # From the first to the second, and back.
    bench.root.get_by_label("Uniform ratio").fill("0.25")
    bench.button("Set uniform").click()
    expect(other.row("stem")).to_have_attribute("data-ratio", "0.25", timeout=120 * SECONDS)
    other.root.get_by_role("slider", name="Pruning ratio of stem").last.press("Home")
    expect(bench.row("stem")).to_have_attribute("data-ratio", "0", timeout=120 * SECONDS)
    other.button("Stop").click()
    expect(bench.job).to_have_attribute("data-status", "stopped", timeout=120 * SECONDS)
    other.page.close()


def second_tab(lab) -> Bench:
    """The same notebook in another tab, as a person opens it: by its address."""
    page = lab.page.context.new_page()
    page.on("console", lambda message: lab.console.append(f"second: {message.text}"))
    folder = lab.page.url.split("/tree/")[1].split("?")[0]
    workspace = f"second-{folder.split('/')[0]}"
    page.goto(f"{lab.server.url}/lab/workspaces/{workspace}/tree/{folder}?token={lab.server.token}")
    other = Bench(page)
    expect(other.root).to_be_visible(timeout=180 * SECONDS)
    return other


def test_a_lost_connection_is_found_again(lab, bench):
    bench.scan(LONG, images=359)
    running(bench)
    lab.page.evaluate(SWALLOW)
    bench.button("Set uniform").click()
    lab.page.evaluate(LOSE)
    lab.page.wait_for_function(LOST, timeout=120 * SECONDS)
    lab.page.wait_for_function(FOUND, timeout=180 * SECONDS)
    running(bench)
    before = done_so_far(bench)
    further(bench, before)
    bench.button("Stop").click()
    expect(bench.job).to_have_attribute("data-status", "stopped", timeout=120 * SECONDS)
    # What was swallowed was done after all, once.
    expect(bench.row("stem")).to_have_attribute("data-ratio", "0.5")
    bench.button("\u21b6 Undo").click()
    expect(bench.row("stem")).to_have_attribute("data-ratio", "0")
    expect(bench.button("\u21b6 Undo")).to_be_disabled()


def test_after_a_kernel_restart_all_is_offered_and_goes_on(lab, bench):
    bench.open("Scan and pick")
    bench.button("Set uniform").click()
    bench.button("Prune").click()
    bench.finished("Pruned 'uniform 0.50'")
    bench.root.get_by_label("Snapshot", exact=True).fill("mine")
    bench.button("Keep").click()
    expect(bench.root.locator('[data-snapshot="mine"]')).to_be_visible()
    bench.scan(LONG, images=359)
    running(bench)
    expect(bench.curves.nth(2)).to_be_attached(timeout=120 * SECONDS)
    written_down(lab.server.work / lab.page.url.split("/tree/")[1].split("/")[0])
    lab.page.evaluate(RESTART)  # in the middle of the scan
    lab.kernel_ready()
    lab.run_all()
    again = Bench(lab.page)
    expect(again.root).to_be_visible(timeout=180 * SECONDS)
    taken_up(again)
    again.button("Resume").click()
    expect(again.job).to_have_attribute("data-status", "running", timeout=120 * SECONDS)
    again.button("Stop").click()
    again.finished("of 1200 cells is kept", status="stopped")


def taken_up(again: Bench) -> None:
    """Use what is offered: a scan that was cut off, ratios, a snapshot and a model."""
    offer = again.root.locator(".slim-offer")
    expect(offer).to_contain_text("of 1,200 cells, not finished", timeout=120 * SECONDS)
    expect(offer).to_contain_text("1 snapshot; the pruned model \u201cuniform 0.50\u201d")
    again.button("Use it").click()
    again.finished("Took up 'uniform 0.50'.")
    expect(offer).not_to_be_visible()
    again.open("Scan and pick")
    expect(again.curves.nth(2)).to_be_attached()
    expect(again.row("stem")).to_have_attribute("data-ratio", "0.5")
    expect(again.root.locator('[data-snapshot="mine"]')).to_be_visible()
    again.open("Fine-tune")
    expect(again.root.locator('[data-candidate="uniform 0.50"]')).to_be_visible()
    again.open("Scan and pick")


def test_app_mode_keeps_a_running_job_over_a_reload_and_shows_it_in_two_tabs(page, app_server):
    with app(page, app_server) as first:
        first.open("Scan and pick")
        first.button("Set uniform").click()
        first.button("Prune").click()
        first.finished("Pruned 'uniform 0.50'")
        first.root.get_by_label("Snapshot", exact=True).fill("mine")
        first.button("Keep").click()
        first.scan(LONG, images=359)
        running(first)
        before = done_so_far(first)
        page.reload()
        expect(first.root).to_be_visible(timeout=120 * SECONDS)
        running(first)
        further(first, before - 1)
        second = opened(page.context.new_page(), app_server)
        running(second)
        second.open("Scan and pick")
        expect(second.row("stem")).to_have_attribute("data-ratio", "0.5")
        second.root.get_by_label("Uniform ratio").fill("0.25")
        second.button("Set uniform").click()
        first.open("Scan and pick")
        expect(first.row("stem")).to_have_attribute("data-ratio", "0.25", timeout=120 * SECONDS)
        first.button("\u21b6 Undo").click()
        expect(second.row("stem")).to_have_attribute("data-ratio", "0.5", timeout=120 * SECONDS)
        second.page.close()  # the job goes on without it
        running(first)
        expect(first.curves.nth(2)).to_be_attached(timeout=120 * SECONDS)
        written_down(app_server.work)
        end_kernel(page, app_server)  # in the middle of the scan
        page.reload()
        expect(first.root).to_be_visible(timeout=120 * SECONDS)
        taken_up(first)


def test_an_unknown_widget_is_asked_for_again(page, app_server):
    """Under load a page may be there before its widget: then it looks once more."""
    with app(page, app_server) as bench:
        page.add_init_script(
            """if (!sessionStorage.getItem('slimlab-tries')) {
                addEventListener('DOMContentLoaded', () => {
                    document.querySelectorAll('script[type="application/vnd.voila.cell-output+json"]')
                        .forEach((e) => e.remove());
                    const words = document.createElement('div');
                    words.className = 'jupyter-widgets';
                    words.textContent = 'Error displaying widget: model not found';
                    document.body.append(words);
                });
            }"""
        )
        page.reload()
        expect(bench.root).to_be_visible(timeout=120 * SECONDS)


def test_without_a_kernel_the_notebook_shows_pictures_and_words(lab, bench):
    bench.root.evaluate("(e) => { e.parentElement.dataset.first = 'yes' }")
    bench.scan("0.3, 0.6", images=100)
    bench.finished("Scanned 24 cells")
    # The picture is renewed when the hand has rested, and the view with it.
    view = bench.root.locator("..")
    expect(view).not_to_have_attribute("data-first", "yes", timeout=120 * SECONDS)
    lab.save()
    (path,) = lab.server.work.glob(f"{lab.page.url.split('/tree/')[1].split('/')[0]}/*.ipynb")
    output = picture(path)
    assert "Scanned 24 of 24 cells" in "".join(output["text/plain"])
    assert len(output["image/png"]) > 20_000
    assert path.stat().st_size < 1_000_000
    saved = json.loads(path.read_text(encoding="utf-8"))["metadata"]["widgets"]
    view = output["application/vnd.jupyter.widget-view+json"]["model_id"]
    assert view in saved["application/vnd.jupyter.widget-state+json"]["state"]
    # In JupyterLab the widget itself is drawn from what was saved: nobody answers, all can be seen.
    lab.stop_kernels()
    where = path.relative_to(lab.server.work)
    drawn_again(lab, f"/lab/workspaces/again-{where.parent.name}/tree/{where}")
    bench.open("Scan and pick")
    expect(bench.curves).to_have_count(12)
    expect(bench.root.locator(".slim-node")).not_to_have_count(0)


def drawn_again(lab, where: str) -> None:
    """Open a saved notebook until its widget is drawn.

    JupyterLab asks the new kernel for widgets before it looks into the notebook. Where that one
    is slow to start it has given up on the widget by then, until the page is loaded again.
    """
    given_up = "Error displaying widget: model not found"
    for _ in range(TRIES):
        lab.page.goto(f"{lab.server.url}{where}")
        lab.page.wait_for_function(
            """(words) => document.querySelector('.slim-kind-workbench')
                || document.body.innerText.includes(words)""",
            arg=given_up,
            timeout=180 * SECONDS,
        )
        if Bench(lab.page).root.count():
            return
    pytest.fail(given_up)


def picture(path: Path) -> dict:
    """The saved output of the bench's cell."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    outputs = [o for cell in notebook["cells"] for o in cell.get("outputs", [])]
    return next(o["data"] for o in outputs if "image/png" in o.get("data", {}))
