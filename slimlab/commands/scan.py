"""Floor 6. `slimlab scan`: measures how much each layer loses at each pruning ratio."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from slimlab.commands.sources import add_task, model_of, task_of
from slimlab.commands.terminal import notes, say, show, work
from slimlab.errors import SlimLabError
from slimlab.scan import iter_scan_sensitivity
from slimlab.scan.settings import DEFAULT_RATIOS

DESCRIPTION = """\
Measure how much accuracy each layer loses at each pruning ratio. With --file every measurement is
kept as it is made, and the same command goes on from there; `sl.load_scan` reads the file.
"""
EPILOG = """\
examples:
  slimlab scan mobilenet_v1 --task fashion-mnist --images 1000 --file mobilenet.scan
  slimlab scan small/model --task digits --ratios 0.25 0.5 0.75 --csv drops.csv
"""


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "scan",
        help="measure each layer's sensitivity to pruning",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("model", metavar="MODEL", help="a zoo network's name, or a saved folder")
    add_task(parser)
    parser.add_argument(
        "--ratios", type=float, nargs="+", default=DEFAULT_RATIOS, metavar="RATIO",
        help="shares of a layer's channels to remove (default: 0.1 to 0.9)",
    )  # fmt: skip
    parser.add_argument("--images", type=int, metavar="N", help="test images (default: all)")
    parser.add_argument("--criterion", default="l1_norm", help="how channels are ranked (l1_norm)")
    parser.add_argument("--file", type=Path, metavar="FILE", help="keeps what is measured")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the table there")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carry `slimlab scan` out."""
    task = task_of(arguments)
    model = model_of(arguments.model, task)
    if arguments.file is not None:
        arguments.file.parent.mkdir(parents=True, exist_ok=True)
    steps = iter_scan_sensitivity(
        model,
        task,
        ratios=arguments.ratios,
        images=arguments.images,
        criterion=arguments.criterion,
        path=arguments.file,
    )
    with notes():
        table, stopped = work(steps, title="scan", quiet=arguments.quiet)
    frame = table.to_frame()
    if arguments.csv is not None:
        try:
            frame.to_csv(arguments.csv, index=False)
        except OSError as error:
            msg = f"{arguments.csv} can't be written: {error.strerror}."
            raise SlimLabError(msg, path=str(arguments.csv)) from error
    drops = frame.pivot(index="layer", columns="ratio", values="drop")
    drops = drops.loc[[layer for layer in table.layers if layer in drops.index]]
    say(f"Drop in points of {task.metric.name}, by layer and pruning ratio:")
    show(drops.reset_index())
    if stopped:
        say("Stopped; the same command goes on." if arguments.file else "Stopped.")
        return 130
    return 0
