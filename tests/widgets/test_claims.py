"""A folder has one bench at a time, and is free as soon as its process is gone."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import pytest

from slimlab_widgets.claims import OWNER, Claim, Owner, claim, holder

# It says whether it has the folder, and keeps it until it is told to go.
ELSEWHERE = """
import sys
from pathlib import Path
from slimlab_widgets.claims import Claim, claim
print("ready", flush=True)
sys.stdin.readline()
held = claim(Path(sys.argv[1]))
print("mine" if isinstance(held, Claim) else "taken", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def others(tmp_path):
    """Start processes that claim a folder once they are told to."""
    started = []

    def start():
        command = [sys.executable, "-c", ELSEWHERE, str(tmp_path)]
        one = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        started.append(one)
        return one

    yield start
    for one in started:
        one.kill()
        one.communicate()


def go(process) -> None:
    process.stdin.write("\n")
    process.stdin.flush()


def test_another_process_is_named_and_its_folder_is_free_once_it_was_killed(tmp_path, others):
    other = others()
    assert other.stdout.readline() == "ready\n"
    go(other)
    assert other.stdout.readline() == "mine\n"
    found = claim(tmp_path)
    assert isinstance(found, Owner)
    assert (found.pid, found.host) == (other.pid, socket.gethostname())
    assert str(found) == f"another kernel (process {other.pid})"
    assert holder(tmp_path) == found
    other.kill()
    other.wait()
    assert holder(tmp_path) is None
    mine = claim(tmp_path)
    assert isinstance(mine, Claim)
    assert json.loads((tmp_path / OWNER).read_text())["pid"] == os.getpid()


def test_of_several_at_once_one_has_it(tmp_path, others):
    several = [others() for _ in range(4)]
    for one in several:
        assert one.stdout.readline() == "ready\n"
    for one in several:
        go(one)
    assert sorted(one.stdout.readline() for one in several) == ["mine\n", *["taken\n"] * 3]


def test_a_claim_ends_once(tmp_path):
    first = claim(tmp_path)
    first.release()
    second = claim(tmp_path)
    first.release()  # once more: it must not end the second one
    assert isinstance(claim(tmp_path), Owner)
    second.release()
    assert holder(tmp_path) is None


def test_a_folder_that_nobody_holds_is_left_without_a_trace(tmp_path):
    assert holder(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_nobodys(tmp_path):
    found = claim(tmp_path / "gone")
    assert str(found) == "another process"
    assert holder(tmp_path / "gone") is None


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"pid": "x"}', b"\xff"])
def test_words_that_can_not_be_read_are_no_owner(tmp_path, text):
    held = claim(tmp_path)
    (tmp_path / OWNER).write_bytes(text)
    assert str(claim(tmp_path)) == "another process"
    held.release()
