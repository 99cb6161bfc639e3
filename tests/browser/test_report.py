"""A report in a real browser: asks for nothing else, obeys no name, follows theme and printer."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page
from tables import table, trial

import slimlab as sl

HOSTILE = "<img src=x onerror='window.pwned = 1'><script>window.pwned = 1</script>"


@pytest.fixture
def address(tmp_path) -> str:
    """Give the address of a report on the disk, its names hostile, its words long."""
    names = [HOSTILE, "a-very-" + "very-" * 40 + "long-name", "third"]
    path = sl.report(
        [trial(name, 90 - n, 100 - n, 100 - n) for n, name in enumerate(names)],
        tmp_path / "report.html",
        title=HOSTILE,
        accounts={HOSTILE: sl.Account((HOSTILE,), ratios={HOSTILE: 0.5})},
        sensitivity=table({HOSTILE: [3.0], "other": [1.0]}, (0.5,)),
    )
    return path.as_uri()


def test_opens_from_disk_without_another_request_or_a_script(page: Page, address):
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.goto(address)
    assert [url for url in asked if not url.startswith("data:")] == [address]
    assert page.evaluate("window.pwned") is None
    assert said == []
    assert page.locator("h1").inner_text() == HOSTILE
    drawn = page.evaluate("[...document.images].map(i => i.complete && i.naturalWidth > 100)")
    assert drawn
    assert all(drawn)


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_wider_than_the_window(page: Page, address, width):
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(address)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_follows_the_theme_and_prints_in_black_on_white(page: Page, address):
    def paper() -> tuple[str, str]:
        look = "getComputedStyle(document.body)"
        return page.evaluate(f"[{look}.backgroundColor, {look}.color]")

    page.goto(address)
    page.emulate_media(color_scheme="light")
    light = paper()
    page.emulate_media(color_scheme="dark")
    dark = paper()
    assert light[0] == "rgb(255, 255, 255)"
    assert dark[0] == "rgb(20, 20, 20)"
    assert dark[1] != light[1]
    page.emulate_media(color_scheme="dark", media="print")
    assert paper() == light
    assert page.evaluate("getComputedStyle(document.images[0]).filter") == "none"
    # What is folded on the screen is printed too.
    cell = page.locator("details td").first
    assert page.evaluate("e => e.checkVisibility()", cell.element_handle())
