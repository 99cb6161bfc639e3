"""Whether a latency budget is met: ratios for a share of the time, then timed again, afresh.

Prints, for networks of the zoo, the share of the time asked for, the share that the search measured
and that of a second sitting (whole and pruned network timed in turns), with the difference.

    python benchmarks/latency_budget.py --networks mobilenet_v1 resnet20 --latency 0.2 0.3
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence

import slimlab as sl

TURNS = 5


def again(whole: object, small: object, example: object) -> float:
    """Share of the time removed, the median over turns of one after the other."""
    shares = []
    for _ in range(TURNS):
        slow, fast = (
            sl.measure_latency(m, example, batch=32, runs=20).median_ms for m in (whole, small)
        )
        shares.append(1 - fast / slow)
    return statistics.median(shares)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row a network and budget."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", default="fashion-mnist")
    parser.add_argument("--networks", nargs="+", default=["mobilenet_v1", "resnet20"])
    parser.add_argument("--latency", type=float, nargs="+", default=[0.2, 0.3])
    parser.add_argument("--scan-images", type=int, default=500)
    options = parser.parse_args(arguments)
    task = sl.load_task(options.task)
    print(f"{'network':14s}{'asked':>7s}{'MACs':>7s}{'found':>7s}{'again':>7s}{'off':>7s}  tries")
    for name in options.networks:
        model = sl.load_model(name, task)
        graph = sl.trace(model, task.example)
        scan = sl.scan_sensitivity(model, task, images=options.scan_images, progress=False)
        for share in options.latency:
            try:
                found = sl.ratios_for_latency(
                    model, graph, scan, task.example, latency=share, progress=False
                )
            except sl.PlanError as error:
                print(f"{name:14s}{share:7.0%}  {error}")
                continue
            small = sl.prune(model, sl.plan_pruning(model, graph, found.ratios))
            second = again(model, small, task.example)
            print(
                f"{name:14s}{share:7.0%}{found.macs_removed:7.0%}{found.latency_removed:7.0%}"
                f"{second:7.0%}{second - share:+7.1%}  {len(found.rows)} {found.warning}",
                flush=True,
            )


if __name__ == "__main__":
    main()
