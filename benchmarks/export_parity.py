"""Test-set accuracy of `onnx-int8` files in each runtime beside that of the model they come from.

python benchmarks/export_parity.py [--task fashion-mnist] [--images 10000]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

import slimlab as sl
from slimlab.evaluate import quick_batch
from slimlab.export.formats import Subject
from slimlab.export.fresh import loaded
from slimlab.export.onnx_files import write_onnx_int8
from slimlab.export.parity import differences, outputs

NETWORKS = ("mobilenet_v1", "resnet20", "vgg")
RUNTIMES = ("onnxruntime", "openvino")


def row(name: str, task: sl.Task, bits: int, images: int, folder: Path) -> str:
    """Quantize, write, and run the file as users do."""
    config = sl.QuantConfig(weight_bits=bits, activation_bits=bits)
    model = sl.quantize(sl.load_model(name, task), task, config, progress=False)
    file = folder / f"{name}-{bits}.onnx"
    file.write_bytes(write_onnx_int8(Subject.of(model, (task.example,))).files["model.onnx"])
    right = {"model": 0, **dict.fromkeys(RUNTIMES, 0)}
    off: dict[str, list[np.ndarray]] = {runtime: [] for runtime in RUNTIMES}
    with loaded(file, "onnxruntime") as first, loaded(file, "openvino") as second:
        for x, labels in task.test.batches(quick_batch(task), images=images):
            made = {"model": outputs(model, [x])[0]}
            for runtime, fresh in zip(RUNTIMES, (first, second), strict=True):
                made[runtime] = fresh.run([x.numpy()])[0]
                off[runtime].append(differences(made[runtime], made["model"]))
            for kind, logits in made.items():
                right[kind] += int((logits.argmax(1) == labels.numpy().reshape(-1)).sum())
    cells = [f"{right['model'] / images:.2%}".rstrip("%")]
    for runtime in RUNTIMES:
        apart = np.concatenate(off[runtime])
        change = (right[runtime] - right["model"]) / images * 100
        cells.append(f"{change:+.2f} | {apart.mean():.1e} | {apart.max():.3f}")
    return f"| {name} | {bits} | {' | '.join(cells)} |"


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", default="fashion-mnist")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--bits", type=int, nargs="+", default=[8, 4])
    asked = parser.parse_args()
    task = sl.load_task(asked.task)
    images = min(asked.images, len(task.test))
    columns = " | ".join(f"{r}, points | mean off | worst off" for r in RUNTIMES)
    print(f"| network | bits | model, % | {columns} |")
    print("|" + "---|" * 9)
    with tempfile.TemporaryDirectory() as folder:
        for bits in asked.bits:
            for name in NETWORKS:
                print(row(name, task, bits, images, Path(folder)), flush=True)


if __name__ == "__main__":
    main()
