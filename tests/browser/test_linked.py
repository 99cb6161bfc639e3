"""What is done in one view shows in all others, by mouse and key, in JupyterLab and app mode."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from apps import app
from bench_page import SECONDS, TRIES, Bench
from benches import SMALL
from playwright.sync_api import Locator, expect

# The accessible name of each control that can be seen: a label, a name, or its own words.
NAMELESS = """(root) => {
    const kinds = 'input, select, button, a, summary, [role], [tabindex="0"]';
    const silent = ['presentation', 'none', 'alert', 'status', 'tabpanel', 'tablist'];
    const named = (e) => e.getAttribute('aria-label') || e.textContent.trim()
        || (e.labels && [...e.labels].some((l) => l.textContent.trim()))
        || [...e.children].some((c) => c.tagName === 'title' && c.textContent.trim());
    return [...root.querySelectorAll(kinds)]
        .filter((e) => e.checkVisibility() && !silent.includes(e.getAttribute('role')))
        .filter((e) => !e.matches('option') && !named(e))
        .map((e) => e.outerHTML.slice(0, 120));
}"""


@pytest.fixture(params=["lab", "app"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Give the quickstart's network with a scan, in both hosts."""
    if request.param == "app":
        with app(
            request.getfixturevalue("page"), request.getfixturevalue("app_server"), SMALL
        ) as opened:
            yield opened
        return
    lab = request.getfixturevalue("lab")
    lab.open_cells([SMALL])
    lab.run_all()
    opened = Bench(lab.page)
    expect(opened.root).to_be_visible(timeout=180 * SECONDS)
    yield opened


def selected(bench: Bench, layer: str) -> None:
    """The same layer in the curves, the rows and the map."""
    expect(bench.root.locator(".slim-row.slim-selected")).to_have_attribute("data-layer", layer)
    expect(bench.root.locator(".slim-curve.slim-selected")).to_have_attribute("data-layer", layer)
    expect(bench.root.locator(".slim-handle")).to_have_attribute("data-layer", layer)
    expect(node(bench, layer)).to_have_class(re.compile("slim-selected"))


def node(bench: Bench, layer: str) -> Locator:
    return bench.root.locator(f'.slim-node[data-node="{layer}"]')


def number(locator: Locator, name: str) -> float:
    return float(locator.get_attribute(name) or "nan")


def test_map_curves_rows_budget_and_totals_are_one(bench):
    bench.open("Scan and pick")
    expect(bench.curves).to_have_count(12)
    hover_and_click_on_the_map(bench)
    hover_and_click_on_the_curves(bench)
    one_change_everywhere(bench)
    budgets(bench)
    assert bench.root.evaluate(NAMELESS) == []


def hover_and_click_on_the_map(bench: Bench) -> None:
    caption = bench.root.locator(".slim-map-caption")
    node(bench, "stage2.0.conv1").hover()
    expect(caption).to_contain_text("stage2.0.conv1 (Conv2D)")
    expect(caption).to_contain_text(re.compile(r"drop \d+\.\d points at ratio 0\.5"))
    frozen = bench.root.locator('.slim-node[data-prunable="no"]').last
    frozen.hover()
    expect(caption).to_contain_text(re.compile("frozen: .+|follows its input"))
    node(bench, "stage2.0.conv1").click()
    selected(bench, "stage2.0.conv1")
    # By key: to the next layer that can be pruned, and Enter selects it.
    node(bench, "stage2.0.conv1").press("ArrowRight")
    focused = bench.root.locator(".slim-node:focus")
    focused.press("Enter")
    group = focused.get_attribute("data-group") or ""
    selected(bench, group)


def hover_and_click_on_the_curves(bench: Bench) -> None:
    plot = bench.root.locator(".slim-curves svg").first
    curve = bench.root.locator('.slim-curve[data-layer="stem"]')
    tip = bench.root.locator(".slim-tip")
    for _ in range(TRIES):
        bench.box(plot)
        # At the last ratio the curves lie far apart: a little before its end.
        x, y = curve.evaluate(
            """(e) => {
                const p = e.getPointAtLength(e.getTotalLength() - 4);
                const at = p.matrixTransform(e.getScreenCTM());
                return [at.x, at.y];
            }"""
        )
        bench.page.mouse.move(x - 3, y)
        bench.page.mouse.move(x, y)
        bench.draw()
        if tip.is_visible():
            break
    expect(tip).to_contain_text(re.compile(r"^stemratio 0\.[89]\d?.*drop \d+\.\d points"))
    bench.page.mouse.down()
    bench.page.mouse.up()
    selected(bench, "stem")
    assert bench.ratio("stem") == 0  # a click selects and moves nothing


def one_change_everywhere(bench: Bench) -> None:
    macs, mark = bench.total("macs"), bench.root.locator('[data-budget="macs"] .slim-mark')
    before = number(macs, "data-value")
    handle = bench.root.locator(".slim-handle")
    x = number(handle, "cx")
    slider = bench.root.get_by_role("slider", name="Pruning ratio of stem").last
    bench.press_until(slider, "ArrowRight", "stem", 0.3)
    expect(bench.row("stem")).to_contain_text("8 → 6")
    assert number(handle, "cx") > x
    expect(node(bench, "stem")).to_have_attribute("data-ratio", "0.3")
    assert number(macs, "data-value") < before
    share = 1 - number(macs, "data-value") / before
    assert number(mark, "data-removed") == pytest.approx(share, abs=1e-4)
    expect(bench.total("drop")).to_contain_text(re.compile(r"\d+\.\d points"))
    bench.confirmed()
    handle.press("ArrowLeft")  # from the curve back to the row
    expect(bench.row("stem")).to_have_attribute("data-ratio", "0.25")
    slider.press("Control+z")  # keys on one layer are one stroke
    expect(bench.row("stem")).to_have_attribute("data-ratio", "0")


def budgets(bench: Bench) -> None:
    control = bench.root.get_by_role("slider", name="Share of MACs to remove")
    row = bench.root.locator('[data-budget="macs"]')
    control.press("End")
    reach = number(row, "data-reach")
    assert float(control.input_value()) == reach < 1  # never more than can be reached
    while float(control.input_value()) > 0.4:
        control.press("ArrowLeft")
    expect(row.locator("output")).to_have_text("40 %")
    bench.button("Set by budget").click()
    bench.finished("Picked for -40% MACs")
    bench.confirmed()
    assert number(row.locator(".slim-mark"), "data-removed") >= 0.4
    latency = bench.root.get_by_role("slider", name="Share of Latency to remove")
    expect(latency).to_be_disabled()
    bench.button("Time the layers").click()
    bench.finished("latency can be a budget now")
    expect(latency).to_be_enabled()
    # From now on the page tells milliseconds itself, and the kernel agrees.
    before = bench.total("latency").get_attribute("data-value") or ""
    bench.root.get_by_role("slider", name="Pruning ratio of stage3.2.conv1").last.press("End")
    expect(bench.total("latency")).not_to_have_attribute("data-value", before)
    bench.confirmed()


def test_pairs_run_grids_and_brushing(bench):
    prune_two(bench)
    pairs(bench)
    train(bench)
    grids(bench)
    compare_and_brush(bench)
    assert [e for e in bench.root.evaluate(NAMELESS) if e] == []


def prune_two(bench: Bench) -> None:
    bench.open("Scan and pick")
    for ratio in ("0.25", "0.5"):
        bench.root.get_by_label("Uniform ratio").fill(ratio)
        bench.button("Set uniform").click()
        expect(bench.row("stem")).to_have_attribute("data-ratio", ratio)
        bench.confirmed()
        bench.button("Prune").click()
        bench.finished(f"Pruned 'uniform {float(ratio):.2f}'")


def pairs(bench: Bench) -> None:
    bench.open("Fine-tune")
    bench.root.locator(".slim-pairing summary").click()
    bench.button("Suggest pairs").click()
    bench.finished("Paired")
    lines = bench.root.locator(".slim-pair")
    count = lines.count()
    assert count >= 2
    first = (lines.first.get_attribute("data-pair") or "").split("|")
    lines.first.focus()
    lines.first.press("Enter")  # takes it away, as a click would
    expect(lines).to_have_count(count - 1)
    bench.root.locator(f'[data-end="student:{first[0]}"]').click()
    bench.root.locator(f'[data-end="teacher:{first[1]}"]').click()
    expect(lines).to_have_count(count)
    expect(bench.root.locator(f'[data-pair="{first[0]}|{first[1]}"]')).to_have_count(1)
    assert bench.root.evaluate(NAMELESS) == []


def train(bench: Bench) -> None:
    bench.root.get_by_label("Learn from the unpruned model").check()
    bench.root.get_by_label("Epochs").fill("2")
    bench.button("Fine-tune").click()
    bench.finished("Fine-tuned 'uniform 0.50'")
    for chart in ("loss", "score", "rate"):
        points = bench.root.locator(f'[data-chart="{chart}"]')
        expect(points).to_have_attribute("data-points", re.compile(r"[2-9]|\d\d"))
    expect(bench.root.locator(".slim-run-note")).to_contain_text(
        re.compile(r"uniform 0\.50: step (\d+) of \1, epoch 2\.0; accuracy .+ before, .+ after")
    )


def grids(bench: Bench) -> None:
    bench.open("Quantize")
    bench.root.get_by_label("To quantize").select_option("uniform 0.50")
    table = bench.root.get_by_role("table", name="Bits of each layer")
    row = table.locator('[data-quant="stem"]')
    error = row.locator("[data-error]")
    expect(bench.root.locator('[data-panel="quantize"] .slim-note')).to_contain_text("uniform 0.50")
    at_eight = number(error, "data-error")
    bench.root.get_by_label("Weight bits").select_option("4")
    expect(error).not_to_have_attribute("data-error", f"{at_eight:.5f}")
    at_four = number(error, "data-error")
    assert at_four > 10 * at_eight
    row.get_by_label("Bits of stem").select_option("8")
    expect(error).to_have_attribute("data-error", f"{at_eight:.5f}")
    bench.button("Quantize").click()
    bench.finished("Quantized 'uniform 0.50 int4'")


def compare_and_brush(bench: Bench) -> None:
    bench.open("Compare and save")
    bench.button("Compare").click()
    bench.finished("Compared 4 models")
    rows = bench.root.locator(".slim-comparison tbody tr.slim-brushed")
    for _ in range(TRIES):
        left, top, width, height = bench.box(bench.root.locator(".slim-scatter"))
        bench.drag((left + 60, top + height - 50), (left + width - 3, top + 3))
        if rows.count() == 4:
            break
    expect(rows).to_have_count(4)
    brushed = bench.root.locator("[data-brushed]")
    expect(brushed).to_have_count(3)  # the baseline has no ratios
    bench.root.locator('circle[data-trial="uniform 0.25"]').click()
    expect(brushed).to_have_count(1)
    bar = brushed.locator('[data-layer="stage2.1.conv1"]')
    expect(bar).to_have_attribute("data-ratio", "0.25")
    bar.click()
    brushed.get_by_role("button", name="Use these ratios").click()
    bench.root.get_by_label("Plot against").select_option("predicted")
    expect(bench.root.locator('[data-predicted="uniform 0.25"]')).to_be_visible()
    bench.root.get_by_label("Model", exact=True).select_option("uniform 0.50 int4")
    bench.button("Show the code").click()
    expect(bench.root.locator(".slim-code")).to_contain_text("sl.quantize(small, task, config)")
    bench.open("Scan and pick")
    selected(bench, "stage2.1.conv1")
    expect(bench.row("stem")).to_have_attribute("data-ratio", "0.25")
