"""Floor 6. `slimlab export` and `slimlab verify`: files for runtimes, and checks of them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from slimlab.commands.sources import add_task, model_of, task_of
from slimlab.commands.terminal import notes, say, show, work
from slimlab.export import FORMATS, ExportReport, iter_export, iter_verify_export

EXPORT_EPILOG = """\
examples:
  slimlab export resnet20 files/resnet20 --task digits
  slimlab export slimlab-runs/quantization/result/model files/int8 --format onnx-int8
"""
VERIFY_EPILOG = """\
examples:
  slimlab verify files/resnet20 resnet20 --task digits
The exit code is 1 when the file does not compute what the model computes.
"""
MODEL_HELP = "a zoo network's name, or a saved folder"


def add(commands: Any) -> None:
    """Add both commands."""
    exporting = commands.add_parser(
        "export",
        help="write a model as a file for a runtime, checked in a fresh process",
        description=(
            "Write a model as a file, load it in a fresh process, and compare outputs and accuracy"
            " on the test images. A file that does not agree with the model is not kept."
        ),
        epilog=EXPORT_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    exporting.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    exporting.add_argument(
        "folder", type=Path, metavar="FOLDER", help="where the files are written"
    )
    exporting.add_argument(
        "--format", choices=sorted(FORMATS), default="onnx", help="default: %(default)s"
    )
    exporting.set_defaults(run=run_export)
    verifying = commands.add_parser(
        "verify",
        help="compare an exported file with a model once more",
        description="Check an exported folder's hashes, and its file against a model.",
        epilog=VERIFY_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    verifying.add_argument("folder", type=Path, metavar="FOLDER", help="what `export` wrote")
    verifying.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    verifying.set_defaults(run=run_verify)
    for parser in (exporting, verifying):
        add_task(parser)
        parser.add_argument("--images", type=int, metavar="N", help="test images (default: all)")
        parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run_export(arguments: argparse.Namespace) -> int:
    """Carry `slimlab export` out."""
    task = task_of(arguments)
    model = model_of(arguments.model, task)
    with notes():
        steps = iter_export(
            model, arguments.folder, task, format=arguments.format, images=arguments.images
        )
        report, _ = work(steps, title=arguments.format, quiet=arguments.quiet)
    _tell(report)
    say(f"Written to {report.folder}.")
    return 0


def run_verify(arguments: argparse.Namespace) -> int:
    """Carry `slimlab verify` out."""
    task = task_of(arguments)
    model = model_of(arguments.model, task)
    with notes():
        steps = iter_verify_export(arguments.folder, model, task=task, images=arguments.images)
        report, _ = work(steps, title="verify", quiet=arguments.quiet)
    _tell(report)
    if report.parity.holds:
        say("The file computes what the model computes.")
        return 0
    layer = report.parity.first_difference
    where = f" They differ first at {layer}." if layer else ""
    say(f"The file does not compute what the model computes: {report.parity}.{where}")
    return 1


def _tell(report: ExportReport) -> None:
    show(report.to_frame().drop(columns=["largest", "typical"]))
    for one in report.parity.differing:
        say(f"{one.runtime} computes something else of this file: don't run it there.")
