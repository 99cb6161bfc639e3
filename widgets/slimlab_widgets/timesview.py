"""Top floor. The measured times of a network's layers as JSON, for predictions in the browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slimlab import TimeTable

DIGITS = 9  # more than a clock gives; all of a float's would be twice as long to send


def times_view(times: TimeTable | None) -> dict[str, Any]:
    """The table from which the page predicts milliseconds; empty before it was measured."""
    if times is None:
        return {}
    layers = []
    for layer in times.to_dict()["layers"]:
        rows = [[float(f"{value:.{DIGITS}g}") for value in row] for row in layer["ms"]]
        layers.append({**{k: v for k, v in layer.items() if k != "layer"}, "ms": rows})
    groups = [[name, width] for name, width in times.groups.items()]
    return {"layers": layers, "groups": groups, "base": times.base, "factor": times.factor}
