"""Every way of picking ratios, ranked as `auto` ranks: accuracy with BatchNorm estimated anew.

Nothing is fine-tuned, so that all ways and shares take minutes. Scans, scores and accuracies are of
calibration images. The table is written between its markers in `docs/picking.md`.

    python benchmarks/candidates.py --table docs/picking.md
    python benchmarks/candidates.py --networks resnet20 --macs 0.5 --tries 50
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import slimlab as sl
from slimlab.search import AutoResult, AutoSettings, Candidate, auto_prune

START, END = "<!-- generated: candidates -->", "<!-- end -->"
WAYS = (
    *(Candidate(name) for name in ("budget", "drop", "uniform", "scores-isomorphic")),
    Candidate("scores-lamp"),
    *(Candidate("scores-isomorphic", criterion) for criterion in ("taylor", "group_fisher")),
)


def contest(name: str, options: argparse.Namespace) -> dict[float, AutoResult]:
    """What `auto` finds for each share of a network's MACs."""
    task = sl.load_task(options.task)
    model = sl.load_model(name, task)
    held = replace(task, test=task.calibration)
    scan = sl.scan_sensitivity(model, held, images=options.images, progress=False)
    settings = AutoSettings(
        images=options.images, recalibration=256, as_cut=options.as_cut, tries=options.tries
    )
    found = {}
    for macs in options.macs:
        found[macs] = auto_prune(
            model,
            task,
            macs=macs,
            tried=WAYS,
            sensitivity=scan,
            epochs=0,
            settings=settings,
            progress=False,
        )
        print(name, macs, found[macs].why, flush=True)
    return found


def table(name: str, found: dict[float, AutoResult]) -> list[str]:
    """Markdown: a row a way, the best first."""
    rows = []
    for macs, result in found.items():
        for one in result.tried:
            as_cut = "" if one.as_cut is None else f"{one.as_cut:.1f}"
            rows.append(
                f"| {name} | {macs:.0%} | {one.candidate.allocation} | {one.candidate.criterion} "
                f"| {one.preview.macs_removed:.1%} | {one.preview.bytes_removed:.1%} | {as_cut} "
                f"| {one.re_estimated:.1f} |"
            )
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, and write it into a page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", default="fashion-mnist")
    parser.add_argument("--networks", nargs="+", default=["mobilenet_v1", "resnet20"])
    parser.add_argument("--macs", type=float, nargs="+", default=[0.3, 0.5, 0.7])
    parser.add_argument("--images", type=int, default=1024, help="of the calibration images")
    parser.add_argument("--as-cut", action="store_true", help="also right after the cut")
    parser.add_argument("--tries", type=int, default=0, help="of simulated annealing")
    parser.add_argument("--table", type=Path, help="page with markers to write the table into")
    options = parser.parse_args(arguments)
    lines = [
        f"`{options.task}, {options.images} calibration images`",
        "",
        "| network | MACs to remove | way | channels ranked by | removed | bytes removed "
        "| as cut | BatchNorm re-estimated |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in options.networks:
        lines += table(name, contest(name, options))
    text = "\n".join(lines)
    print(text)
    if options.table is not None:
        page = options.table.read_text(encoding="utf-8")
        head, rest = page.split(START)
        tail = rest.split(END, 1)[1]
        options.table.write_text(f"{head}{START}\n\n{text}\n\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
