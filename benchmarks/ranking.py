"""Does a scan say which pruning will be best after fine-tuning? Makes docs/ranking.md.

    python benchmarks/ranking.py [--network vgg] [--configurations 12] --results ranking.jsonl
    python benchmarks/ranking.py --results ranking.jsonl --page docs/ranking.md

Random ratios are drawn for all layers of a zoo network, such that each configuration removes the
same share of its multiply-adds. Each is cut and fine-tuned on the same few images of Fashion-MNIST;
what scans predicted of it, and what was measured of it before, is then compared with its accuracy
after. Ranks are compared by Spearman's coefficient: 1 is the same order, 0 is none.
"""

from __future__ import annotations

import argparse
import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from scipy import stats
from sklearn.isotonic import IsotonicRegression

import slimlab as sl
from slimlab.loaders import ArrayLoader

RATIOS = (0.1, 0.3, 0.5, 0.7, 0.9)
WORDS = {
    "plain": "predicted by the scan",
    "recalibrated": "predicted by the scan with `recalibrate_bn=128`",
    "divergence": "predicted from the sum of the layers' KL divergences",
    "before": "measured drop, before fine-tuning",
    "renewed": "measured drop with BatchNorm statistics estimated anew",
}


def drawn(graph: sl.Graph, macs: float, rng: np.random.Generator) -> sl.Ratios:
    """Random ratios that remove this share of the multiply-adds, by scaling them."""
    shares = rng.uniform(0.1, 1.0, len(graph.layers))
    low, high = 0.0, 1.0
    for _ in range(25):
        middle = (low + high) / 2
        ratios = dict(zip(graph.layers, np.minimum(0.9, shares * middle).tolist(), strict=True))
        removed = sl.preview(graph, ratios).macs_removed
        low, high = (middle, high) if removed < macs else (low, middle)
    return sl.Ratios(ratios)


class Divergences:
    """Predicts a drop from the sum of divergences that the layers cause alone.

    Small disturbances that are independent add their divergences. What drop a divergence means is
    read off the cells themselves, by the monotone curve through all their pairs of both.
    """

    def __init__(self, scan: sl.Sensitivity, kl: sl.Sensitivity) -> None:
        self._kl = kl
        pairs = {(c.layer, c.ratio): c.drop for c in scan.cells}
        x = np.array([cell.drop for cell in kl.cells])
        y = np.array([pairs[cell.layer, cell.ratio] for cell in kl.cells])
        self._curve = IsotonicRegression(y_min=0.0, out_of_bounds="clip").fit(x, y)

    def drop(self, ratios: sl.Ratios) -> float:
        """Predicted drop of all layers together, in points."""
        total = sum(self._kl.predicted_drop(layer, ratio) for layer, ratio in ratios.items())
        return float(self._curve.predict([total])[0])


def less(task: sl.Task, images: int) -> sl.Task:
    """The task with so many training images."""
    x, y = next(iter(task.train.batches(images, images=images)))
    return replace(task, train=ArrayLoader(x.numpy(), y.numpy()))


def run(options: argparse.Namespace) -> None:
    """Measure configurations, one line of results each."""
    task = less(sl.load_task("fashion-mnist"), options.train)
    model = sl.load_model(options.network, task)
    graph = sl.trace(model, task.example)
    asked: dict[str, Any] = {"ratios": RATIOS, "images": options.images, "progress": False}
    scan = sl.scan_sensitivity(model, task, **asked)
    recalibrated = sl.scan_sensitivity(model, task, recalibrate_bn=128, **asked)
    divergences = Divergences(scan, sl.scan_sensitivity(model, task, metric="kl", **asked))
    baseline = sl.evaluate(model, task, images=options.images)["top1"]
    rng = np.random.default_rng(options.seed)
    for number in range(options.configurations):
        macs = options.macs[number % len(options.macs)]
        ratios = drawn(graph, macs, rng)
        small = sl.prune(model, sl.plan_pruning(model, graph, ratios))
        found = {
            "plain": sl.preview(graph, ratios, scan).drop,
            "recalibrated": sl.preview(graph, ratios, recalibrated).drop,
            "divergence": divergences.drop(ratios),
            "before": baseline - sl.evaluate(small, task, images=options.images)["top1"],
        }
        renewed = sl.recalibrate_bn(small, task, images=128, batch_size=128)
        found["renewed"] = baseline - sl.evaluate(renewed, task, images=options.images)["top1"]
        tuned, _ = sl.fine_tune(small, task, epochs=options.epochs, progress=False)
        found["after"] = baseline - sl.evaluate(tuned, task)["top1"]
        facts = {"network": options.network, "macs": macs, "train": options.train}
        facts |= {"epochs": options.epochs, "images": options.images, "baseline": baseline}
        with options.results.open("a") as file:
            file.write(json.dumps({**facts, **found}) + "\n")
        print(found, flush=True)


def page(results: Path) -> str:
    """The page of all that was measured."""
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    lines = [
        "# Does a scan say what fine-tuning will give?",
        "",
        "Made by `python benchmarks/ranking.py`, whose first lines say how. Spearman's coefficient",
        "of each prediction with the drop *after* fine-tuning, over configurations that remove the",
        "same share of multiply-adds; and how far each lies from the drop measured *before*.",
        "",
    ]
    groups: dict[tuple[str, float], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["network"], row["macs"]), []).append(row)
    for (network, macs), some in groups.items():
        after = np.array([row["after"] for row in some])
        before = np.array([row["before"] for row in some])
        lines += [
            f"## {network}, {macs:.0%} of MACs removed",
            "",
            f"{len(some)} configurations; scans of {some[0]['images']:,} test images, "
            f"{some[0]['epochs']} epoch(s) of {some[0]['train']:,} training images. Drops after "
            f"fine-tuning lie between {after.min():.1f} and {after.max():.1f} points, before "
            f"between {before.min():.1f} and {before.max():.1f}.",
            "",
            "| what | Spearman with the drop after | mean | mean error against the drop before |",
            "|---|---|---|---|",
        ]
        for name, word in WORDS.items():
            values = np.array([row[name] for row in some])
            rank = float(stats.spearmanr(values, after).statistic)
            error = float((values - before).mean())
            told = "" if name in {"before", "renewed"} else f"{error:+.1f} points"
            lines.append(f"| {word} | {rank:.2f} | {values.mean():.1f} | {told} |")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    """Measure, or write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="vgg")
    parser.add_argument("--configurations", type=int, default=12)
    parser.add_argument("--macs", type=float, nargs="+", default=[0.5])
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--train", type=int, default=6400)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=Path("ranking.jsonl"))
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    paddle.seed(0)
    if options.page:
        options.page.write_text(page(options.results), encoding="utf-8")
    else:
        run(options)


if __name__ == "__main__":
    main()
