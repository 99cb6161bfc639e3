"""How long tracing takes and how much of a network it finds prunable: writes `docs/tracing.md`.

    python benchmarks/tracing.py --results runs.jsonl [--page docs/tracing.md] [NAMES ...]

Paddle's `to_static` alone, SlimLab's `trace`, and their ratio, for constructors of
`paddle.vision.models` (all of them without names). Processor seconds, not the clock's, so that
other people's work matters less; without Python's garbage collector, as `timeit` does it, whose
full collections take as long as a small network. Results are kept, so that a run can be split.
"""

from __future__ import annotations

import argparse
import gc
import inspect
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paddle

import slimlab as sl

ROOT = Path(__file__).resolve().parents[1]
SHARES = ROOT / "tests" / "contracts" / "shares.json"


def constructors() -> list[str]:
    """Names of all functions and classes of `paddle.vision.models` that make one network."""
    models = paddle.vision.models
    made = [n for n in models.__all__ if inspect.isfunction(getattr(models, n))]
    return ["LeNet", *made]


class Wrapper(paddle.nn.Layer):
    """Stands before the model: `to_static` replaces the forward of what it is given."""

    def __init__(self, model: paddle.nn.Layer) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: paddle.Tensor) -> object:
        """Run the model."""
        return self.model(x)


def to_static(model: paddle.nn.Layer, x: paddle.Tensor) -> object:
    """Trace with Paddle alone."""
    wrapper = Wrapper(model)
    wrapper.eval()
    spec = [paddle.static.InputSpec(x.shape, x.dtype)]
    static = paddle.jit.to_static(wrapper, full_graph=True, input_spec=spec)
    return static.forward.concrete_program


def seconds(work: Callable[..., object], model: paddle.nn.Layer, x: paddle.Tensor) -> float:
    """Processor time of a call."""
    gc.collect()
    gc.disable()
    try:
        start = time.process_time()
        work(model, x)
        return time.process_time() - start
    finally:
        gc.enable()


def measure(name: str, repeats: int) -> dict[str, Any]:
    """One constructor: medians of `repeats` calls, in turn, and what can be pruned."""
    model = getattr(paddle.vision.models, name)()
    model.eval()
    x = paddle.zeros([1, 1, 28, 28] if name == "LeNet" else [1, 3, 224, 224])
    to_static(model, x)  # the first one also compiles Paddle's own functions
    graph = sl.trace(model, x)
    pairs = [(seconds(to_static, model, x), seconds(sl.trace, model, x)) for _ in range(repeats)]
    alone, whole = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(b / a for a, b in pairs)
    return {
        "name": name, "groups": len(graph.groups), "macs": graph.macs,
        "share": graph.coverage.macs_share, "to_static": alone, "trace": whole, "ratio": ratio,
        "repeats": repeats,
    }  # fmt: skip


def page(rows: list[dict[str, Any]]) -> str:
    """The page, from all rows measured."""
    ratios = [row["ratio"] for row in rows]
    lines = [
        "# Tracing: how much is found, and how long it takes",
        "",
        "Written by `benchmarks/tracing.py` on two cores, Paddle 3.3.1, without a graphics card.",
        "",
        "## Every constructor of `paddle.vision.models`",
        "",
        "Inputs are 224 pixels wide (LeNet: 28). *Prunable* is the share of multiply-adds that "
        "shrink when groups are pruned. Seconds are of one processor core, medians of the repeated "
        "calls; the ratio is the median of the ratios of calls that followed each other.",
        "",
        "| constructor | GMACs | groups | prunable | `to_static` (s) | `trace` (s) | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| {row['name']} | {row['macs'] / 1e9:.3f} | {row['groups']} | {row['share']:.1%} | "
            f"{row['to_static']:.2f} | {row['trace']:.2f} | {row['ratio']:.2f} |"
        )
    over = [row["name"] for row in rows if row["ratio"] > 1.5]
    left = set(constructors()).difference(row["name"] for row in rows)
    lines += ["", f"Not measured: {', '.join(sorted(left)) if left else 'none'}."]
    lines += [
        "",
        f"{len(rows)} constructors; ratio {min(ratios):.2f} to {max(ratios):.2f}, median "
        f"{statistics.median(ratios):.2f}. Above 1.5: {', '.join(over) if over else 'none'}.",
        "That the work grows with the number of operators and not with its square is held by"
        " `tests/contracts/test_work.py`, which counts calls.",
    ]
    return "\n".join([*lines, "", *foreign()]) + "\n"


def foreign() -> list[str]:
    """What is found in networks of other people's collections, from the file that tests hold."""
    shares: dict[str, float] = json.loads(SHARES.read_text(encoding="utf-8"))
    values = list(shares.values())
    bounds = [(0.99, 1.01), (0.9, 0.99), (0.5, 0.9), (0.01, 0.5), (0.0, 0.01)]
    lines = [
        "## Networks in the ways of other people's collections",
        "",
        f"{len(values)} small networks written as their authors would (`tests/support/foreign`): "
        "each is pruned at random ratios and equals the masked one, trains, is copied and pruned "
        "again."
        f" On average {statistics.mean(values):.1%} of the multiply-adds are prunable.",
        "",
        "| prunable share of MACs | networks |",
        "|---|---|",
    ]
    for low, high in bounds:
        found = sum(low <= value < high for value in values)
        lines.append(f"| {low:.0%} to {min(high, 1):.0%} | {found} |")
    least = [name.replace("_", " ") for name, value in shares.items() if value < 0.01]
    why = (
        "their channels pass a layer norm, a number written into the code, or an operator that "
        "mixes all channels"
    )
    lines += ["", f"Nothing is prunable in: {', '.join(sorted(least))} ({why})."]
    return lines


def main() -> None:
    """Measure what is not measured yet, print a row each, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--results", type=Path, required=True, help="where results are kept")
    parser.add_argument("--page", type=Path, help="write the page there")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1e9, help="begin nothing new after these")
    options = parser.parse_args()
    kept = (
        options.results.read_text(encoding="utf-8").splitlines() if options.results.exists() else []
    )
    rows = {row["name"]: row for row in map(json.loads, kept)}
    names = options.names or [name for name in constructors() if name not in rows]
    start = time.monotonic()
    for name in names:
        if time.monotonic() - start > options.seconds:
            break
        rows[name] = measure(name, options.repeats)
        with options.results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(rows[name]) + "\n")
        told = rows[name]
        print(
            f"{name:24s}{told['share']:8.1%}{told['trace']:8.3f} s{told['ratio']:8.2f}", flush=True
        )
    if options.page:
        options.page.write_text(page([rows[n] for n in constructors() if n in rows]), "utf-8")


if __name__ == "__main__":
    main()
