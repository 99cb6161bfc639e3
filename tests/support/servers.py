"""`slimlab lab` and `slimlab app` as processes, on free ports and in homes of their own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

START_SECONDS = 90


@dataclass(frozen=True)
class Server:
    """A running `slimlab lab` or `slimlab app`."""

    url: str  # http://127.0.0.1:PORT
    printed: str  # the address that it printed, with the token
    token: str
    work: Path
    process: subprocess.Popen[bytes]
    log: Path

    def request(
        self, path: str, *, token: bool = True, method: str = "GET"
    ) -> tuple[int, bytes, str]:
        """Ask the server; give status, body and the address that answered."""
        headers = {"Authorization": f"token {self.token}"} if token else {}
        request = urllib.request.Request(self.url + path, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read(), answer.url
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read(), refusal.url


def free_port() -> int:
    """Give a port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def private_environment(home: Path) -> dict[str, str]:
    """Give an environment in which nothing of the user's Jupyter is seen or changed."""
    config = home / "config" / "labconfig"
    config.mkdir(parents=True)
    # Cells outside of the window are not in the page otherwise.
    settings = {"@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"}}
    (config / "default_setting_overrides.json").write_text(json.dumps(settings))
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "COV_"))}
    return {
        **kept,
        "HOME": str(home),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "IPYTHONDIR": str(home / "ipython"),
        "PYTHONUNBUFFERED": "1",
    }


def wait_for_address(process: subprocess.Popen[bytes], log: Path, port: int) -> str:
    """Wait until the server printed its address and answers there."""
    until = time.monotonic() + START_SECONDS
    pattern = re.compile(rf"http://127\.0\.0\.1:{port}/\S*\?token=\w+")
    while time.monotonic() < until and process.poll() is None:
        found = pattern.search(log.read_text(errors="replace"))
        if found:
            return found.group()
        time.sleep(0.1)
    pytest.fail(f"No address with a token was printed:\n{log.read_text()[-4000:]}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server that was started here, and wait for it."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def running(folder: Path, command: str, options: Sequence[str]) -> Iterator[Server]:
    """Run a command of `slimlab` that serves pages, in this folder, until the block is left."""
    home, work, log = folder / "home", folder / "work", folder / "server.txt"
    home.mkdir()
    port = free_port()
    words = [sys.executable, "-m", "slimlab.cli", command, "--work", str(work)]
    words += ["--no-browser", "--port", str(port), *options]
    with log.open("wb") as output:
        process = subprocess.Popen(
            words,
            cwd=folder,
            env=private_environment(home),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        printed = wait_for_address(process, log, port)
        token = printed.rsplit("token=", 1)[1]
        yield Server(f"http://127.0.0.1:{port}", printed, token, work, process, log)
    finally:
        stop(process)
