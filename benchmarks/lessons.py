"""How long each lesson takes to run unattended, and how large it is with its outputs.

Each notebook is run top to bottom in a kernel and a folder of its own, as the tests do, and written
with all outputs and the state of its widgets, as JupyterLab saves it.

    python benchmarks/lessons.py [name ...]

Two figures a lesson: seconds, the start of the kernel included, and kilobytes.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"


def measure(path: Path) -> tuple[float, int]:
    """Seconds and bytes of one notebook."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        client = NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources)
        start = time.perf_counter()
        client.execute()
        seconds = time.perf_counter() - start
    return seconds, len(nbformat.writes(notebook).encode())


def main() -> None:
    """Print the table."""
    wanted = sys.argv[1:]
    print("| lesson | seconds | with outputs (kB) |\n|---|---|---|", flush=True)
    for path in sorted(FOLDER.glob("*.ipynb")):
        if wanted and path.stem not in wanted:
            continue
        seconds, size = measure(path)
        print(f"| {path.stem} | {seconds:.0f} | {size / 1000:.0f} |", flush=True)


if __name__ == "__main__":
    main()
