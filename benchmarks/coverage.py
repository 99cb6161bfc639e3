"""Do the intervals of a scan hold the truth as often as they say? In one table.

    python benchmarks/coverage.py [--network mobilenet_v1] [--table docs/coverage.md]

Every cell is measured on all images, for every metric of the task and for the divergence. Then
many random subsets are drawn, and it is counted how often the 95 % interval of a subset holds the
drop on all images. A subset is a part of what it is compared with, which makes it hold a little
more often than for new images: with 500 of 10,000 the error of the mean is 2.5 % smaller. A drop
whose interval has no width (nothing differs) is counted like any other.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import slimlab as sl
from slimlab.intervals import paired_interval
from slimlab.scan.meters import Chunk
from slimlab.scan.scoring import Scoring
from slimlab.scan.settings import ScanSettings
from slimlab.scan.setup import prepare

HEAD = """\
# Do intervals hold the drop as often as they say?

Made by `python benchmarks/coverage.py`. Every cell of a zoo network is measured on all test images
of Fashion-MNIST; of many random subsets it is counted how often the 95 % interval of the subset
holds the drop on all images. *All too high* are subsets whose interval lies above it. A subset is a
part of what it is compared with, which is worth 2.5 % of the interval's width. Accuracies hold more
often than promised: their interval counts one flip each way that was not seen, so that a drop of
zero is never taken for certain. Losses and divergences hold least often where few images carry most
of the sum, which a subset may miss altogether.
"""
Measured = dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]


def measure(name: str, images: int, ratios: list[float]) -> tuple[Measured, list[str]]:
    """Scores of the whole network ``(images,)`` and of each cell ``(cells, images)``."""
    task = sl.load_task("fashion-mnist")
    setup = prepare(sl.load_model(name, task), task, ScanSettings(images=images, ratios=ratios))
    scorings = {m: Scoring.of(task, m) for m in [*(one.name for one in task.metrics), "kl"]}
    before: dict[str, list[NDArray[np.float32]]] = {m: [] for m in scorings}
    after: dict[str, list[list[NDArray[np.float32]]]] = {m: [] for m in scorings}
    for start, x, labels in setup.chunks():
        chunk = Chunk(start, x)
        whole = setup.meter.whole(chunk)
        logits = [setup.meter.pruned(chunk, *key) for key in setup.keys]
        for m, scoring in scorings.items():
            before[m].append(scoring.before(whole, labels))
            after[m].append([scoring.after(one, labels, whole) for one in logits])
    made = {
        m: (
            np.concatenate(before[m]).astype(np.float64),
            np.concatenate([np.stack(part) for part in after[m]], axis=1).astype(np.float64),
        )
        for m in scorings
    }
    return made, [f"{layer} at {ratio:g}" for layer, ratio in setup.keys]


def coverage(
    before: NDArray[np.float64], after: NDArray[np.float64], subset: int, draws: int
) -> NDArray[np.float64]:
    """Share of subsets whose interval holds the drop on all images, and the share of those that
    it lies above or below of: ``(cells, 3)``.
    """
    rng = np.random.default_rng(0)
    chosen = [rng.choice(len(before), subset, replace=False) for _ in range(draws)]
    rows = []
    for scores in after:
        truth = float((before - scores).mean())
        ends = np.array([paired_interval(before[c], scores[c])[1:] for c in chosen])
        above, below = ends[:, 0] > truth + 1e-12, ends[:, 1] < truth - 1e-12
        rows.append([1 - (above | below).mean(), above.mean(), below.mean()])
    return np.array(rows)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="mobilenet_v1")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--subset", type=int, default=500)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--ratios", type=float, nargs="+", default=[i / 10 for i in range(1, 10)])
    parser.add_argument("--table", type=Path, help="write the page there as well")
    options = parser.parse_args()
    page = section(options)
    print(page)
    if options.table:
        put(options.table, options.network, page)


def section(options: argparse.Namespace) -> str:
    """The table of one network."""
    measured, names = measure(options.network, options.images, options.ratios)
    lines = [
        f"{len(names)} cells, {options.draws} subsets of {options.subset} of "
        f"{options.images:,} images.",
        "",
        "| metric | held, mean | lowest cell | cells below 93 % | all too high | all too low |",
        "|---|---|---|---|---|---|",
    ]
    for metric, (before, after) in measured.items():
        held = coverage(before, after, options.subset, options.draws)
        mean, worst = held.mean(axis=0), int(held[:, 0].argmin())
        lines.append(
            f"| {metric} | {mean[0]:.1%} | {held[worst, 0]:.1%} ({names[worst]}) | "
            f"{(held[:, 0] < 0.93).sum()} of {len(held)} | {mean[1]:.1%} | {mean[2]:.1%} |"
        )
    return "\n".join(lines) + "\n"


def put(path: Path, network: str, content: str) -> None:
    """Write a network's section into the page, in the place of an older one."""
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    parts = dict(part.split("\n\n", 1) for part in old.split("\n## ")[1:])
    parts[network] = content
    sections = [f"## {name}\n\n{parts[name].strip()}\n" for name in sorted(parts)]
    path.write_text(HEAD + "\n" + "\n".join(sections), encoding="utf-8")


if __name__ == "__main__":
    main()
