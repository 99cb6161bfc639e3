"""The workbench on a page, as a person uses it; the same in JupyterLab and in app mode."""

from __future__ import annotations

import os
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
SECONDS = 1000  # Playwright counts milliseconds
RUN_NEW_CELL = """async (source) => {
    const app = window.jupyterapp, notebook = app.shell.currentWidget.content;
    notebook.activeCellIndex = notebook.widgets.length - 1;
    await app.commands.execute('notebook:insert-cell-below');
    notebook.activeCell.model.sharedModel.setSource(source);
    app.commands.execute('notebook:run-cell');
}"""


# Into view, and where it is: in one step, so that nothing moves in between.
BOX = """(e) => {
    e.scrollIntoView({ block: 'center', behavior: 'instant' });
    const box = e.getBoundingClientRect();
    return e.isConnected && box.width > 0 ? [box.x, box.y, box.width, box.height] : null;
}"""
# What is asked for in one frame is drawn in the next.
FRAMES = "() => new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))"
# Nothing moves or grows any more, for a few frames.
STILL = """() => new Promise((done) => {
    const parts = '.slim, .slim svg, .slim table';
    const look = () => JSON.stringify([...document.querySelectorAll(parts)]
        .map((e) => e.getBoundingClientRect()));
    let [last, same] = ['', 0];
    const frame = () => {
        const now = look();
        [last, same] = [now, now === last ? same + 1 : 0];
        if (same > 8 && !document.getAnimations().length) done(null);
        else requestAnimationFrame(frame);
    };
    frame();
})"""
TRIES = 10


class Bench:
    """The workbench on the page, as a person uses it.

    JupyterLab draws a view anew when its saved picture changes. A move or a key in the moment
    between two views reaches neither, and a person would try again: so do `press_until`, `point`
    and what is in `tries`.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.root = page.locator(".slim-kind-workbench")
        self.job = self.root.locator(".slim-jobbar")
        self.status = self.root.locator(".slim-status")
        self.curves = self.root.locator(".slim-curve")

    def open(self, step: str) -> None:
        self.root.get_by_role("tab", name=step).click()

    def button(self, name: str) -> Locator:
        return self.root.get_by_role("button", name=name, exact=True)

    def row(self, layer: str) -> Locator:
        return self.root.locator(f'.slim-row[data-layer="{layer}"]')

    def ratio(self, layer: str) -> float:
        return float(self.row(layer).get_attribute("data-ratio") or "nan")

    def total(self, name: str) -> Locator:
        return self.root.locator(f'[data-total="{name}"]')

    def keep_picture(self, name: str) -> None:
        """Renew a picture of the docs, when asked to."""
        if not os.environ.get("SLIMLAB_SCREENSHOTS"):
            return
        IMAGES.mkdir(parents=True, exist_ok=True)
        size = self.page.viewport_size
        assert size is not None
        # In a low window JupyterLab's own frame would lie over the lower end.
        self.page.set_viewport_size({"width": size["width"], "height": 1500})
        self.still()
        self.root.screenshot(path=IMAGES / f"{name}.png")
        self.page.set_viewport_size(size)

    def finished(self, message: str, *, status: str = "done", seconds: float = 300) -> None:
        """Wait for the end of a job, and for what it says."""
        # The words first: the job before it may have ended in the same state.
        expect(self.status).to_contain_text(message, timeout=seconds * SECONDS)
        expect(self.job).to_have_attribute("data-status", status)

    def confirmed(self) -> None:
        """Wait until the kernel has computed the same numbers as the browser."""
        expect(self.root.locator(".slim-confirmed")).to_have_attribute("data-confirmed", "yes")

    def scan(self, ratios: str, *, images: int) -> None:
        self.open("Scan and pick")
        self.root.get_by_label("Images").fill(str(images))
        self.root.get_by_label("Ratios", exact=True).fill(ratios)
        self.button("Scan").click()

    def draw(self) -> None:
        """Wait until what was done last is drawn."""
        self.page.evaluate(FRAMES)

    def still(self) -> None:
        """Wait until nothing moves any more."""
        self.page.evaluate(STILL)

    def box(self, locator: Locator) -> tuple[float, float, float, float]:
        """Bring something into view: its left, top, width and height there."""
        for _ in range(1000):
            found = locator.evaluate(BOX)
            if found:
                return tuple(found)
            self.draw()
        msg = f"{locator} is never on the page"
        raise AssertionError(msg)

    def press_until(self, control: Locator, key: str, layer: str, ratio: float) -> None:
        """Press a key until the layer's ratio is this one, which each press comes nearer to."""
        way = abs(self.ratio(layer) - ratio)
        for _ in range(1000):
            if way < 1e-9:
                break
            control.press(key)
            self.draw()
            before, way = way, abs(self.ratio(layer) - ratio)
            assert way <= before, f"{key} went past {ratio}"
        expect(self.row(layer)).to_have_attribute("data-ratio", f"{ratio:g}")

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press the mouse, move it in steps, let go, and wait until it is drawn."""
        mouse = self.page.mouse
        mouse.move(*start)
        mouse.down()
        mouse.move(*end, steps=10)
        mouse.up()
        self.draw()
