"""Floor 5. The machine and the versions that a report was written on, as its last table."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path

# What the numbers of a report can depend on.
PACKAGES = ("slimlab", "paddlepaddle", "numpy", "onnxruntime", "openvino", "onnx", "scikit-learn")
_CPU_FILE = Path("/proc/cpuinfo")


def machine() -> list[tuple[str, str]]:
    """Pairs of what and which: processor, system, Python, packages.

    No name of the machine or of a person is among them: reports are handed on.

    Examples
    --------
    >>> from slimlab.report.machine import machine
    >>> dict(machine())["Python"].count(".")
    2
    """
    threads = os.environ.get("OMP_NUM_THREADS", "")
    cores = f"{os.cpu_count() or '?'} processors"
    facts = [
        ("Processor", f"{_processor()}, {cores}{f', {threads} threads asked for' * bool(threads)}"),
        ("System", f"{platform.system()} {platform.release()} ({platform.machine()})"),
        ("Python", platform.python_version()),
    ]
    return facts + [(name, _version(name)) for name in PACKAGES]


def _processor() -> str:
    try:
        lines = _CPU_FILE.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine() or "unknown"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
