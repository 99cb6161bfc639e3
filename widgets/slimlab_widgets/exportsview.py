"""Top floor. Exports as the small JSON that the browser draws."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from slimlab.export import FORMATS

if TYPE_CHECKING:
    from slimlab import ExportReport


def exports_view(exports: Mapping[tuple[str, str], ExportReport]) -> dict[str, Any]:
    """The formats there are, and what was exported: agreement, bytes and milliseconds an image."""
    rows = []
    for (name, kind), found in exports.items():
        parity = found.parity
        times = [{"runtime": one.runtime, "ms": one.median_ms} for one in found.latency]
        rows.append(
            {
                "name": name,
                "format": kind,
                "bytes": found.bytes,
                "share": found.share,
                "images": parity.images,
                "largest": parity.largest,
                "unit": parity.unit,
                "model": parity.model_value,
                "file": parity.file_value,
                "times": times,
            }
        )
    formats = [{"name": name, "quantized": one.quantized} for name, one in FORMATS.items()]
    return {"formats": formats, "rows": rows}
