"""App mode's page: every tab and every reload shows the one kernel that there is. Knows Voila.

Voila gives each page a kernel of its own and ends it with the page, so that a reload would throw a
running job away. Here the first page starts the kernel; what was rendered is kept, and every later
page gets the same text and finds the widgets in the same kernel. When the kernel has ended, the
next page starts another.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from tornado.iostream import StreamClosedError
from tornado.web import HTTPError, authenticated
from voila.shutdown_kernel_handler import VoilaShutdownKernelHandler
from voila.tornado.handler import TornadoVoilaHandler

# Under load a page may ask for a widget before its manager knows it. Nothing is lost by a reload.
AGAIN = """<script>
(() => {
  const tries = Number(sessionStorage.getItem("slimlab-tries") ?? 0);
  const missing = () => [...document.querySelectorAll(".jupyter-widgets")]
    .some((e) => e.textContent.includes("model not found"));
  const look = setInterval(() => {
    if (document.querySelector(".slim")) {
      sessionStorage.removeItem("slimlab-tries");
      clearInterval(look);
    } else if (tries < 5 && missing()) {
      sessionStorage.setItem("slimlab-tries", tries + 1);
      clearInterval(look);
      setTimeout(() => location.reload(), 1000 * (1 + tries));
    }
  }, 500);
})();
</script>
"""
HEADERS = {"Content-Type": "text/html", "Cache-Control": "no-cache, no-store, must-revalidate"}


class Page:
    """The text of a page while it is rendered and afterwards; read by any number of visitors.

    Attributes
    ----------
    kernel
        Of the widgets on it; empty until it was started.
    """

    def __init__(self) -> None:
        self.kernel = ""
        self._pieces: list[str] = []
        self._over = False
        self._error: BaseException | None = None
        self._news = asyncio.Condition()

    async def render(self, text: AsyncIterator[str], kernels: Any) -> None:
        """Take the text as it comes; the kernel is the one that is new among `kernels`."""
        before = set(kernels.list_kernel_ids())
        try:
            async for piece in text:
                new = set(kernels.list_kernel_ids()) - before
                self.kernel = self.kernel or next(iter(new), "")
                await self._tell(piece)
            await self._tell(AGAIN)
        except BaseException as error:
            self._error = error
        self._over = True
        await self._tell("")

    async def read(self) -> AsyncIterator[str]:
        """The text from its beginning, to the end of the rendering.

        Raises
        ------
        HTTPError
            When the rendering failed.
        """
        at = 0
        while at < len(self._pieces) or not self._over:
            async with self._news:
                while at == len(self._pieces) and not self._over:
                    await self._news.wait()
            for piece in self._pieces[at:]:
                at += 1
                yield piece
        if self._error is not None:
            raise HTTPError(500, str(self._error)) from self._error

    async def lives(self, kernels: Any) -> bool:
        """Whether a visitor finds its widgets: it is on its way, or its kernel runs."""
        if not self._over:
            return True
        if self._error is not None or self.kernel not in kernels.list_kernel_ids():
            return False
        return bool(await kernels.get_kernel(self.kernel).is_alive())

    async def _tell(self, piece: str) -> None:
        async with self._news:
            if piece:
                self._pieces.append(piece)
            self._news.notify_all()


class Pages:
    """The present page of a server."""

    def __init__(self) -> None:
        self._page: Page | None = None
        self._lock = asyncio.Lock()
        self._rendering: asyncio.Task[None] | None = None

    async def current(self, text: AsyncIterator[str], kernels: Any) -> Page:
        """The page that lives, or a new one of this text, with a kernel that is new."""
        async with self._lock:
            if self._page is None or not await self._page.lives(kernels):
                await self._leave(kernels)
                self._page = Page()
                self._rendering = asyncio.ensure_future(self._render(self._page, text, kernels))
            return self._page

    async def _render(self, page: Page, text: AsyncIterator[str], kernels: Any) -> None:
        await page.render(text, kernels)

        def leave() -> None:
            """Jupyter started the kernel anew after a crash: the page's widgets are gone."""
            if self._page is page:
                self._page = None

        if page.kernel in kernels.list_kernel_ids():
            kernels.add_restart_callback(page.kernel, leave, "restart")

    async def _leave(self, kernels: Any) -> None:
        """End what is left of kernels without a page."""
        for kernel in list(kernels.list_kernel_ids()):
            await kernels.shutdown_kernel(kernel)


class PageHandler(TornadoVoilaHandler):  # type: ignore[misc, unused-ignore]
    """Gives every visitor the present page."""

    def initialize(self, pages: Pages, **options: Any) -> None:
        """Take the server's pages beside Voila's own options."""
        super().initialize(**options)
        self._pages = pages

    @authenticated
    async def get(self, path: str | None = None) -> None:
        """Write the page, the part that is still rendered as it comes."""
        if path:  # a file beside the notebook: Voila decides on it
            await super().get(path)
            return
        page = await self._pages.current(self.get_generator(path=path), self.kernel_manager)
        for name, value in HEADERS.items():
            self.set_header(name, value)
        try:
            async for piece in page.read():
                self.write(piece)
                await self.flush()
        except StreamClosedError:
            return  # the visitor left; the page goes on for the next one


class StayHandler(VoilaShutdownKernelHandler):  # type: ignore[misc, unused-ignore]
    """Hears that a page was closed, and lets its kernel live."""

    @authenticated
    async def post(self, kernel_id: str) -> None:
        """Nothing to do."""
        del kernel_id
        self.set_status(204)
        await self.finish()


def shared(handlers: list[Any]) -> list[Any]:
    """Voila's handlers, with those of pages and their ends in the place of its own."""
    pages = Pages()
    found: list[Any] = []
    for address, kind, *options in handlers:
        if kind is TornadoVoilaHandler:
            found.append((address, PageHandler, {**options[0], "pages": pages}))
        elif kind is VoilaShutdownKernelHandler:
            found.append((address, StayHandler))
        else:
            found.append((address, kind, *options))
    return found
