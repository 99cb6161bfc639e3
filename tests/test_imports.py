"""Importing the core costs nothing that shows: no Jupyter, no pyplot, no threads, no files."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import slimlab

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
import slimlab, slimlab.public
slimlab.load_task, slimlab.trace
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


HELP = """
import sys
from slimlab import cli
try:
    cli.main(sys.argv[1:])
finally:
    heavy = {"paddle", "numpy", "pandas", "matplotlib", "pydantic"} & set(sys.modules)
    assert not heavy, heavy
"""


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["run", "--help"], ["export", "--help"], ["rnu"], []]
)
def test_help_and_mistakes_wait_for_no_library(arguments):
    command = [sys.executable, "-c", HELP, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "AssertionError" not in done.stderr
    assert "slimlab" in done.stdout + done.stderr


def test_functions_called_as_their_modules_are_known():
    folder = Path(slimlab.__file__).parent
    modules = {path.stem for path in folder.iterdir() if path.suffix in (".py", "")}
    public = importlib.import_module("slimlab.public")
    callable_ = {name for name in public.__all__ if inspect.isroutine(getattr(public, name))}
    assert modules & callable_ == slimlab.SHADOWING


def test_a_module_that_is_imported_first_does_not_hide_a_function():
    probe = (
        "import slimlab, slimlab.trace, slimlab.prune as one; from slimlab import stand_ins\n"
        "assert callable(slimlab.trace) and callable(one)\n"
        "assert slimlab.stand_ins is stand_ins and slimlab.train.Event\n"
        "assert 'fine_tune' in dir(slimlab) and not hasattr(slimlab, 'nothing')\n"
        "from slimlab import *\n"
        "assert prune is slimlab.prune and plots is slimlab.plots"
    )
    command = [sys.executable, "-W", "ignore", "-c", probe]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


EACH = """
import importlib, sys, slimlab, paddle
for name in {names!r}:
    for known in [m for m in sys.modules if m.startswith("slimlab.")]:
        del sys.modules[known]
    importlib.import_module(name)
"""


@pytest.mark.slow
def test_every_module_can_be_the_first_that_is_imported():
    names = [m.name for m in pkgutil.walk_packages(slimlab.__path__, "slimlab.")]
    names = [name for name in names if name not in ("slimlab.zoo.train", "slimlab.export.child")]
    command = [sys.executable, "-W", "ignore", "-c", EACH.format(names=names)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
