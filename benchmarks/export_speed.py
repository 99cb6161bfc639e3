"""Bytes and time of `onnx-int8` beside the float `onnx` of the same network, at 224 by 224.

Random weights: neither depends on what they are. Float and int8 are timed in turns, each in a fresh
process, one image a pass.

    python benchmarks/export_speed.py [--rounds 3] [--runs 30]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import paddle

import slimlab as sl
from slimlab.export.exporting import measure
from slimlab.export.formats import Subject
from slimlab.export.onnx_files import write_onnx, write_onnx_int8
from slimlab.export.trials import Trials

NETWORKS = {"mobilenet_v1": {"width": 1.0}, "resnet50": {}}  # as published: 17 and 102 MB


def written(name: str, folder: Path) -> dict[str, Path]:
    """The network's files, in float and in int8."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal([8, 3, 224, 224]).astype(np.float32)
    labels = np.arange(8) % 2
    task = sl.Task.from_arrays(x, labels, x, labels, num_classes=1000)
    paddle.seed(0)
    model = sl.load_model(name, task, pretrained=False, **NETWORKS[name])
    config = sl.QuantConfig(observer="abs_max", calibration_images=4)
    int8 = Subject.of(sl.quantize(model, task, config, progress=False), (task.example,))
    contents = {
        "float": write_onnx(Subject.of(model, (task.example,))),
        "int8": write_onnx_int8(int8),
    }
    files = {kind: folder / f"{name}-{kind}.onnx" for kind in contents}
    for kind, made in contents.items():
        files[kind].write_bytes(made.files["model.onnx"])
    return files


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=30)
    asked = parser.parse_args()
    trials = Trials.of(paddle.randn([1, 3, 224, 224]), paddle.nn.ReLU())
    print("| network | runtime | float, ms | int8, ms | times faster (rounds) | bytes, share |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name in NETWORKS:
            files = written(name, Path(folder))
            share = files["int8"].stat().st_size / files["float"].stat().st_size
            for runtime in ("onnxruntime", "openvino"):
                rounds = [
                    [measure(files[k], runtime, trials, asked.runs).median_ms for k in files]
                    for _ in range(asked.rounds)
                ]
                ratios = sorted(before / after for before, after in rounds)
                before, after = np.median(rounds, axis=0)
                times = f"{np.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
                row = f"| {name} | {runtime} | {before:.2f} | {after:.2f} | {times} | {share:.3f} |"
                print(row, flush=True)


if __name__ == "__main__":
    main()
