"""Scans share a machine: a runtime's threads may run on any core the process may."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from slimlab.runtimes import RUNTIMES

PIXELS = [32, 32, 56, 56]


def convolution() -> object:
    """Something that takes a few milliseconds."""
    weight = np.random.default_rng(0).standard_normal((32, 32, 3, 3), dtype=np.float32)
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])
    infos = [helper.make_tensor_value_info(n, TensorProto.FLOAT, PIXELS) for n in ("x", "y")]
    graph = helper.make_graph(
        [node], "one", infos[:1], infos[1:], initializer=[numpy_helper.from_array(weight, "w")]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 10
    return model


def allowed() -> set[str]:
    """Cores that each thread of this process may run on."""
    found = set()
    for status in Path("/proc/self/task").glob("*/status"):
        try:
            lines = status.read_text().splitlines()
        except OSError:  # it has just ended
            continue
        found |= {line.split()[-1] for line in lines if line.startswith("Cpus_allowed_list")}
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, which only Linux has")
def test_openvino_binds_no_thread_to_a_core() -> None:
    """Two processes of one thread each were bound to the same core, and no faster than one."""
    before = allowed()
    run = RUNTIMES["openvino"].compile(convolution(), threads=1)
    x = np.ones(PIXELS, np.float32)
    seen, stop = set(before), threading.Event()

    def watch() -> None:
        while not stop.is_set():
            seen.update(allowed())

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(60):
        run([x])
    stop.set()
    watcher.join()
    assert seen == before


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_rested_network_gives_the_same_again(name: str) -> None:
    run = RUNTIMES[name].compile(convolution(), threads=1)
    x = np.random.default_rng(1).standard_normal(PIXELS, dtype=np.float32)
    (before,) = run([x])
    run.rest()
    assert np.array_equal(run([x])[0], before)
