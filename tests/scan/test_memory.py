"""A scan takes no more memory than it may: measured where the operating system counts."""

from __future__ import annotations

import subprocess
import sys

import pytest

GIB = 2**30
# What a scan takes beside values and compiled parts: the runtime's own code, and the network as
# Paddle has it, as ONNX and as text on its way to the runtime.
BESIDE = GIB // 2
SCAN = """
import resource, sys
import numpy as np, openvino, paddle
import slimlab as sl

def peak():
    kilo = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kilo

rng = np.random.default_rng(0)
x, y = rng.standard_normal((64, 3, 96, 96)).astype("float32"), np.arange(64)
task = sl.Task.from_arrays(x, y, x, y, num_classes=1000)
model = paddle.vision.models.resnet18()
model.eval()
with paddle.no_grad():
    model(paddle.to_tensor(x[:2]))
before = peak()
found = sl.scan_sensitivity(
    model, task, ratios=[0.5], images=64, memory=int(sys.argv[1]), progress=False
)
assert found.runtime != "paddle", found.runtime
print("\\n", peak() - before)
"""


def more(memory: int) -> int:
    """By how many bytes the peak of a process grows when it scans with so much memory."""
    done = subprocess.run(
        [sys.executable, "-c", SCAN, str(memory)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1])


@pytest.mark.slow
def test_memory_bounds_the_peak_of_the_process() -> None:
    allowed = GIB // 4
    assert more(allowed) <= allowed + BESIDE
    assert more(4 * GIB) > allowed + BESIDE, "the network is too small to tell"
