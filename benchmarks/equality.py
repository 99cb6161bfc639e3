"""Does the fast scan count what Paddle counts? Image by image, cell by cell, in one table.

    python benchmarks/equality.py [--network vgg ...] [--images 10000] [--table docs/equality.md]

The reference is the model itself in Paddle with the channels' weights zeroed. Sublayers that come
before the first changed one are not run again but give what they gave for the whole network: that
is bit for bit the same (checked on the first images of every run) and halves the time. An image
whose two best logits in Paddle are closer than 1e-4 may be counted either way; every other must be
counted alike. Each chunk of images is written to a JSONL file as soon as it is over, and is not
measured again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray

import slimlab as sl
from slimlab.evaluate import inference
from slimlab.scan.meters import Chunk
from slimlab.scan.settings import REFERENCE, ScanSettings
from slimlab.scan.setup import prepare
from slimlab.surgery import Cut, zero

HEAD = """# The fast scan against Paddle

Made by `python benchmarks/equality.py`; its first lines say what is compared with what.
"""
CLOSE = 1e-4  # two best logits nearer than this may change places


class Replayed:
    """A model in Paddle that computes only what follows the first changed sublayer."""

    def __init__(
        self, model: paddle.nn.Layer, cuts: dict[tuple[str, float], Sequence[Cut]]
    ) -> None:
        self._model = model
        self._cuts = cuts
        self._leaves = {n: one for n, one in model.named_sublayers() if not one.sublayers()}
        self._order: list[str] = []
        self._made: dict[str, Any] = {}

    def whole(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run everything and keep what each sublayer gives."""
        self._order, self._made = [], {}
        hooks = [one.register_forward_post_hook(self._keep(n)) for n, one in self._leaves.items()]
        try:
            return self._run(images)
        finally:
            for hook in hooks:
                hook.remove()

    def pruned(
        self, images: NDArray[np.float32], key: tuple[str, float], *, replay: bool = True
    ) -> NDArray[np.float32]:
        """Run with a cell's channels zeroed."""
        cuts = self._cuts[key]
        changed = {cut.parameter.rpartition(".")[0] for cut in cuts}
        first = min(self._order.index(name) for name in changed)
        with self._zeroed(cuts), self._given(self._order[:first] if replay else []):
            return self._run(images)

    def _run(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        with inference(self._model):
            made: NDArray[np.float32] = self._model(paddle.to_tensor(images)).numpy()
        return made

    def _keep(self, name: str) -> Any:
        def after(layer: object, inputs: object, output: Any) -> None:
            if name in self._made:
                msg = f"{name} is called twice in a pass: it can't be replayed."
                raise RuntimeError(msg)
            self._order.append(name)
            self._made[name] = output

        return after

    @contextmanager
    def _zeroed(self, cuts: Sequence[Cut]) -> Iterator[None]:
        state = self._model.state_dict()
        before = {cut.parameter: state[cut.parameter].numpy() for cut in cuts}
        zero(self._model, cuts)
        try:
            yield
        finally:
            for name, value in before.items():
                state[name].set_value(value)

    @contextmanager
    def _given(self, names: Sequence[str]) -> Iterator[None]:
        for name in names:
            self._leaves[name].forward = lambda *_, made=self._made[name]: made
        try:
            yield
        finally:
            for name in names:
                del self._leaves[name].forward


def measure(name: str, images: int, path: Path) -> list[dict[str, Any]]:
    """Compare chunk by chunk; the rows of all chunks."""
    task = sl.load_task("fashion-mnist")
    model = sl.load_model(name, task)
    fast = prepare(model, task, ScanSettings(images=images))
    slow = prepare(model, task, ScanSettings(images=1, runtime=REFERENCE))
    reference = Replayed(model, slow.meter._cuts)
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    done = {row["start"] for row in rows}
    for start, x, labels in fast.chunks():
        if start in done:
            continue
        began = time.perf_counter()
        truth = labels.numpy()
        whole = fast.meter.whole(Chunk(start, x))
        expected = reference.whole(x)
        row: dict[str, Any] = {"start": start, "images": len(x), "cells": {}}
        worst = float(np.abs(whole - expected).max())
        for number, key in enumerate(fast.keys):
            found, right = fast.meter.pruned(Chunk(start, x), *key), reference.pruned(x, key)
            if number % 40 == 0 and not done:  # the shortcut is bit for bit the plain run
                same = reference.pruned(x[:32], key, replay=False)
                np.testing.assert_allclose(same, right[:32], rtol=0, atol=0)
            best = np.sort(right, axis=1)
            close = best[:, -1] - best[:, -2] < CLOSE
            apart = (found.argmax(1) == truth) != (right.argmax(1) == truth)
            worst = max(worst, float(np.abs(found - right).max()))
            row["cells"]["|".join(map(str, key))] = [
                int((right.argmax(1) == truth).sum()),
                int((found.argmax(1) == truth).sum()),
                int(close.sum()),
                int((apart & close).sum()),
                int((apart & ~close).sum()),
            ]
        row |= {"worst": worst, "seconds": time.perf_counter() - began}
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        done.add(start)
        rows.append(row)
        print(f"{name}: {start + len(x)} images, {row['seconds']:.0f} s", flush=True)
    return rows


def table(name: str, rows: Sequence[dict[str, Any]]) -> str:
    """The part of a network: a line a layer, and what it all says."""
    keys = list(rows[0]["cells"])
    sums = {key: np.sum([row["cells"][key] for row in rows], axis=0) for key in keys}
    images = sum(row["images"] for row in rows)
    total = np.sum(list(sums.values()), axis=0)
    lines = [
        f"## {name}",
        "",
        f"`{name}` of the zoo on the first {images:,} test images of Fashion-MNIST, float32, "
        f"{len(keys)} cells. Of {images * len(keys):,} predictions, {total[4]} are counted "
        f"differently where Paddle's two best logits lie {CLOSE:g} or more apart, and {total[3]} "
        f"of the {total[2]:,} where they lie closer. Logits differ by "
        f"{max(row['worst'] for row in rows):.1e} at most.",
        "",
        "| layer | cells | right in Paddle | right in the scan | close | close, counted "
        "differently | others counted differently |",
        "|---|---|---|---|---|---|---|",
    ]
    for layer in dict.fromkeys(key.split("|")[0] for key in keys):
        own = [sums[key] for key in keys if key.split("|")[0] == layer]
        counts = " | ".join(f"{n:,}" for n in np.sum(own, axis=0))
        lines.append(f"| `{layer}` | {len(own)} | {counts} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure what is wanting and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", nargs="+", default=["mobilenet_v1", "resnet20", "vgg"])
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--results", type=Path, default=Path("equality-results"))
    parser.add_argument("--table", type=Path, help="write the page there as well")
    options = parser.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)
    parts = [HEAD]
    for name in options.network:
        path = options.results / f"{name}-{options.images}.jsonl"
        parts.append(table(name, measure(name, options.images, path)))
    page = "\n".join(parts)
    print(page)
    if options.table:
        options.table.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
