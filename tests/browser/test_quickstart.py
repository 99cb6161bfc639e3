"""The whole quickstart by mouse and keyboard, in a real JupyterLab."""

from __future__ import annotations

import re

import pytest
from bench_page import RUN_NEW_CELL, SECONDS, TRIES, Bench
from playwright.sync_api import expect


@pytest.fixture
def bench(lab) -> Bench:
    # The cells before it take their time in the notebook tests; here the bench is what counts.
    lab.open_cells(
        [
            "import slimlab as sl, slimlab_widgets as slw\n"
            "task = sl.load_task('digits')\n"
            "bench = slw.Workbench(sl.load_model('resnet20', task), task)\n"
            "bench",
        ]
    )
    lab.run_all()
    bench = Bench(lab.page)
    expect(bench.root).to_be_visible(timeout=120 * SECONDS)
    return bench


def test_the_shipped_notebook_shows_every_panel(lab):
    lab.open_notebook("01_quickstart.ipynb")
    lab.run_all(wait=True, seconds=300)
    for kind in ("picker", "comparison", "workbench"):
        expect(lab.page.locator(f".slim-kind-{kind}")).to_be_visible()
    layers = lab.page.locator('.slim-kind-workbench [data-panel="layers"]')
    expect(layers).to_contain_text("Conv2D")
    expect(layers.locator("tfoot")).to_contain_text("Whole model")
    # Nothing on the page may come from elsewhere.
    elsewhere = [r for r in lab.requests if lab.server.url not in r and " data:" not in r]
    assert [r for r in elsewhere if not r.split()[1].startswith("blob:")] == []


def test_scan_stop_resume_while_the_kernel_stays_free(bench):
    # 100 ratios of 12 layers: enough to be stopped in the middle.
    bench.scan("0.009:0.9:0.009", images=359)
    expect(bench.button("Scan")).to_be_disabled()
    expect(bench.curves.nth(1)).to_be_attached(timeout=180 * SECONDS)
    underway = re.compile(r"[\d,]+ / 430,800 images, .+ left")
    expect(bench.root.locator(".slim-counts")).to_have_text(underway)

    bench.page.evaluate(RUN_NEW_CELL, "print('answer', 6 * 7, bench.progress.status)")
    expect(bench.page.get_by_text("answer 42 running")).to_be_visible(timeout=120 * SECONDS)

    bench.button("Stop").click()
    bench.finished("of 1200 cells is kept", status="stopped")
    counts = bench.root.locator(".slim-counts").text_content() or ""
    stopped_at = int(counts.split()[0].replace(",", ""))
    assert 0 < stopped_at < 1200 * 359
    assert bench.curves.count() >= 2

    bench.button("Resume").click()
    # It goes on from there: nothing below is counted again.
    bench.page.wait_for_function(
        """(before) => {
            const bar = document.querySelector('.slim-jobbar[data-job="scan"] [data-done]');
            const [done, total] = [Number(bar.dataset.done), Number(bar.dataset.total)];
            if (total === 430800 && done && done < before) throw new Error(`back to ${done}`);
            return total === 430800 && done > before;
        }""",
        arg=stopped_at,
        timeout=180 * SECONDS,
    )
    bench.finished("Scanned 1200 cells", seconds=1800)
    expect(bench.curves).to_have_count(12)
    expect(bench.button("Resume")).to_be_disabled()

    bench.button("Set by drop").click()
    expect(bench.root.get_by_label("Name", exact=True)).to_have_value("drop at most 1")
    bench.confirmed()
    bench.keep_picture("quickstart")  # the README's


def test_pick_prune_fine_tune_compare_save(lab, bench):
    page = bench.page
    bench.scan("0.3, 0.6", images=100)
    bench.finished("Scanned 24 cells")

    pick_by_hand(bench)
    undo_and_snapshots(bench)
    macs_removed_by_hand = bench.total("macs").text_content()
    prune(bench, "by hand")

    bench.root.get_by_label("Uniform ratio").fill("0.25")
    bench.button("Set uniform").click()
    expect(bench.row("stage3.2.conv1")).to_have_attribute("data-ratio", "0.25")
    bench.confirmed()
    assert bench.total("macs").text_content() != macs_removed_by_hand
    prune(bench, None, becomes="uniform 0.25")

    bench.root.get_by_label("Accepted drop").fill("2")
    bench.button("Set by drop").click()
    expect(bench.row("stem")).not_to_have_attribute("data-ratio", "0.25")
    bench.confirmed()
    prune(bench, None, becomes="drop at most 2")

    fine_tune(bench)

    bench.open("Compare and save")
    bench.button("Compare").click()
    bench.finished("Compared 4 models")
    table = bench.root.get_by_role("table", name="Comparison of the models")
    names = ["baseline", "by hand", "uniform 0.25", "drop at most 2"]
    expect(table.locator("tbody th")).to_have_text([re.compile(name) for name in names])
    for name in names:
        row = table.locator(f'[data-trial="{name}"]')
        expect(row).to_have_text(re.compile(r"\d+\.\d %.*\d k.*\d kB.*\d ms"))
        expect(bench.root.locator(f'circle[data-trial="{name}"]')).to_be_visible()
    for axis in ("latency", "bytes"):
        bench.root.get_by_label("Plot against").select_option(axis)
        expect(bench.root.locator(".slim-scatter")).to_contain_text(axis, ignore_case=True)

    bench.root.get_by_label("Model", exact=True).select_option("uniform 0.25")
    code_and_recipe(bench)
    expect(bench.root.get_by_label("Folder")).to_have_value("models/uniform-0.25")
    bench.button("Save").click()
    bench.finished("Saved 'uniform 0.25' to models/uniform-0.25")
    page.evaluate(
        RUN_NEW_CELL,
        "print('loaded', sl.profile(sl.load('models/uniform-0.25'), task.example).macs"
        " == bench.candidates[1].preview.macs)",
    )
    expect(page.get_by_text("loaded True")).to_be_visible(timeout=120 * SECONDS)
    assert [line for line in lab.console if line.startswith("uncaught")] == []


def code_and_recipe(bench: Bench) -> None:
    bench.button("Show the recipe").click()
    shown = bench.root.locator(".slim-code")
    expect(shown).to_contain_text("strategy: fine_tune")
    bench.button("Show the code").click()
    expect(shown).to_contain_text("sl.uniform_ratios(graph, ratio=0.25)")
    bench.button("Hide").click()
    expect(shown).not_to_be_visible()


def pick_by_hand(bench: Bench) -> None:
    first, second = "stem", "stage1.0.conv1"
    expect(bench.button("Prune")).to_be_disabled()
    # The point of the selected layer, dragged along its curve.
    bench.row(first).locator(".slim-name").click()
    handle = bench.root.locator(".slim-handle")
    expect(handle).to_have_attribute("data-layer", first)
    there = None
    for _ in range(TRIES):
        left, top, width, height = bench.box(handle)
        x, y = left + width / 2, top + height / 2
        there = there or x + 120
        bench.drag((x, y), (there, y))
        dragged = bench.ratio(first)
        if dragged > 0.1:
            break
    assert 0.1 < dragged < 0.35
    expect(bench.total("macs")).to_contain_text("→")
    assert float(bench.total("drop").get_attribute("data-value") or 0) > 0
    bench.confirmed()

    # The same point by key, and another layer by its slider.
    handle.press("ArrowRight")
    expect(handle).to_have_attribute(
        "data-ratio", f"{round(round((dragged + 0.05) / 0.01) * 0.01, 2):g}"
    )
    slider = bench.root.get_by_role("slider", name=f"Pruning ratio of {second}").last
    bench.press_until(slider, "ArrowRight", second, 0.25)
    expect(bench.row(second)).to_contain_text("→")
    bench.confirmed()


def undo_and_snapshots(bench: Bench) -> None:
    """Leaves the ratios as they were."""
    slider = bench.root.get_by_role("slider", name="Pruning ratio of stage1.0.conv1").last
    row, last = bench.row("stage1.0.conv1"), bench.row("stage3.2.conv1")
    bench.root.get_by_label("Snapshot", exact=True).fill("mine")
    bench.button("Keep").click()
    bench.root.get_by_label("Uniform ratio").fill("0.75")
    bench.button("Set uniform").click()
    expect(last).to_have_attribute("data-ratio", "0.75")
    slider.press("Control+z")
    expect(last).to_have_attribute("data-ratio", "0")
    expect(row).to_have_attribute("data-ratio", "0.25")
    slider.press("Control+z")  # five steps of the slider were one stroke
    expect(row).to_have_attribute("data-ratio", "0")
    bench.button("↷ Redo").click()
    slider.press("Control+Shift+Z")
    expect(last).to_have_attribute("data-ratio", "0.75")
    expect(bench.button("↷ Redo")).to_be_disabled()
    bench.button("mine").click()
    expect(last).to_have_attribute("data-ratio", "0")
    expect(row).to_have_attribute("data-ratio", "0.25")
    bench.confirmed()


def test_a_slider_keeps_its_place_while_the_view_is_rebuilt(bench):
    """The saved picture is renewed when a hand has rested for two seconds; nothing jumps back."""
    bench.open("Scan and pick")
    slider = bench.root.get_by_role("slider", name="Pruning ratio of stem").last
    view = bench.root.locator("..")
    bench.root.evaluate("(e) => { e.dataset.first = e.parentElement.dataset.first = 'yes' }")
    bench.press_until(slider, "ArrowRight", "stem", 0.3)
    expect(view).not_to_have_attribute("data-first", "yes", timeout=120 * SECONDS)
    expect(bench.root).to_have_attribute("data-first", "yes")  # the same elements, in another view
    expect(bench.row("stem")).to_have_attribute("data-ratio", "0.3")
    bench.confirmed()
    expect(slider).to_be_focused()
    slider.press("ArrowRight")
    expect(bench.row("stem")).to_have_attribute("data-ratio", "0.35")


def prune(bench: Bench, name: str | None, *, becomes: str | None = None) -> None:
    if name is not None:
        bench.root.get_by_label("Name", exact=True).fill(name)
    bench.button("Prune").click()
    bench.finished(f"Pruned '{becomes or name}'")


def fine_tune(bench: Bench) -> None:
    bench.open("Fine-tune")
    table = bench.root.get_by_role("table", name="Pruned models to fine-tune")
    loss = bench.root.locator('[data-chart="loss"]')
    row = table.locator('[data-candidate="uniform 0.25"]')
    row.get_by_role("radio").check()
    bench.root.get_by_label("Epochs").fill("2")
    bench.button("Fine-tune").click()
    bench.finished("Fine-tuned 'uniform 0.25'")
    expect(row).to_have_attribute("data-epochs", "2")
    expect(loss).to_have_attribute("data-points", "18")
    expect(bench.root.locator('[data-chart="score"]')).not_to_have_attribute("data-points", "0")

    # Another one is stopped; its model so far stays.
    table.locator('[data-candidate="by hand"]').get_by_role("radio").check()
    bench.root.get_by_label("Epochs").fill("200")
    bench.button("Fine-tune").click()
    expect(bench.status).to_contain_text("Fine-tuning 'by hand'")
    expect(loss).not_to_have_attribute("data-points", "18")
    bench.button("Stop").click()
    bench.finished("Stopped; kept 'by hand'", status="stopped")
    assert 0 < float(table.locator('[data-candidate="by hand"]').get_attribute("data-epochs")) < 200


def test_an_error_is_shown_and_the_bench_goes_on(bench):
    bench.open("Scan and pick")
    bench.root.get_by_label("Uniform ratio").fill("1.2")
    bench.button("Set uniform").click()
    expect(bench.status).to_contain_text("1.2")
    expect(bench.status).to_have_class(re.compile("slim-error"))
    bench.root.get_by_label("Uniform ratio").fill("0.5")
    bench.button("Set uniform").click()
    expect(bench.row("stem")).to_have_attribute("data-ratio", "0.5")
