"""Accuracy of the zoo's networks in int8: trained on the grid (QAT), and calibrated only (PTQ).

Every run is appended to a file of JSON lines as soon as it is over, and is not made again: stop and
start as you like. The tables are written between the markers of `docs/quantization.md`, from the
runs of the same settings.

    python benchmarks/quantization.py --results quant.jsonl --table docs/quantization.md
    python benchmarks/quantization.py --results quant.jsonl --arms qat --seeds 0 1 2
    python benchmarks/quantization.py --results quant.jsonl --table docs/quantization.md --minutes 0
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import slimlab as sl
from slimlab.loaders import ArrayLoader
from slimlab.train import Training

# The three that PaddleSlim 1.x published for MobileNetV1: activations / weights.
PUBLISHED: dict[str, dict[str, Any]] = {
    "abs_max / abs_max": {"activation": "abs_max", "weight": "abs_max"},
    "moving_average / abs_max": {"activation": "moving_average_abs_max", "weight": "abs_max"},
    "abs_max / channel-wise": {"activation": "abs_max", "weight": "channel_wise_abs_max"},
}
# Where one scale serves several channels, of weights or activations, they get like ranges first.
EQUALIZED = {name: {**config, "equalize": True} for name, config in PUBLISHED.items()}
# In few steps at a low rate: trained on from the calibrated network, whose static scales stay.
TAUGHT = {
    name: config if config["activation"] == "abs_max" else {**config, "follow": 0}
    for name, config in EQUALIZED.items()
}
OBSERVERS: dict[str, dict[str, Any]] = {
    f"observer {name}": {"observer": name}
    for name in ("abs_max", "average", "percentile", "histogram", "kl", "mse")
}
# With 4 bits of weights, one scale a tensor: where rounding hurts.
FOUR: dict[str, Any] = {"weight_bits": 4, "weight": "abs_max"}
REMEDIES: dict[str, dict[str, Any]] = {
    "4 bits": FOUR,
    "equalize": {**FOUR, "equalize": True},
    "correct_bias": {**FOUR, "correct_bias": True},
    "equalize, correct_bias": {**FOUR, "equalize": True, "correct_bias": True},
    "adaround 100": {**FOUR, "adaround": 100},
    "adaround 100, correct_bias": {**FOUR, "adaround": 100, "correct_bias": True},
    "equalize, adaround 100": {**FOUR, "equalize": True, "adaround": 100},
}
GROUPS: dict[str, dict[str, dict[str, Any]]] = {
    "qat": PUBLISHED,
    "taught": TAUGHT,
    "following": {"moving_average / abs_max": EQUALIZED["moving_average / abs_max"]},
    "ptq": {
        **PUBLISHED,
        **{f"{name}, equalized": config for name, config in EQUALIZED.items()},
        **OBSERVERS,
    },
    "remedies": REMEDIES,
}
TITLES = {
    "qat": "Trained on the grid: {steps} steps of {batch} images at a learning rate of {rate:g}",
    "taught": "Equalized, then {steps} steps of {batch} images at a learning rate of {rate:g}, "
    "taught by the network in float; static scales stay those of the calibration",
    "following": "The same with a static scale that follows the batches",
    "ptq": "Calibrated only, on 256 images",
    "remedies": "Weights of 4 bits with one scale a tensor, calibrated only, on 256 images",
}
TEACHING = ("taught", "following")  # by the network in float
BATCH = 128
START, END = "<!-- generated: {} -->", "<!-- end {} -->"


class Network:
    """A network of the zoo and its task."""

    def __init__(self, name: str, options: argparse.Namespace) -> None:
        full = sl.load_task(options.task)
        x, y = next(iter(full.train.batches(options.train_images, seed=0)))
        self.task = replace(full, train=ArrayLoader(x.numpy(), y.numpy()))
        self.model = sl.load_model(name, full)
        self._images = options.test_images
        self._float: float | None = None

    @property
    def top1(self) -> float:
        """Of the network in float, on the same images."""
        if self._float is None:
            self._float = self.measured(self.model)
        return self._float

    def measured(self, model: Any) -> float:
        """Accuracy on test images."""
        return float(sl.evaluate(model, self.task, images=self._images)["top1"])

    def run(self, key: Mapping[str, Any]) -> dict[str, Any]:
        """Quantize, perhaps train, and measure."""
        began = time.monotonic()
        int8 = sl.quantize(
            self.model,
            self.task,
            sl.QuantConfig(**key["config"]),
            epochs=1 if key["steps"] else 0,
            learning_rate=key["learning_rate"],
            batch_size=BATCH,
            seed=key["seed"],
            teacher=self.model if key["group"] in TEACHING else None,
            training=Training(evaluate_images=1),  # measured below, on all
            progress=False,
        )
        seconds = time.monotonic() - began
        return {"float": self.top1, "int8": self.measured(int8), "seconds": seconds}


def keys(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Every run by all that decides its result; one seed of everything first."""
    for seed in options.seeds:
        for group in options.arms:
            trained = group in {"qat", *TEACHING}
            if seed and not trained:
                continue  # nothing is drawn
            for network in options.networks:
                for arm, config in GROUPS[group].items():
                    yield {
                        "group": group,
                        "arm": arm,
                        "config": config,
                        "network": network,
                        "task": options.task,
                        "seed": seed,
                        "steps": options.train_images // BATCH if trained else 0,
                        "learning_rate": options.learning_rate,
                        "test_images": options.test_images,
                    }


def read(path: Path) -> dict[str, dict[str, Any]]:
    """The runs that are there; a line that was cut off is left out."""
    found: dict[str, dict[str, Any]] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        found[json.dumps(row["key"], sort_keys=True)] = row
    return found


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: a row for each network and configuration."""
    lines = [
        "| network | configuration | seeds | float | int8 | change, points | range of seeds |",
        "|---|---|---|---|---|---|---|",
    ]
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["key"]["network"], row["key"]["arm"]), []).append(row)
    for (network, arm), found in groups.items():
        gains = [row["int8"] - row["float"] for row in found]
        spread = f"{min(gains):+.2f} to {max(gains):+.2f}" if len(gains) > 1 else ""
        lines.append(
            f"| {network} | {arm} | {len(found)} | {found[0]['float']:.2f} "
            f"| {statistics.mean(row['int8'] for row in found):.2f} "
            f"| {statistics.mean(gains):+.2f} | {spread} |"
        )
    return "\n".join(lines)


def write(path: Path, group: str, text: str) -> None:
    """Put a table between its markers of a page."""
    start, end = START.format(group), END.format(group)
    head, rest = path.read_text(encoding="utf-8").split(start)
    _, tail = rest.split(end)
    path.write_text(f"{head}{start}\n\n{text}\n\n{end}{tail}", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the runs that are not there yet, until time is over, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", default="fashion-mnist")
    parser.add_argument("--networks", nargs="+", default=["resnet20", "mobilenet_v1", "vgg"])
    parser.add_argument("--arms", nargs="+", default=list(GROUPS), choices=list(GROUPS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--train-images", type=int, default=12_800)
    parser.add_argument("--test-images", type=int, default=10_000)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--minutes", type=float, default=1e6, help="no run is begun after these")
    parser.add_argument("--results", type=Path, default=Path("quantization.jsonl"))
    parser.add_argument("--suffix", default="", help="of the markers on the page")
    parser.add_argument("--table", type=Path, help="page with markers to write the tables into")
    options = parser.parse_args(arguments)
    began, known = time.monotonic(), read(options.results)
    networks: dict[str, Network] = {}
    for key in keys(options):
        name = json.dumps(key, sort_keys=True)
        if name in known or time.monotonic() - began > 60 * options.minutes:
            continue
        if key["network"] not in networks:
            networks[key["network"]] = Network(key["network"], options)
        known[name] = {"key": key, **networks[key["network"]].run(key)}
        with options.results.open("a", encoding="utf-8") as file:
            file.write("\n" * _unfinished(options.results) + json.dumps(known[name]) + "\n")
        row = known[name]
        name = f"{key['group']} {key['network']} {key['arm']}"
        print(name, f"{row['float']:.2f} -> {row['int8']:.2f}", flush=True)
    wanted = [name for key in keys(options) if (name := json.dumps(key, sort_keys=True)) in known]
    for group in options.arms:
        rows = [known[name] for name in wanted if known[name]["key"]["group"] == group]
        title = TITLES[group].format(
            steps=options.train_images // BATCH, batch=BATCH, rate=options.learning_rate
        )
        text = f"{title}:\n\n{table(rows)}"
        print(text)
        if options.table is not None:
            write(options.table, group + options.suffix, text)


def _unfinished(path: Path) -> bool:
    """Whether the last line was cut off."""
    content = path.read_bytes() if path.exists() else b""
    return bool(content) and not content.endswith(b"\n")


if __name__ == "__main__":
    main()
