"""The workbench as a person sees it: pictures for the docs, and nothing that can't be read."""

from __future__ import annotations

import re

import pytest
from apps import app
from bench_page import SECONDS, Bench
from benches import SMALL, deep
from playwright.sync_api import Page, expect
from readable import CROWDED, PALE, THEME

# Those that the docs show.
KEPT = {
    "pick-light-1920",
    "pick-dark-1920",
    "tune-light-1280",
    "quantize-dark-1280",
    "compare-light-1920",
    "fifty-layers-light-1920",
    "fifty-layers-dark-1920",
    "app-light-1280",
}
SIZES = {"1280": {"width": 1280, "height": 800}, "1920": {"width": 1920, "height": 1080}}


def look(bench: Bench, name: str) -> None:
    """Keep a picture where it is asked for, and refuse what can't be read."""
    bench.page.mouse.move(2, 2)
    bench.still()
    assert bench.root.evaluate(CROWDED) == []
    assert bench.root.evaluate(PALE) == []
    if name in KEPT:
        bench.keep_picture(name)


def opened(lab, source: str) -> Bench:
    lab.open_cells([source])
    lab.run_all()
    bench = Bench(lab.page)
    expect(bench.root).to_be_visible(timeout=180 * SECONDS)
    return bench


def each_look(page: Page, bench: Bench, name: str) -> None:
    """Both themes, both sizes."""
    for theme in ("Light", "Dark"):
        page.evaluate(THEME, f"JupyterLab {theme}")
        for size, viewport in SIZES.items():
            page.set_viewport_size(viewport)
            look(bench, f"{name}-{theme.lower()}-{size}")


@pytest.mark.slow
def test_every_panel_can_be_read_in_both_themes_and_sizes(lab):
    bench = opened(lab, SMALL)
    page = bench.page
    page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
    empty(bench)
    picked(bench)
    tuned(bench)
    quantized(bench)
    compared(bench)


def empty(bench: Bench) -> None:
    each_look(bench.page, bench, "layers")
    for step in ("Fine-tune", "Quantize", "Compare and save"):  # with nothing on them yet
        bench.open(step)
        each_look(bench.page, bench, f"empty-{step}")
    bench.open("Scan and pick")
    bench.root.get_by_label("Uniform ratio").fill("1.2")
    bench.button("Set uniform").click()
    expect(bench.status).to_have_class(re.compile("slim-error"))
    each_look(bench.page, bench, "error")


def picked(bench: Bench) -> None:
    bench.root.get_by_label("Uniform ratio").fill("0.5")
    bench.button("Set by budget").click()
    bench.finished("Picked for -50% MACs")
    bench.confirmed()
    bench.row("stage2.0.conv1").locator(".slim-name").click()
    each_look(bench.page, bench, "pick")
    bench.button("Prune").click()
    bench.finished("Pruned '-50% MACs'")
    bench.root.get_by_label("Accepted drop").fill("3")
    bench.button("Set by drop").click()
    expect(bench.root.get_by_label("Name", exact=True)).to_have_value("drop at most 3")
    bench.confirmed()
    bench.button("Prune").click()
    bench.finished("Pruned 'drop at most 3'")
    bench.open("Compare and save")
    bench.button("Compare").click()
    bench.finished("Compared 3 models")


def tuned(bench: Bench) -> None:
    bench.open("Fine-tune")
    bench.root.locator(".slim-pairing summary").click()
    bench.button("Suggest pairs").click()
    bench.finished("Paired")
    bench.root.get_by_label("Learn from the unpruned model").check()
    bench.root.get_by_label("Epochs").fill("4")
    bench.button("Fine-tune").click()
    bench.finished("Fine-tuned 'drop at most 3'")
    each_look(bench.page, bench, "tune")


def quantized(bench: Bench) -> None:
    bench.open("Quantize")
    bench.root.get_by_label("To quantize").select_option("drop at most 3")
    bench.root.get_by_label("Weight bits").select_option("5")
    bench.root.get_by_label("Bits of stem").select_option("8")
    bench.button("Quantize").click()
    bench.finished("Quantized 'drop at most 3 int5'")
    each_look(bench.page, bench, "quantize")


def compared(bench: Bench) -> None:
    bench.open("Compare and save")
    bench.button("Compare").click()
    bench.finished("Compared 4 models")
    bench.root.get_by_label("Format").select_option("onnx-int8")
    bench.button("Export").click()
    bench.finished("Exported 'drop at most 3 int5'")
    bench.root.locator('circle[data-trial="drop at most 3 int5"]').click()
    expect(bench.root.locator("[data-brushed]")).to_have_count(2)  # the same MACs and accuracy
    each_look(bench.page, bench, "compare")
    bench.root.get_by_label("Plot against").select_option("predicted")
    each_look(bench.page, bench, "predicted")
    bench.button("Show the code").click()
    each_look(bench.page, bench, "code")


@pytest.mark.slow
def test_fifty_layers_can_be_read_in_both_themes_and_sizes(lab):
    bench = opened(lab, deep(50, scanned=True))
    bench.page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
    bench.open("Scan and pick")
    bench.button("Set by budget").click()
    bench.finished("Picked for -50% MACs")
    bench.confirmed()
    each_look(bench.page, bench, "fifty-layers")


@pytest.mark.slow
def test_the_page_of_app_mode_can_be_read(page, app_server):
    with app(page, app_server, SMALL) as bench:
        bench.open("Scan and pick")
        bench.button("Set by drop").click()
        bench.confirmed()
        for size, viewport in SIZES.items():
            page.set_viewport_size(viewport)
            look(bench, f"app-light-{size}")
