"""Clicks are carried out once, whatever got lost on the way and whichever subshell is gone."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jupyter_client.manager import start_new_kernel

from slimlab_widgets.inbox import Inbox, heed_addresses, post_of
from slimlab_widgets.panel import Panel

SECONDS = 60


class Recorder(Panel):
    """A panel that writes down its events, and what it would tell the page."""

    def __init__(self) -> None:
        self.done: list[tuple[str, dict]] = []
        self.told: list[object] = []
        super().__init__()

    def handle(self, event, facts):
        self.done.append((event, dict(facts)))
        if event == "fail":
            raise ValueError(event)

    def send(self, content, buffers=None):
        self.told.append(content)


def page(letters, lost):
    """What reaches the kernel of numbered letters: all again each time, until all were heard."""
    inbox, done = Inbox(), []
    waiting = list(letters)
    for round_lost in [*lost, frozenset()]:
        for number in waiting:
            if number not in round_lost and inbox.takes("page", number):
                done.append(number)
        waiting = [number for number in waiting if number > inbox.heard("page")]
    return done


@given(st.integers(1, 8), st.lists(st.frozensets(st.integers(1, 8)), max_size=5))
def test_whatever_gets_lost_each_is_carried_out_once_and_in_order(count, lost):
    letters = range(1, count + 1)
    assert page(letters, lost) == list(letters)


def test_the_page_is_told_how_far_it_was_heard_and_nothing_is_done_twice():
    panel = Recorder()
    for number in (1, 1, 3, 2):
        panel._receive(panel, {"event": f"e{number}", "a": 5, "post": ["page", number]}, [])
    assert panel.done == [("e1", {"a": 5}), ("e2", {"a": 5})]
    assert [message["heard"] for message in panel.told] == [
        ["page", 1],
        ["page", 1],
        ["page", 1],
        ["page", 2],
    ]


def test_a_click_that_fails_is_not_done_again():
    panel = Recorder()
    for _ in range(2):
        panel._receive(panel, {"event": "fail", "post": ["page", 1]}, [])
    assert len(panel.done) == 1


def test_what_has_no_number_is_done_as_it_comes():
    panel = Recorder()
    panel._receive(panel, {"event": "touch"}, [])
    panel._receive(panel, {"event": "touch"}, [])
    assert [event for event, _ in panel.done] == ["touch", "touch"]
    assert panel.told == []


@pytest.mark.parametrize(
    "post", [None, [], ["page"], ["page", "1"], [1, 1], "ab", ["page", 1, 2], {"page": 1}]
)
def test_an_odd_number_is_none(post):
    assert post_of({"event": "x", "post": post}) is None


def test_a_comm_of_another_version_is_left_alone():
    comm = SimpleNamespace()
    heed_addresses(comm)
    heed_addresses(None)
    assert vars(comm) == {}


MAKE = """
from slimlab_widgets.panel import Panel
class Counter(Panel):
    def handle(self, event, facts):
        self.run_view = {"count": self.run_view.get("count", 0) + 1}
counter = Counter()
"""
IN_A_THREAD = """
import threading
job = threading.Thread(target=lambda: counter.set_trait("job_view", {"status": "running"}))
job.start(); job.join()
"""


class Kernel:
    """A kernel with subshells, spoken to as JupyterLab does."""

    def __init__(self, client):
        self.client = client

    def run(self, code, subshell=None, **expressions):
        content = {"code": code, "silent": False, "user_expressions": expressions}
        message = self.client.session.msg("execute_request", content)
        message["header"]["subshell_id"] = subshell
        self.client.shell_channel.send(message)
        reply = self.client._recv_reply(message["header"]["msg_id"], timeout=SECONDS)
        assert reply["content"]["status"] == "ok", reply["content"]
        return {
            name: value["data"]["text/plain"]
            for name, value in reply["content"]["user_expressions"].items()
        }

    def control(self, kind, **content):
        message = self.client.session.msg(kind, content)
        self.client.control_channel.send(message)
        found = self.client._recv_reply(
            message["header"]["msg_id"], timeout=SECONDS, channel="control"
        )
        return found["content"]

    def click(self, comm, subshell):
        """Send a click and wait until the kernel is done with it, as its status tells."""
        data = {"method": "custom", "content": {"event": "click"}}
        message = self.client.session.msg("comm_msg", {"comm_id": comm, "data": data})
        message["header"]["subshell_id"] = subshell
        self.client.shell_channel.send(message)
        while True:
            said = self.client.get_iopub_msg(timeout=SECONDS)
            mine = said["parent_header"].get("msg_id") == message["header"]["msg_id"]
            if mine and said["content"].get("execution_state") == "idle":
                return


@pytest.fixture(scope="module")
def kernel():
    manager, client = start_new_kernel()
    yield Kernel(client)
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def test_a_click_goes_where_the_page_sends_it_though_a_job_spoke_in_a_subshell_that_is_gone(kernel):
    comm = kernel.run(MAKE, comm="counter.comm.comm_id")["comm"].strip("'")
    mine = kernel.control("create_subshell_request")["subshell_id"]
    short = kernel.control("create_subshell_request")["subshell_id"]
    kernel.click(comm, mine)
    # The kernel is asked something there, and the job speaks in its name.
    kernel.run(IN_A_THREAD, subshell=short)
    assert kernel.control("delete_subshell_request", subshell_id=short)["status"] == "ok"
    kernel.click(comm, mine)
    assert kernel.run("", count="counter.run_view['count']")["count"] == "2"
    # The page's own one is gone as well: the main shell hears it.
    assert kernel.control("delete_subshell_request", subshell_id=mine)["status"] == "ok"
    kernel.click(comm, mine)
    assert kernel.run("", count="counter.run_view['count']")["count"] == "3"
