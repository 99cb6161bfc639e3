"""Whether a latency budget is met: predicted from layers, corrected, then timed again, afresh.

Each network on each runtime is a sitting of some minutes, whose rows are appended to a file of JSON
lines; a later sitting of the same replaces them. Three tables are made from the file, also written
between the markers of `docs/latency.md`:

1. whole networks whose time was predicted from the times of their layers, and measured;
2. budgets: the share of the time asked for, predicted, found, and that of a second sitting (whole
   and pruned network in turns, medians), with the difference;
3. the staircase: the time of uniformly pruned networks, with and without rounding of widths.

    python benchmarks/latency_budget.py --networks mobilenet_v1 --runtimes onnxruntime
    python benchmarks/latency_budget.py --networks --table docs/latency.md
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import slimlab as sl
from slimlab.timing import RuntimeClock

TURNS, RUNS = 9, 20
START, END = "<!-- generated: latency -->", "<!-- end -->"
Run = Callable[[], object]


def median_ms(run: Run) -> float:
    """Median milliseconds of some runs."""
    found = []
    for _ in range(RUNS):
        start = time.perf_counter()
        run()
        found.append(1e3 * (time.perf_counter() - start))
    return statistics.median(found)


def again(whole: Run, small: Run) -> float:
    """Share of the time removed, the median over turns of one after the other."""
    whole(), small()
    return statistics.median(1 - median_ms(small) / median_ms(whole) for _ in range(TURNS))


class Bench:
    """A network on a runtime: its graph, scan and times."""

    def __init__(self, name: str, settings: sl.TimingSettings, options: argparse.Namespace) -> None:
        self.name, self.settings = name, settings
        self.task = sl.load_task(options.task)
        self.model = sl.load_model(name, self.task)
        self.graph = sl.trace(self.model, self.task.example)
        self.scan = sl.scan_sensitivity(
            self.model, self.task, images=options.scan_images, progress=False
        )
        self.clock = RuntimeClock(settings)
        self.times = sl.measure_times(
            self.model,
            self.graph,
            self.task.example,
            settings=settings,
            cache=options.cache,
            progress=False,
        )
        self.whole = self.clock.network(self.model, self.task.example)

    def checks(self) -> list[str]:
        """Rows of the first table."""
        return [
            f"| {self.name} | {self.settings.runtime} | {c.network} | {c.predicted:.3f} "
            f"| {c.measured:.3f} | {c.error:+.1%} | {'fitted' if c.fitted else 'checked'} |"
            for c in self.times.checks
        ]

    def budget(self, share: float) -> str:
        """A row of the second table."""
        head = f"| {self.name} | {self.settings.runtime} | {share:.0%} "
        try:
            found = sl.ratios_for_latency(
                self.model,
                self.graph,
                self.scan,
                self.task.example,
                latency=share,
                times=self.times,
                progress=False,
            )
        except sl.PlanError as error:
            return f"{head}| {error} | | | | | |"
        if found.ratios is None:
            return f"{head}| none of {len(found.rows)} tries was fast enough | | | | | |"
        second = again(self.whole, self._run(found.ratios))
        kept = next(r for r in found.rows if r[2] == found.latency_removed)
        return (
            f"{head}| {found.macs_removed:.1%} | {kept[1]:.1%} | {found.latency_removed:.1%} "
            f"| {second:.1%} | {100 * (second - share):+.1f} | {len(found.rows)} |"
        )

    def stairs(self, ratio: float) -> str:
        """A row of the third table."""
        shares = []
        for multiple in (1, 16):
            ratios = sl.uniform_ratios(
                self.graph, ratio=ratio, scope=sl.Scope(multiple=multiple, min_channels=multiple)
            )
            shares.append(1 - again(self.whole, self._run(ratios)))
            shares.append(1 - sl.preview(self.graph, ratios).macs_removed)
        plain, macs, rounded, rounded_macs = shares
        return (
            f"| {self.name} | {self.settings.runtime} | {ratio:.0%} | {macs:.2f} | {plain:.2f} "
            f"| {rounded_macs:.2f} | {rounded:.2f} |"
        )

    def _run(self, ratios: sl.Ratios) -> Run:
        small = sl.prune(self.model, sl.plan_pruning(self.model, self.graph, ratios))
        return self.clock.network(small, self.task.example)


def sitting(name: str, runtime: str, options: argparse.Namespace) -> dict[str, Any]:
    """All rows of a network on a runtime."""
    began = time.monotonic()
    settings = sl.TimingSettings(runtime=runtime, batch=options.batch)
    bench = Bench(name, settings, options)
    rows = {
        "checks": bench.checks(),
        "budgets": [bench.budget(share) for share in options.latency],
        "stairs": [bench.stairs(ratio) for ratio in options.stairs],
    }
    for part in rows.values():
        print("\n".join(part), flush=True)
    key = {"network": name, "runtime": runtime, "machine": bench.times.machine}
    return {**key, "batch": options.batch, "seconds": time.monotonic() - began, **rows}


def tables(sittings: Sequence[dict[str, Any]]) -> str:
    """Markdown of all three."""
    heads = {
        "checks": "| network | runtime | widths | predicted ms | measured ms | error | |",
        "budgets": "| network | runtime | asked | MACs removed | predicted | found | again "
        "| off, points | tries |",
        "stairs": "| network | runtime | channels removed | MACs, any width | time, any width "
        "| MACs, multiples of 16 | time, multiples of 16 |",
    }
    where = dict.fromkeys(
        f"{one['machine']}; {one['batch']} images, one thread" for one in sittings
    )
    parts = [f"`{'; '.join(where)}`"]
    for name, head in heads.items():
        rows = [row for one in sittings for row in one[name]]
        parts.append("\n".join([head, "|---" * (head.count("|") - 1) + "|", *rows]))
    return "\n\n".join(parts)


def read(path: Path) -> list[dict[str, Any]]:
    """The last sitting of each network on each runtime."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    rows = [json.loads(line) for line in lines if line]
    last = {(row["runtime"], row["network"]): row for row in rows}
    return [last[key] for key in sorted(last)]


def main(arguments: Sequence[str] | None = None) -> Any:
    """Print the tables, and write them into a page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", default="fashion-mnist")
    parser.add_argument("--networks", nargs="*", default=["mobilenet_v1", "resnet20"])
    parser.add_argument("--runtimes", nargs="+", default=["onnxruntime"])
    parser.add_argument("--latency", type=float, nargs="+", default=[0.2, 0.3, 0.5])
    parser.add_argument("--stairs", type=float, nargs="+", default=[0.2, 0.3, 0.5])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--scan-images", type=int, default=500)
    parser.add_argument("--cache", type=Path, help="of times; measured afresh when not given")
    parser.add_argument("--results", type=Path, default=Path("docs/data/latency.jsonl"))
    parser.add_argument("--table", type=Path, help="page with markers to write the tables into")
    options = parser.parse_args(arguments)
    for runtime in options.runtimes:
        for name in options.networks:
            found = sitting(name, runtime, options)
            with options.results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(found) + "\n")
    text = tables(read(options.results))
    print(text)
    if options.table is not None:
        page = options.table.read_text(encoding="utf-8")
        head, rest = page.split(START)
        options.table.write_text(
            f"{head}{START}\n\n{text}\n\n{END}{rest.split(END)[1]}", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
