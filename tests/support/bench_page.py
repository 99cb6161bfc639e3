"""The workbench on a page, as a person uses it; the same in JupyterLab and in app mode."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

SECONDS = 1000  # Playwright counts milliseconds
RUN_NEW_CELL = """async (source) => {
    const app = window.jupyterapp, notebook = app.shell.currentWidget.content;
    notebook.activeCellIndex = notebook.widgets.length - 1;
    await app.commands.execute('notebook:insert-cell-below');
    notebook.activeCell.model.sharedModel.setSource(source);
    app.commands.execute('notebook:run-cell');
}"""


class Bench:
    """The workbench on the page, as a person uses it."""

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

    def finished(self, message: str, *, status: str = "done", seconds: float = 90) -> None:
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
