"""Run every check of the project: what `make test` and `make lint` do once .venv is there.

The quick checks run first, all of them; the tests follow when those pass, so that pytest's own
summary is the last thing that is printed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import prerequisites

ROOT = Path(__file__).resolve().parents[1]
FRONT_END = ROOT / "widgets" / "js"
BIN = Path(sys.executable).parent
# Two processes: the tests are made for two cores. conftest.py says who gets which.
WORKERS = "2"
# The newest numpy and pandas stubs that Python 3.10 can install are too old for the code's types.
TYPED_PYTHON = (3, 11)
NO_TYPES = "Types are checked on Python 3.11 and newer."


def run(title: str, command: Sequence[str | Path], *, cwd: Path = ROOT, quiet: bool = True) -> bool:
    """Run one check; show its output when it fails, or always when it is not quiet."""
    start = time.monotonic()
    print(f"-- {title}", end="\n" if not quiet else " ... ", flush=True)
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if quiet else None,
        stderr=subprocess.STDOUT if quiet else None,
        text=True,
        check=False,
    )
    passed = done.returncode == 0
    if quiet:
        print(f"{'ok' if passed else 'FAILED'} ({time.monotonic() - start:.1f} s)", flush=True)
        if not passed:
            print(done.stdout, flush=True)
    return passed


def lint() -> list[str]:
    """Run lint, format, floors and types; give the names of those that failed."""
    python = sys.executable
    checks: list[tuple[str, list[str | Path]]] = [
        ("lint", [python, "-m", "ruff", "check", "."]),
        ("format", [python, "-m", "ruff", "format", "--check", "."]),
        ("floors", [BIN / "lint-imports"]),
    ]
    if sys.version_info >= TYPED_PYTHON:
        checks.append(("types", [python, "-m", "mypy"]))
    return [title for title, command in checks if not run(title, command)]


def front_end(npm: str) -> list[str]:
    """Run the front end's tests and the check of its bundle; give what failed."""
    lock = FRONT_END / "package-lock.json"
    installed = FRONT_END / "node_modules" / ".slimlab-lock"
    if not installed.is_file() or installed.read_bytes() != lock.read_bytes():
        quietly = ["--no-audit", "--no-fund", "--loglevel=error"]
        if not run("front end: npm ci", [npm, "ci", *quietly], cwd=FRONT_END):
            return ["front end: npm ci"]
        shutil.copyfile(lock, installed)
    checks = [
        ("front end: types", [npm, "run", "--silent", "types"]),
        ("front end: tests", [npm, "test", "--silent"]),
        ("front end: bundle is current", [npm, "run", "--silent", "check"]),
    ]
    return [title for title, command in checks if not run(title, command, cwd=FRONT_END)]


def tests(*, slow: bool, notes: Sequence[str], others: Sequence[str]) -> bool:
    """Run pytest over everything."""
    # Shown by tests/conftest.py above pytest's last line, where they are read.
    os.environ["SLIMLAB_NOTES"] = "\n".join(notes)
    # Two processes on two cores: more threads would only wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    command = [sys.executable, "-m", "pytest", "-n", WORKERS]
    command += ["--durations=10", "--durations-min=5"]
    if not slow:
        command += ["-m", "not slow"]
    return run("tests", [*command, *others], quiet=False)


def parse(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Split the command line at `--`: ours before it, pytest's after it."""
    ours, others = list(argv), []
    if "--" in ours:
        at = ours.index("--")
        ours, others = ours[:at], ours[at + 1 :]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["lint", "all"])
    parser.add_argument("--slow", action="store_true", help="also the tests marked slow")
    return parser.parse_args(ours), others


def main() -> int:
    """Run what was asked for; 0 when all of it passed."""
    arguments, others = parse(sys.argv[1:])
    failed = lint()
    notes = [] if sys.version_info >= TYPED_PYTHON else [NO_TYPES]
    if arguments.what == "all":
        npm = prerequisites.find_npm()
        if npm is None:
            notes.append(prerequisites.NO_NODE)
        elif (FRONT_END / "package-lock.json").is_file():
            failed += front_end(npm)
    if failed:
        print(f"slimlab: failed: {', '.join(failed)}.", file=sys.stderr)
        return 1
    if arguments.what == "lint":
        return 0
    if prerequisites.ensure(prerequisites.find_chrome, "chromium") is None:
        notes.append(prerequisites.NO_CHROME)
    if prerequisites.ensure(prerequisites.find_fashion_mnist, "dataset-fashion-mnist") is None:
        notes.append(prerequisites.NO_FASHION_MNIST)
    return 0 if tests(slow=arguments.slow, notes=notes, others=others) else 1


if __name__ == "__main__":
    sys.exit(main())
