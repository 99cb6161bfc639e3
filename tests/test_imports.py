"""Importing the core costs nothing that shows: no Jupyter, no pyplot, no threads, no files."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PROBE = """
import json, os, socket, sys, threading

import paddle  # what other packages do on import is not ours to judge
import matplotlib.figure, pandas, scipy, sklearn, pydantic, yaml, safetensors, tqdm.auto

os.chdir({folder!r})
written, connected, started = [], [], []
before, threads = set(sys.modules), threading.active_count()

def hook(event, arguments):
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        if not str(arguments[0]).endswith(".pyc") and "__pycache__" not in str(arguments[0]):
            written.append(str(arguments[0]))
    elif event in ("os.mkdir", "os.remove", "os.rename"):
        if "__pycache__" not in str(arguments[0]):
            written.append(str(arguments[0]))
    elif event in ("socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.system"):
        connected.append(event)

sys.addaudithook(hook)
environment = dict(os.environ)
import slimlab
result = dict(
    modules=sorted(set(sys.modules) - before),
    threads=threading.active_count() - threads,
    written=written,
    connected=connected,
    changed=sorted(k for k in set(environment) ^ set(os.environ)),
    static=not paddle.in_dynamic_mode(),
)
print(json.dumps(result))
"""


@pytest.fixture(scope="module")
def imported(tmp_path_factory) -> dict:
    """Import slimlab in a process of its own and tell what that did."""
    folder = str(tmp_path_factory.mktemp("import"))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROBE.format(folder=folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    "name",
    ["matplotlib.pyplot", "ipywidgets", "IPython", "jupyterlab", "ipykernel", "slimlab_widgets"],
)
def test_import_does_not_bring(imported, name):
    found = [m for m in imported["modules"] if m == name or m.startswith(name + ".")]
    assert found == []


def test_import_starts_no_threads(imported):
    assert imported["threads"] == 0


def test_import_writes_no_files_and_asks_no_network(imported):
    assert imported["written"] == []
    assert imported["connected"] == []


def test_import_leaves_the_process_as_it_was(imported):
    assert imported["changed"] == []
    assert not imported["static"]
