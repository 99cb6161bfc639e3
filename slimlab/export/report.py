"""Floor 2. What an export came out as: sizes, agreement, times; as a value and as a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from slimlab.export.parity import Parity
from slimlab.latency import Latency


@dataclass(frozen=True)
class ExportReport:
    """A folder that was written or verified.

    Attributes
    ----------
    folder
        Where.
    format
        Such as `"onnx"`.
    files
        Name of each model file -> its bytes.
    float_bytes
        Bytes of the same network with float weights in the same kind of file.
    parity
        The file compared with the model.
    latency
        Of one image, for each runtime it was timed in when it was written.
    float_latency
        Of the network in float, in the same sitting; empty where the network itself is in float.

    Examples
    --------
    >>> import tempfile, slimlab as sl
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     report = sl.export(model, folder + "/vgg", task, format="onnx", progress=False)
    >>> report.parity.holds, report.to_frame()["runtime"].tolist()
    (True, ['onnxruntime', 'openvino'])
    """

    folder: Path
    format: str
    files: Mapping[str, int]
    float_bytes: int
    parity: Parity
    latency: tuple[Latency, ...] = ()
    float_latency: tuple[Latency, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "files", MappingProxyType(dict(self.files)))

    @property
    def bytes(self) -> int:
        """Bytes of all model files."""
        return sum(self.files.values())

    @property
    def share(self) -> float:
        """Bytes as a share of `float_bytes`."""
        return self.bytes / self.float_bytes

    def to_frame(self) -> pd.DataFrame:
        """One row a runtime: sizes, the metric there, and milliseconds an image beside those in
        float.
        """
        parity = self.parity
        common: dict[str, Any] = {
            "format": self.format,
            "bytes": self.bytes,
            "float_bytes": self.float_bytes,
            "metric": parity.metric,
            "model": parity.model_value,
            "file": parity.file_value,
            "largest": parity.largest,
            "typical": parity.typical,
            "images": parity.images,
        }
        before = {one.runtime: one.median_ms for one in self.float_latency}
        found = {one.runtime: one.value for one in parity.elsewhere}
        rows = [
            {
                **common,
                "file": found.get(one.runtime, parity.file_value),
                "runtime": one.runtime,
                "median_ms": one.median_ms,
                "low_ms": one.low_ms,
                "high_ms": one.high_ms,
                "float_ms": before.get(one.runtime, one.median_ms),
            }
            for one in self.latency
        ]
        return pd.DataFrame(rows or [{**common, "runtime": ""}])
