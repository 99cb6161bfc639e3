"""Ways to pick pruning ratios, at equal MACs and with the same fine-tuning: which loses least.

Every run is appended to a file of JSON lines as soon as it is over, and is not made again: stop and
start as you like. Ratios are picked on calibration images only; test images measure. The table is
written between the markers of `docs/picking.md`, from the runs of the same settings.

    python benchmarks/picking.py --results picking.jsonl --epochs 1 --table docs/picking.md
    python benchmarks/picking.py --results picking.jsonl --epochs 2 --networks resnet20 --macs 0.5 \
        --table docs/picking.md --suffix=-two
    python benchmarks/picking.py --results picking.jsonl --minutes 60 --arms uniform budget auto
    python benchmarks/picking.py --results runs.jsonl --minutes 0 --latency --table docs/picking.md

What several runs share is computed once: the unpruned network's answers to the batches of a seed,
its accuracy, that of a pruned network before fine-tuning. Where `auto` chooses the ratios of
another arm, it takes that arm's run: it differs in the BatchNorm statistics that fine-tuning begins
with, and of those a share of `0.9 ** steps` is left, nothing in float32 after some hundred steps.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from paddle import Tensor
from paddle.nn import Layer

import slimlab as sl
from slimlab.allocate import Budget
from slimlab.evaluate import inference
from slimlab.loaders import ArrayLoader
from slimlab.search import AutoSettings, Candidate, auto_prune, candidate_ratios
from slimlab.train import Training

WAYS = {
    **{name: Candidate(name) for name in ("uniform", "drop", "budget")},
    **{name: Candidate(name) for name in ("scores-lamp", "scores-isomorphic")},
    "taylor-isomorphic": Candidate("scores-isomorphic", "taylor"),
}
ARMS = (*WAYS, "auto")
SETTINGS = (
    *("task", "epochs", "train_images", "test_images", "scan_images", "learning_rate"),
    "teacher_share",
)
START, END = "<!-- generated: picking{} -->", "<!-- end -->"  # with a suffix
LATENCY = {"batch": 32, "runs": 20}
TURNS = 5  # in which whole and pruned network are timed one after the other
FORGOTTEN = 300  # steps after which nothing is left of the statistics before


class Remembered:
    """A network that answers a batch it has seen from memory: a teacher of many students."""

    def __init__(self, model: Layer) -> None:
        self._model = model
        self._known: dict[bytes, Tensor] = {}

    def __call__(self, x: Tensor) -> Tensor:
        """Logits of a batch."""
        name = hashlib.blake2b(x.numpy().tobytes(), digest_size=16).digest()
        if name not in self._known:
            with inference(self._model):
                self._known[name] = self._model(x)
        return self._known[name]


class Network:
    """A network of the zoo with what all its runs share: graph, scan, and picks, each made once."""

    def __init__(self, name: str, options: argparse.Namespace) -> None:
        self.name, self._options = name, options
        full = sl.load_task(options.task)
        x, y = next(iter(full.train.batches(options.train_images, seed=0)))
        self.task = replace(full, train=ArrayLoader(x.numpy(), y.numpy()))
        self.model = sl.load_model(name, full)
        self.graph = sl.trace(self.model, full.example)
        self.teacher = Remembered(self.model)
        self._accuracies: dict[str, float] = {}
        self._calibration = replace(full, test=full.calibration)
        self._scan: sl.Sensitivity | None = None
        self._picks: dict[tuple[str, float], tuple[sl.Ratios, str, float]] = {}

    @property
    def scan(self) -> sl.Sensitivity:
        """Sensitivity by L1 norms, on calibration images."""
        if self._scan is None:
            images = self._options.scan_images
            self._scan = sl.scan_sensitivity(
                self.model, self._calibration, images=images, progress=False
            )
        return self._scan

    def pick(self, arm: str, macs: float) -> tuple[sl.Ratios, str, float]:
        """Ratios, what was chosen in a word, and the seconds it took (with its scan, if any)."""
        if (arm, macs) not in self._picks:
            began = time.monotonic()
            if arm == "auto":
                found = auto_prune(
                    self.model,
                    self._calibration,
                    macs=macs,
                    sensitivity=self.scan,
                    epochs=0,
                    settings=AutoSettings(),
                    progress=False,
                ).winner
                ratios, chosen = found.ratios, found.candidate.allocation
            else:
                way = WAYS[arm]
                scan = self.scan if way.needs_scan else None
                budget = Budget(macs=macs)
                ratios = candidate_ratios(
                    way, self.model, self.graph, self._calibration, budget, scan
                )
                chosen = arm
            self._picks[arm, macs] = (ratios, chosen, time.monotonic() - began)
        return self._picks[arm, macs]

    def accuracy(self, model: Layer, name: str) -> float:
        """Top-1 in percent on test images; measured once for a name."""
        if name not in self._accuracies:
            images = self._options.test_images
            self._accuracies[name] = sl.evaluate(model, self.task, images=images)["top1"]
        return self._accuracies[name]

    def run(self, arm: str, macs: float, seed: int) -> dict[str, Any]:
        """Prune, measure, fine-tune, measure."""
        options = self._options
        ratios, chosen, seconds = self.pick(arm, macs)
        criterion = WAYS[arm].criterion if arm in WAYS else "l1_norm"
        small = self.pruned(ratios, criterion)
        before = self.accuracy(small, repr((criterion, ratios.to_dict())))
        if arm == "auto":  # a part of it, and the only arm that has it
            small = sl.recalibrate_bn(small, self.task)
        share = options.teacher_share
        # One image, as each evaluation in a training would be made again below, on all of them.
        settings = Training(evaluate_images=1, teacher_share=share)
        tuned, _ = sl.fine_tune(
            small,
            self.task,
            epochs=options.epochs,
            learning_rate=options.learning_rate,
            seed=seed,
            teacher=self.teacher if share > 0 else None,
            training=settings,
            progress=False,
        )
        seen = sl.preview(self.graph, ratios)
        return {
            "chosen": chosen,
            "macs_removed": seen.macs_removed,
            "bytes_removed": seen.bytes_removed,
            "latency_ratio": self.latency_ratio(ratios, turns=1),
            "before": before,
            "after": sl.evaluate(tuned, self.task, images=options.test_images)["top1"],
            "unpruned": self.accuracy(self.model, "unpruned"),
            "pick_seconds": seconds,
            "ratios": ratios.to_dict(),
        }

    def reused(
        self, arm: str, macs: float, seed: int, known: dict[str, dict[str, Any]]
    ) -> dict[str, Any] | None:
        """The run of the arm whose ratios `auto` chose, where there is one."""
        steps = len(self.task.train) // 128 * self._options.epochs
        if arm != "auto" or steps < FORGOTTEN:
            return None
        ratios, chosen, seconds = self.pick(arm, macs)
        mine = {name: getattr(self._options, name) for name in SETTINGS}
        key = {**mine, "network": self.name, "macs": macs, "seed": seed, "arm": chosen}
        row = known.get(json.dumps(key, sort_keys=True))
        if row is None or row["ratios"] != ratios.to_dict():
            return None
        return {**row, "chosen": chosen, "pick_seconds": seconds, "run_of": chosen}

    def pruned(self, ratios: sl.Ratios, criterion: str = "l1_norm") -> Layer:
        """The network with so much of it gone."""
        plan = sl.plan_pruning(self.model, self.graph, ratios, criterion, task=self._calibration)
        return sl.prune(self.model, plan)

    def latency_ratio(self, ratios: sl.Ratios, turns: int = TURNS) -> float:
        """Time of the pruned network over that of the whole one, the median of some turns.

        The weights don't matter, and the two are timed one after the other: the machine's mood
        cancels.
        """
        small, found = self.pruned(ratios), []
        for _ in range(turns):
            whole, cut = (
                sl.measure_latency(m, self.task.example, **LATENCY).median_ms
                for m in (self.model, small)
            )
            found.append(cut / whole)
        return statistics.median(found)


def keys(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Every run by all that decides its result, whole comparisons first."""
    shared = {name: getattr(options, name) for name in SETTINGS}
    for macs in options.macs:
        for seed in options.seeds:
            for network in options.networks:
                for arm in options.arms:
                    yield {**shared, "network": network, "macs": macs, "seed": seed, "arm": arm}


def read(path: Path) -> dict[str, dict[str, Any]]:
    """The runs that are there; a line that was cut off is left out."""
    found: dict[str, dict[str, Any]] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        row["key"].setdefault("teacher_share", 0.0)  # of runs before there was a teacher
        found[json.dumps(row["key"], sort_keys=True)] = row
    return found


def table(options: argparse.Namespace, rows: Sequence[dict[str, Any]]) -> str:
    """Markdown: a row for each network, target and arm."""
    shared = ", ".join(f"{name}={getattr(options, name)}" for name in SETTINGS)
    lines = [
        f"`{shared}`",
        "",
        "| network | MACs to remove | arm | seeds | removed | bytes removed | latency ratio "
        "| before | after | sd | lost | against uniform | against best |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    groups: dict[tuple[str, float, str], list[dict[str, Any]]] = {}
    for row in rows:
        key = row["key"]
        groups.setdefault((key["network"], key["macs"], key["arm"]), []).append(row)
    for (network, macs, arm), found in sorted(groups.items()):
        rivals = {a: _seeds(r) for (n, m, a), r in groups.items() if (n, m) == (network, macs)}
        seeds = _seeds(found)
        after = list(seeds.values())
        best = max(rivals, key=lambda name, of=rivals: statistics.mean(of[name].values()))
        mean = {
            name: statistics.mean(r[name] for r in found)
            for name in ("macs_removed", "bytes_removed", "latency_ratio", "before", "unpruned")
        }
        name = f"{arm} ({found[0]['chosen']})" if arm == "auto" else arm
        spread = f"{statistics.stdev(after):.2f}" if len(after) > 1 else ""
        lines.append(
            f"| {network} | {macs:.0%} | {name} | {len(after)} | {mean['macs_removed']:.1%} "
            f"| {mean['bytes_removed']:.1%} | {mean['latency_ratio']:.2f} | {mean['before']:.2f} "
            f"| {statistics.mean(after):.2f} | {spread} "
            f"| {mean['unpruned'] - statistics.mean(after):.2f} "
            f"| {_gain(seeds, rivals.get('uniform', {}))} | {_gain(seeds, rivals[best])} |"
        )
    return "\n".join(lines)


def _seeds(rows: Sequence[dict[str, Any]]) -> dict[int, float]:
    """Seed to the accuracy after fine-tuning."""
    return {row["key"]["seed"]: row["after"] for row in rows}


def _gain(mine: dict[int, float], other: dict[int, float]) -> str:
    """Mean gain over the seeds that both have, and its standard error."""
    gains = [mine[seed] - other[seed] for seed in mine if seed in other]
    if not gains:
        return ""
    error = f"{np.std(gains, ddof=1) / len(gains) ** 0.5:.2f}" if len(gains) > 1 else "?"
    return f"{statistics.mean(gains):+.2f} ± {error}"


def write(path: Path, text: str, suffix: str = "") -> None:
    """Put the table between the markers of a page."""
    page, start = path.read_text(encoding="utf-8"), START.format(suffix)
    head, rest = page.split(start)
    tail = rest.split(END, 1)[1]
    path.write_text(f"{head}{start}\n\n{text}\n\n{END}{tail}", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the runs that are not there yet, until time is over, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", default="fashion-mnist")
    parser.add_argument("--networks", nargs="+", default=["mobilenet_v1", "resnet20"])
    parser.add_argument("--macs", type=float, nargs="+", default=[0.5, 0.7, 0.3])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=ARMS)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--train-images", type=int, default=58_976)
    parser.add_argument("--test-images", type=int, default=10_000)
    parser.add_argument("--scan-images", type=int, default=1024, help="of the calibration images")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument(
        "--teacher-share",
        type=float,
        default=0.9,
        help="of the fine-tuning loss: the unpruned network's soft labels; 0 for none",
    )
    parser.add_argument("--minutes", type=float, default=1e6, help="no run is begun after these")
    parser.add_argument("--latency", action="store_true", help="time all runs' networks again")
    parser.add_argument("--results", type=Path, default=Path("picking.jsonl"))
    parser.add_argument("--suffix", default="", help="of the markers on the page")
    parser.add_argument("--table", type=Path, help="page with markers to write the table into")
    options = parser.parse_args(arguments)
    began, networks, known = time.monotonic(), {}, read(options.results)
    for key in keys(options):
        name = json.dumps(key, sort_keys=True)
        if name in known or time.monotonic() - began > 60 * options.minutes:
            continue
        if key["network"] not in networks:
            networks[key["network"]] = Network(key["network"], options)
        network, what = networks[key["network"]], (key["arm"], key["macs"], key["seed"])
        known[name] = {**(network.reused(*what, known) or network.run(*what)), "key": key}
        with options.results.open("a", encoding="utf-8") as file:
            file.write("\n" * _unfinished(options.results) + json.dumps(known[name]) + "\n")
        print(name, f"{known[name]['before']:.2f} -> {known[name]['after']:.2f}", flush=True)
    wanted = [json.dumps(key, sort_keys=True) for key in keys(options)]
    if options.latency:
        time_again(options, [known[name] for name in wanted if name in known])
        lines = [json.dumps(row) for row in known.values()]
        options.results.write_text("\n".join(lines) + "\n", encoding="utf-8")
    text = table(options, [known[name] for name in wanted if name in known])
    print(text)
    if options.table is not None:
        write(options.table, text, options.suffix)


def time_again(options: argparse.Namespace, rows: Sequence[dict[str, Any]]) -> None:
    """Time the networks of runs in one sitting, each network once, and write it into the runs."""
    for name in options.networks:
        network, found = Network(name, options), dict[str, float]()
        for row in rows:
            if row["key"]["network"] != name:
                continue
            ratios = json.dumps(row["ratios"], sort_keys=True)
            if ratios not in found:
                found[ratios] = network.latency_ratio(sl.Ratios(row["ratios"]))
                print(name, row["key"]["macs"], row["key"]["arm"], found[ratios], flush=True)
            row["latency_ratio"] = found[ratios]


def _unfinished(path: Path) -> bool:
    """Whether the last line was cut off."""
    content = path.read_bytes() if path.exists() else b""
    return bool(content) and not content.endswith(b"\n")


if __name__ == "__main__":
    main()
