"""`slimlab app`: the workbench as a page of its own, open to nobody without the token."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import psutil
import pytest
from apps import app
from bench_page import Bench
from family import listened_at
from playwright.sync_api import Page, expect

LOOPBACK = {"127.0.0.1", "::1"}


@pytest.fixture
def asked(page: Page) -> list[str]:
    """What the page asked for and got."""
    answered: list[str] = []
    page.on("requestfinished", lambda request: answered.append(request.url))
    return answered


@pytest.fixture
def bench(page: Page, app_server, asked) -> Iterator[Bench]:
    """Open the page as the printed address does."""
    with app(page, app_server) as opened:
        yield opened


def test_refuses_without_the_token_or_with_another(app_server):
    for path in ("/", "/?token=0"):
        _, body, landed = app_server.request(path, token=False)
        assert urlsplit(landed).path == "/login"
        assert b"slim" not in body
    (app_server.work / "picture.png").write_bytes(b"mine")
    for name in ("app-resnet20-digits.ipynb", "picture.png"):
        assert app_server.request(f"/voila/files/{name}", token=False)[0] == 403
    kernels = "/api/kernels/00000000-0000-0000-0000-000000000000"
    assert app_server.request(kernels, token=False)[0] == 403


def test_listens_on_this_machine_only(app_server):
    addresses = listened_at(app_server.process.pid)
    assert addresses
    assert addresses <= LOOPBACK


def test_the_token_is_in_no_command_line_and_not_written_twice(app_server):
    process = psutil.Process(app_server.process.pid)
    assert app_server.token not in " ".join(process.cmdline())
    assert app_server.log.read_text(errors="replace").count(app_server.token) == 1


def test_slider_scan_prune_and_compare_on_the_page(bench, asked):
    expect(bench.root.locator(".slim-model")).to_have_text("ResNet20")
    expect(bench.page.get_by_text("sl.load_model")).to_have_count(0)  # no code
    bench.open("Scan and pick")
    before = float(bench.total("macs").get_attribute("data-value") or "nan")
    slider = bench.root.get_by_role("slider", name="Pruning ratio of stem").last
    bench.press_until(slider, "ArrowRight", "stem", 0.2)
    assert float(bench.total("macs").get_attribute("data-value") or "nan") < before
    bench.confirmed()

    bench.scan("0.3, 0.6", images=100)
    bench.finished("Scanned 24 cells")
    expect(bench.curves).to_have_count(12)
    bench.button("Prune").click()
    bench.finished("Pruned 'picked'")
    bench.open("Compare and save")
    bench.button("Compare").click()
    bench.finished("Compared 2 models")
    table = bench.root.get_by_role("table", name="Comparison of the models")
    expect(table.locator("tbody tr")).to_have_count(2)
    # Nothing was answered from elsewhere.
    hosts = {urlsplit(url).hostname for url in asked if url.startswith("http")}
    assert hosts == {"127.0.0.1"}
