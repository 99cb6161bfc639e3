"""Bytes of the files of each format, at 224 by 224, beside those in float.

Random weights: sizes do not depend on what they are.

    python benchmarks/export_sizes.py [networks]
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import paddle

import slimlab as sl
from slimlab.export import FORMATS
from slimlab.export.formats import Subject

NETWORKS: dict[str, dict[str, Any]] = {"mobilenet_v1": {"width": 1.0}, "resnet50": {}}


def sizes(name: str) -> dict[str, tuple[int, int]]:
    """Bytes in float and quantized, by format."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal([4, 3, 224, 224]).astype(np.float32)
    labels = np.arange(4) % 2
    task = sl.Task.from_arrays(x, labels, x, labels, num_classes=1000)
    paddle.seed(0)
    model = sl.load_model(name, task, pretrained=False, **NETWORKS[name])
    config = sl.QuantConfig(observer="abs_max", calibration_images=2)
    whole = Subject.of(model, (task.example,))
    int8 = Subject.of(sl.quantize(model, task, config, progress=False), (task.example,))
    found = {}
    for form in ("onnx-int8", "paddle-int8", "paddle-lite"):
        plain = FORMATS["onnx" if form.startswith("onnx") else "paddle-float"]
        before = sum(map(len, plain.write(whole).files.values()))
        found[form] = before, sum(map(len, FORMATS[form].write(int8).files.values()))
    return found


def main() -> None:
    """Print a table."""
    print("| network | format | float, bytes | int8, bytes | share |")
    print("|---|---|---|---|---|")
    for name in sys.argv[1:] or NETWORKS:
        for form, (before, after) in sizes(name).items():
            share = after / before
            print(f"| {name} | {form} | {before:,} | {after:,} | {share:.3f} |", flush=True)


if __name__ == "__main__":
    main()
