"""Floor 6. What can be typed behind `slimlab scan`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slimlab.commands.adding import MODEL_HELP, add_command, add_images, add_quiet, add_task

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
    parser = add_command(
        commands,
        "scan",
        "scan.run",
        help="measure each layer's sensitivity to pruning",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    add_task(parser)
    parser.add_argument(
        "--ratios", type=float, nargs="+", metavar="RATIO",
        help="shares of a layer's channels to remove (default: 0.1 to 0.9)",
    )  # fmt: skip
    add_images(parser)
    parser.add_argument(
        "--criterion",
        default="l1_norm",
        metavar="NAME",
        help="how channels are ranked, such as taylor (default: %(default)s)",
    )
    parser.add_argument(
        "--file", type=Path, metavar="FILE", help="keeps what is measured, so that a scan goes on"
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the table there as well")
    add_quiet(parser)
