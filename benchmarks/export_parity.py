"""Test-set accuracy of exported files in each runtime beside that of the model they come from.

Each file is loaded in a fresh process, as users run it: with the runtime's own optimizations.

    python benchmarks/export_parity.py [--task fashion-mnist] [--images 10000] [--networks ...]
    python benchmarks/export_parity.py --formats paddle-float paddle-int8 paddle-lite --bits 8
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np

import slimlab as sl
from slimlab.evaluate import quick_batch
from slimlab.export.formats import FORMATS, Subject
from slimlab.export.fresh import Fresh, loaded
from slimlab.export.parity import differences, outputs

NETWORKS = ("mobilenet_v1", "resnet20", "vgg")
RUNTIMES = {"onnx-int8": ("onnxruntime", "openvino")}
PADDLE = ("paddle-inference",)


def written(subject: Subject, format_: str, folder: Path) -> Path:
    """Write a format's files; give the first."""
    files = FORMATS[format_].write(subject).files
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder / next(iter(files))


def rows(name: str, task: sl.Task, bits: int, asked: argparse.Namespace) -> Iterator[str]:
    """Quantize, write each format, and run the files."""
    config = sl.QuantConfig(weight_bits=bits, activation_bits=bits, joins=not asked.no_joins)
    model = sl.quantize(sl.load_model(name, task), task, config, progress=False)
    subject = Subject.of(model, (task.example,))
    images = min(asked.images, len(task.test))
    right, off = {("model", ""): 0}, {}
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        files: dict[tuple[str, str], Fresh] = {}
        for format_ in asked.formats:
            file = written(subject, format_, Path(place) / format_)
            for runtime in RUNTIMES.get(format_, PADDLE):
                files[format_, runtime] = stack.enter_context(loaded(file, runtime))
        for x, labels in task.test.batches(quick_batch(task), images=images):
            wanted = outputs(model, [x])[0]
            made = {("model", ""): wanted}
            made |= {key: fresh.run([x.numpy()])[0] for key, fresh in files.items()}
            for key, logits in made.items():
                hits = int((logits.argmax(1) == labels.numpy().reshape(-1)).sum())
                right[key] = right.get(key, 0) + hits
                off.setdefault(key, []).append(differences(logits, wanted))
    accuracy = right["model", ""] / images * 100
    for format_, runtime in files:
        apart = np.concatenate(off[format_, runtime])
        change = right[format_, runtime] / images * 100 - accuracy
        yield (
            f"| {name} | {bits} | {format_} | {runtime} | {accuracy:.2f} | {change:+.2f} "
            f"| {apart.mean():.1e} | {apart.max():.3f} |"
        )


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", default="fashion-mnist")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS))
    parser.add_argument("--bits", type=int, nargs="+", default=[8, 4])
    parser.add_argument("--formats", nargs="+", default=["onnx-int8"], choices=list(FORMATS))
    parser.add_argument("--no-joins", action="store_true", help="leave additions in float")
    asked = parser.parse_args()
    task = sl.load_task(asked.task)
    print("| network | bits | format | runtime | model, % | points | mean off | worst off |")
    print("|" + "---|" * 8)
    for bits in asked.bits:
        for name in asked.networks:
            for row in rows(name, task, bits, asked):
                print(row, flush=True)


if __name__ == "__main__":
    main()
