"""Floor 6. `slimlab run --exchange paddle`: the same command in several processes."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import paddle

PASSED = ("output", "task", "model")
FLAGS = ("short", "quiet")


def launches(arguments: argparse.Namespace) -> bool:
    """Whether the workers are processes of `paddle.distributed`."""
    if arguments.workers < 2:
        return False
    if arguments.exchange is None:
        return bool(paddle.device.cuda.device_count() >= arguments.workers)
    return bool(arguments.exchange == "paddle")


def launch(arguments: argparse.Namespace, folder: Path) -> int:
    """Run the command in as many processes as there are workers; Paddle's launcher ends all when
    one dies. What they say is in `workers`, in the folder of the checkpoints.
    """
    launcher = ["-m", "paddle.distributed.launch", "--log_level", "ERROR"]
    launcher += ["--nproc_per_node", str(arguments.workers), "--log_dir", str(folder / "workers")]
    again = ["-m", "slimlab.cli", "run", arguments.recipe, "--checkpoint-dir", str(folder)]
    for name in PASSED:
        value = getattr(arguments, name)
        again += [] if value is None else [f"--{name}", str(value)]
    again += [f"--{name}" for name in FLAGS if getattr(arguments, name)]
    return subprocess.call([sys.executable, *launcher, sys.executable, *again])
