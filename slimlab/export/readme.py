"""Floor 2. The README of an exported folder."""

from __future__ import annotations

from slimlab.export.formats import Format, Subject
from slimlab.export.report import ExportReport

README = "README.md"


def readme(report: ExportReport, kind: Format, subject: Subject) -> str:
    """Words for whoever finds the folder, and the code that runs the file."""
    shapes = " and ".join(str(("n", *map(int, x.shape[1:]))) for x in subject.examples)
    dtypes = " and ".join(str(x.dtype).rpartition(".")[2] for x in subject.examples)
    files = ", ".join(f"`{name}` ({size:,} bytes)" for name, size in report.files.items())
    times = "".join(
        f"- {one.runtime}: {one.median_ms:.3g} ms an image (quartiles {one.low_ms:.3g} and "
        f"{one.high_ms:.3g}, {one.runs} runs)\n"
        for one in report.latency
    )
    code = "\n".join(kind.lines)
    return (
        f"# {type(subject.model).__name__}, {kind.name}\n\n"
        f"Written by SlimLab: {files}. `slimlab.json` says how it was made, with hashes.\n\n"
        f"`images` is an array of shape {shapes.replace(chr(39), '')}, {dtypes}, scaled as in "
        "training; run this in the folder:\n\n"
        f"```python\n{code}\n```\n\n"
        + (f"{kind.note}\n\n" if kind.note else "")
        + f"Checked against the model before it was kept: {report.parity}.\n"
        + (f"\nMeasured on the machine that wrote it:\n\n{times}" if times else "")
    )
