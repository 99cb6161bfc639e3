"""Floor 2. Models as files for runtimes, each checked in a fresh process before it is kept.

A format is a function from a traced network to the bytes of files (`@export_format("name")`).
"""

from slimlab.export import onnx_files, paddle_files  # noqa: F401 - they register their formats
from slimlab.export.exporting import export, iter_export
from slimlab.export.formats import FORMATS, export_format
from slimlab.export.parity import Parity
from slimlab.export.report import ExportReport
from slimlab.export.verifying import iter_verify_export, verify_export

__all__ = [
    "FORMATS",
    "ExportReport",
    "Parity",
    "export",
    "export_format",
    "iter_export",
    "iter_verify_export",
    "verify_export",
]
