"""Writes docs/scan-speed.md from the runs of benchmarks/scan.py; measures nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

NOTES = Path(__file__).with_name("scan_notes.md")
GOALS = {"float32": 14, "bfloat16": 50, "adaptive": 100, "adaptive bfloat16": 100}
INTRODUCTION = """\
Made by `python benchmarks/scan.py`. *Plain* is what PaddleSlim does: the whole network in Paddle's
dygraph for each image of each cell (layer and ratio). The fastest of sixty forward passes counts,
thirty before the other ways on all threads and thirty after them on one; seconds for the whole
table follow from it.
Everything else ran as it is, with set-up: tracing, lowering, compiling, a comparison with the
model. *Limit* is how many times faster than the plain scan the multiply-adds that are left would be
at the rate of the machine's fastest float32 (for bfloat16: bfloat16) matrix product, and *share*
how much of that rate the scan reached. *Adaptive* is `decide=2.0`: images go where a pick at a drop
of 2 points depends on them; *picks* says how far its ratios lie from those of the scan of all
images.""".splitlines()


def page(results: Path) -> str:
    """The page; of each network the newest run."""
    runs = {}
    for line in results.read_text().splitlines():
        run = json.loads(line)
        runs[run["network"]] = run
    lines = [
        "# How fast a scan is",
        "",
        *INTRODUCTION,
        "",
    ]
    for run in runs.values():
        lines += network(run)
    press = next((run["press"] for run in runs.values() if run.get("press")), None)
    if press:
        lines += [
            "## The first picture",
            "",
            f"From pressing Scan in the quickstart's workbench to a point in each of its "
            f"{press['cells']} places, measured on {press['images']} images: "
            f"**{press['first']:.1f} s** (the goal is 5 s).",
            "",
        ]
    return "\n".join(lines) + "\n" + NOTES.read_text(encoding="utf-8")


def network(run: dict[str, Any]) -> list[str]:
    """The table of one network."""
    work, rates = run["work"], run["rates"]
    cells = int(work["groups"] * work["ratios"])
    each = min(run["plain"]["each"], run["plain"]["again"])
    whole = each * cells * run["images"]
    told = ", ".join(f"{2 * rate / 1e9:.0f} GFLOP/s in {d}" for d, rate in rates.items())
    lines = [
        f"## {run['network']}",
        "",
        f"{work['groups']:.0f} groups x {work['ratios']:.0f} ratios, {run['images']:,} images; "
        f"{work['whole'] / 1e6:,.0f} million multiply-adds an image. A cell needs "
        f"{work['cells'] / cells / work['whole']:.0%} of them. Matrix products: {told}. "
        f"Load of the machine as the run began: {run['load']:.1f}.",
        "",
        "| scan | images x cells | seconds | times plain | goal | limit | share "
        "| first picture, s | peak, GiB | picks |",
        "|---|---|---|---|---|---|---|---|---|---|",
        f"| plain, dygraph | {cells * run['images']:,} | {whole:,.0f} | 1 | | | | "
        f"| {run['plain']['peak']:.1f} | |",
    ]
    for way, goal in GOALS.items():
        if way not in run:
            continue
        found = run[way]
        rate = rates["bfloat16" if "bfloat16" in way else "float32"]
        computed = (work["cells"] / cells * found["count"]) + work["whole"] * run["images"]
        least = computed / rate
        limit = f"{whole / least:.0f}" if not way.startswith("adaptive") else ""
        share = f"{least / found['seconds']:.0%}" if limit else ""
        picks = ""
        if way != "float32" and "apart" in found:
            picks = (
                f"at most {found['apart']:.2f} apart, {found['beyond']} of {found['of']} layers "
                "beyond a step"
            )
        lines.append(
            f"| {way} | {found['count']:,} | {found['seconds']:.1f} | "
            f"**{whole / found['seconds']:.1f}** | {goal} | {limit} | {share} | "
            f"{found['first']:.1f} | {found['peak']:.1f} | {picks} |"
        )
    return [*lines, ""]
