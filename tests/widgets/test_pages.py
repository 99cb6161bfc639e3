"""One page and one kernel for all tabs of app mode, as long as the kernel lives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tornado.web import HTTPError

from slimlab_widgets.pages import AGAIN, PageHandler, Pages, StayHandler, shared


class Kernels:
    """What Jupyter's kernel manager does, without processes."""

    def __init__(self) -> None:
        self.alive: dict[str, bool] = {}
        self.restarted: dict[str, object] = {}

    def start(self) -> None:
        self.alive[f"kernel {len(self.alive)}"] = True

    def list_kernel_ids(self) -> list[str]:
        return list(self.alive)

    def get_kernel(self, name: str) -> Kernels:
        self.asked = name
        return self

    async def is_alive(self) -> bool:
        return self.alive[self.asked]

    async def shutdown_kernel(self, name: str) -> None:
        del self.alive[name]

    def add_restart_callback(self, name: str, callback: object, event: str) -> None:
        assert event == "restart"
        self.restarted[name] = callback


class Server:
    """Pages, kernels, and a notebook whose text tells how often it was rendered."""

    def __init__(self) -> None:
        self.pages, self.kernels = Pages(), Kernels()
        self.rendered = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def text(self) -> AsyncIterator[str]:
        self.rendered += 1
        self.kernels.start()
        yield f"page {self.rendered}, "
        await self.gate.wait()
        yield "the end"

    async def visit(self) -> str:
        page = await self.pages.current(self.text(), self.kernels)
        return "".join([piece async for piece in page.read()]).replace(AGAIN, "")


def run(test) -> None:
    """Run it in a thread of its own: in this one a browser of another test may have a loop."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, test()).result()


def test_every_visitor_gets_the_same_page_and_no_other_kernel():
    async def test():
        server = Server()
        assert await server.visit() == "page 1, the end"
        assert await server.visit() == "page 1, the end"
        assert server.kernels.list_kernel_ids() == ["kernel 0"]

    run(test)


def test_who_comes_while_it_is_rendered_gets_it_from_the_beginning():
    async def test():
        server = Server()
        server.gate.clear()
        first = asyncio.ensure_future(server.visit())
        await asyncio.sleep(0.01)
        second = asyncio.ensure_future(server.visit())
        await asyncio.sleep(0.01)
        first.cancel()  # left before it was there
        server.gate.set()
        assert await second == "page 1, the end"
        assert await server.visit() == "page 1, the end"

    run(test)


@pytest.mark.parametrize("end", ["shut down", "died", "restarted"])
def test_after_its_kernel_a_page_is_made_anew(end):
    async def test():
        server = Server()
        await server.visit()
        if end == "shut down":
            await server.kernels.shutdown_kernel("kernel 0")
        elif end == "died":
            server.kernels.alive["kernel 0"] = False
        else:
            server.kernels.restarted["kernel 0"]()
        assert await server.visit() == "page 2, the end"
        assert len(server.kernels.list_kernel_ids()) == 1  # nothing is left running

    run(test)


def test_a_rendering_that_fails_is_told_and_tried_again():
    async def broken() -> AsyncIterator[str]:
        yield "half"
        msg = "no template"
        raise ValueError(msg)

    async def test():
        server = Server()
        page = await server.pages.current(broken(), server.kernels)
        with pytest.raises(HTTPError, match="no template"):
            [piece async for piece in page.read()]
        assert await server.visit() == "page 1, the end"

    run(test)


def test_only_pages_and_their_ends_are_answered_differently():
    from voila.shutdown_kernel_handler import VoilaShutdownKernelHandler
    from voila.tornado.handler import TornadoVoilaHandler

    options = {"notebook_path": "x"}
    found = shared(
        [
            ("/api", object),
            ("/end", VoilaShutdownKernelHandler),
            ("/file", object, {"a": 1}),
            ("/(.*)", TornadoVoilaHandler, options),
        ]
    )
    assert [kind for _, kind, *_ in found] == [object, StayHandler, object, PageHandler]
    assert found[3][2]["notebook_path"] == "x"
    assert found[2] == ("/file", object, {"a": 1})
