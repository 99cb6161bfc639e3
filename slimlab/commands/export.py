"""Floor 6. What can be typed behind `slimlab export` and `slimlab verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slimlab.commands.adding import MODEL_HELP, add_command, add_images, add_quiet, add_task

EXPORT = """\
Write a model as a file, load it in a fresh process, and compare outputs and accuracy on the test
images. A file that does not agree with the model is not kept.
"""
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
FORMATS = "onnx, onnx-int8, paddle-float, paddle-int8 or paddle-lite"


def add(commands: Any) -> None:
    """Add both commands."""
    exporting = add_command(
        commands,
        "export",
        "export.run_export",
        help="write a model as a file for a runtime, checked in a fresh process",
        description=EXPORT,
        epilog=EXPORT_EPILOG,
    )
    exporting.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    exporting.add_argument(
        "folder", type=Path, metavar="FOLDER", help="where the files are written"
    )
    exporting.add_argument(
        "--format",
        metavar="FORMAT",
        default="onnx",
        help=f"{FORMATS} (default: %(default)s); int8 is for quantized models",
    )
    verifying = add_command(
        commands,
        "verify",
        "export.run_verify",
        help="compare an exported file with a model once more",
        description="Check an exported folder's hashes, and its file against a model.",
        epilog=VERIFY_EPILOG,
    )
    verifying.add_argument("folder", type=Path, metavar="FOLDER", help="what `export` wrote")
    verifying.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    for parser in (exporting, verifying):
        add_task(parser)
        add_images(parser)
        add_quiet(parser)
