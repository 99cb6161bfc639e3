"""A process that is killed at a random moment, with SIGKILL: nothing of it gets a last word."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

SUPPORT = str(Path(__file__).resolve().parent)
EARLY = 0.2  # share of kills that come before the process has announced anything


@dataclass(frozen=True)
class Life:
    """What a process that was killed had announced: numbers, one a line; whether it was over
    before, who was killed (`"leader"`, `"other"`, `"all"`), its last words, and its exit code.
    """

    said: tuple[int, ...]
    over: bool
    victim: str = "leader"
    words: str = ""
    code: int = -signal.SIGKILL


class Killer:
    """Runs a script again and again and kills it, early or late.

    Moments are counted in what it announces, and in the pace at which it does, so that they are as
    wide on a slow machine as on a fast one.

    Parameters
    ----------
    script
        Python that prints whole numbers, one a line, each as soon as it is true.
    args
        Its arguments.
    seed
        Of the moments.
    crew
        Whether it has child processes that work with it: then it, one of them, or all are killed,
        and none may be left.
    """

    def __init__(
        self, script: str, args: Sequence[object], seed: int = 0, *, crew: bool = False
    ) -> None:
        self._crew = crew
        self._command = [sys.executable, "-c", script, *map(str, args)]
        self._random = random.Random(seed)
        self._start = 0.0  # seconds until the first line of the last process that had one

    def kill(self, steps: float, until: Callable[[int], bool] | None = None) -> Life:
        """Run and kill it: now and then while it starts, otherwise within so many more lines; with
        `until`, when it has announced such a number.
        """
        early = self._start > 0 and self._random.random() < EARLY and until is None
        lines, pause = self._random.uniform(0, steps), self._random.random()
        began = time.monotonic()
        path = os.pathsep.join(filter(None, [SUPPORT, os.environ.get("PYTHONPATH")]))
        with subprocess.Popen(
            self._command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path},
        ) as child:
            assert child.stdout is not None
            assert child.stderr is not None
            said = []
            if early:
                time.sleep(pause * self._start)
            else:
                said.append(child.stdout.readline())
                assert said[0], child.stderr.read()
                self._start = time.monotonic() - began
                since = time.monotonic()
                while until is not None and said[-1] and not until(int(said[-1])):
                    said.append(child.stdout.readline())
                said += [child.stdout.readline() for _ in range(int(lines) if until is None else 0)]
                gap = (time.monotonic() - since) / max(1, int(lines))
                time.sleep(pause * min(gap, 1.0))
            over = child.poll() is not None
            victim, others = self._strike(child)
            # The end of the file comes when the last process that could write to it is gone.
            said += child.stdout.readlines()
            words = child.stderr.read()
        while any(map(_lives, others)):
            time.sleep(0.01)
        whole = tuple(int(line) for line in said if line.endswith("\n"))
        return Life(whole, over, victim, words, child.returncode)

    def _strike(self, child: subprocess.Popen[str]) -> tuple[str, list[psutil.Process]]:
        """Kill the process, one of its children, or all; who it was, and the children."""
        others: list[psutil.Process] = []
        if self._crew and child.poll() is None:
            with contextlib.suppress(psutil.NoSuchProcess):
                others = psutil.Process(child.pid).children(recursive=True)
        victim = self._random.choice(["leader", "other", "all"]) if others else "leader"
        if victim != "leader":
            for each in others if victim == "all" else others[:1]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.kill()
        if victim != "other":
            child.send_signal(signal.SIGKILL)
        return victim, others


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
