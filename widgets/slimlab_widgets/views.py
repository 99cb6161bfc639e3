"""Top floor. Core values as the small JSON that the browser draws; pure functions, no widget.

Each function makes one trait of a widget. The shapes are those of `widgets/js/src/types.ts`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import slimlab as sl
from slimlab.allocate.budget import most_removable
from slimlab.compare import LATENCY_BATCH

if TYPE_CHECKING:
    from slimlab import Comparison, Graph, History, Preview, Sensitivity, TimeTable
    from slimlab.sensitivity import Cell
    from slimlab_widgets.jobs import Progress
    from slimlab_widgets.picks import Picks
    from slimlab_widgets.shelf import Offer
    from slimlab_widgets.state import Candidate, State

Json = dict[str, Any]

# A longer series of losses looks the same on a screen and is slower to send.
_MOST_POINTS = 400


def graph_view(graph: Graph) -> Json:
    """The table of layers, and the cost model from which the browser predicts."""
    covered = {row["layer"]: row for row in graph.coverage.to_frame().to_dict("records")}
    layers = []
    for row in graph.profile.to_frame().to_dict("records"):
        found = covered.get(row["layer"])
        layers.append(
            {
                "layer": row["layer"],
                "type": row["type"],
                "output": _shape(row["output"]),
                "params": int(row["params"]),
                "macs": int(row["macs"]),
                "bytes": int(row["bytes"]),
                # None: a layer such as BatchNorm, which makes no channels and follows its input.
                "prunable": None if found is None else bool(found["prunable"]),
                "group": _text(found, "group"),
                "reason": _text(found, "reason"),
            }
        )
    totals = {
        "macs": graph.macs,
        "params": graph.params,
        "bytes": graph.bytes,
        "macs_share": float(graph.coverage.macs_share),
        "params_share": float(graph.coverage.params_share),
    }
    wiring = {"nodes": [list(n) for n in graph.wiring.nodes], "edges": list(graph.wiring.edges)}
    return {"cost": graph.cost.to_dict(), "layers": layers, "totals": totals, "wiring": wiring}


def curves_view(sensitivity: Sensitivity | None) -> Json:
    """Every curve that has at least one point, with its interval and its predicted drops."""
    if sensitivity is None:
        return {}
    curves = []
    for layer in sensitivity.layers:
        cells = sensitivity.curve(layer)
        if not cells:
            continue
        points = [_point(cell, sensitivity) for cell in cells]
        ratios, drops = sensitivity.fitted(layer)
        fit = [[_short(r, 12), _short(d, 12)] for r, d in zip(ratios, drops, strict=True)]
        curves.append({"layer": layer, "points": points, "fit": fit})
    return {
        "metric": sensitivity.metric,
        "unit": sensitivity.unit,
        "baseline": _number(sensitivity.baseline),
        "criterion": sensitivity.criterion,
        "images": sensitivity.images,
        "complete": sensitivity.exact,
        "seen": min((cell.images for cell in sensitivity.cells), default=0),
        "measured": len(sensitivity.cells),
        "planned": len(sensitivity.layers) * len(sensitivity.ratios),
        "ratios": [float(ratio) for ratio in sensitivity.ratios],
        **({} if sensitivity.bits is None else {"bits": list(sensitivity.bits)}),
        "layers": list(sensitivity.layers),
        "curves": curves,
    }


def picked_view(
    ratios: Mapping[str, float], preview: Preview | None, *, name: str, origin: Json | None = None
) -> Json:
    """The ratios, and what the kernel predicts for them.

    Parameters
    ----------
    ratios
        Layer to pruning ratio.
    preview
        The kernel's own numbers for them.
    name
        What a model pruned with them would be called.
    origin
        `view` and `seq` of the request these ratios came with, for the view that sent it.
    """
    kept = {layer: float(ratio) for layer, ratio in ratios.items() if ratio > 0}
    return {"ratios": kept, "name": name, "preview": preview_view(preview), **(origin or {})}


def picks_view(picks: Picks, graph: Graph, sensitivity: Sensitivity | None) -> Json:
    """What undo and redo go to, and the named picks with what each would give."""
    rows = []
    for name, pick in picks.snapshots:
        found = sl.preview(graph, pick.ratios, sensitivity)
        rows.append({"name": name, "macs": int(found.macs), "drop": _number(found.drop)})
    return {
        "undo": picks.past[-1].name if picks.past else None,
        "redo": picks.future[-1].name if picks.future else None,
        "snapshots": rows,
    }


def preview_view(preview: Preview | None) -> Json | None:
    """Totals and widths after pruning."""
    if preview is None:
        return None
    return {
        "macs": int(preview.macs),
        "params": int(preview.params),
        "bytes": int(preview.bytes),
        "drop": _number(preview.drop),
        "latency": _number(preview.latency),
        "latency_removed": _number(preview.latency_removed),
        "widths": {layer: list(pair) for layer, pair in preview.widths.items()},
    }


def budget_view(graph: Graph, sensitivity: Sensitivity | None, times: TimeTable | None) -> Json:
    """How much of each resource can be removed within the scanned ratios, and the timing."""
    if sensitivity is None or not sensitivity.cells:
        return {}
    last = {
        layer: sensitivity.curve(layer)[-1].ratio
        for layer in sensitivity.layers
        if sensitivity.curve(layer)
    }
    most = sl.preview(graph, last)
    reach: Json = {"macs": most.macs_removed, "bytes": most.bytes_removed, "latency": None}
    if times is None:
        return {"reach": reach, "times": None}
    reach["latency"] = max(0.0, most_removable(graph, sensitivity, sl.Scope(), times))
    asked = times.settings
    facts = {
        "runtime": asked.runtime,
        "batch": asked.batch,
        "threads": asked.threads,
        "whole": float(times.predict({})),
        "error": _number(times.error),
        "warning": times.warning,
    }
    return {"reach": reach, "times": facts}


def pairs_view(state: State) -> Json:
    """The layers of the chosen model and of its teacher, and which are paired."""
    chosen = next((c for c in state.candidates if c.name == state.chosen), None)
    possible = chosen is not None and not chosen.quantized
    pairing = state.pairing
    if not possible or pairing is None or pairing.name != state.chosen:
        return {"possible": possible, "name": state.chosen}
    rows = {
        side: [{"layer": layer, "shape": list(shape)} for layer, shape in getattr(pairing, side)]
        for side in ("student", "teacher")
    }
    pairs = [list(pair) for pair in pairing.pairs]
    return {"possible": True, "name": pairing.name, "pairs": pairs, **rows}


def offer_view(offer: Offer | None) -> Json:
    """What an earlier kernel left, as a person would choose it."""
    if offer is None:
        return {}
    scan, left = offer.scan, offer.left
    found: Json = {"when": max(one.when for one in (scan, left) if one is not None)}
    if scan is not None:
        table = scan.sensitivity
        found |= {
            "measured": len(table.cells),
            "planned": len(table.layers) * len(table.ratios),
            "complete": table.exact,
            "images": table.images,
            "criterion": table.criterion,
        }
    if left is not None:
        picks = left.notes.get("picks", {})
        found["models"] = [str(one.get("name")) for one in left.notes.get("candidates", [])]
        found["picked"] = len(picks.get("now", {}).get("ratios", {}))
        found["snapshots"] = len(picks.get("snapshots", []))
        found["exports"] = len(left.notes.get("exports", []))
        found["owner"] = str(left.owner) if left.owner else ""
    return found


def run_view(name: str, history: History | None, *, metric: str, unit: str, steps: int = 0) -> Json:
    """Loss, accuracy and learning rate against training steps."""
    records = history.records if history is not None else ()
    loss = [(r.step, float(r.loss)) for r in records if r.loss is not None]
    score = [(r.step, float(r.metric)) for r in records if r.metric is not None]
    last = max((r.step for r in records), default=0)
    return {
        "name": name,
        "metric": metric,
        "unit": unit,
        "loss": _thinned(loss),
        "score": [list(pair) for pair in score],
        "rate": _thinned([(r.step, r.learning_rate) for r in records if r.step > 0]),
        "epoch": max((float(r.epoch) for r in records), default=0.0),
        "steps": max(steps, last),
    }


def candidates_view(
    candidates: tuple[Candidate, ...], chosen: str, *, metric: str, unit: str
) -> Json:
    """The pruned models so far."""
    rows = [
        {
            "name": c.name,
            "macs": int(c.preview.macs),
            "params": int(c.preview.params),
            "bytes": int(c.preview.bytes),
            "drop": _number(c.preview.drop),
            "epochs": c.epochs,
            "score": c.score,
            "quantized": c.quantized,
            "ratios": {layer: float(ratio) for layer, ratio in c.ratios.items() if ratio > 0},
        }
        for c in candidates
    ]
    return {"rows": rows, "chosen": chosen, "metric": metric, "unit": unit}


def comparison_view(
    comparison: Comparison | None, *, unit: str = "%", candidates: Iterable[Candidate] = ()
) -> Json:
    """One row a trial, as `Comparison.to_frame` has them; with what was predicted of candidates."""
    known = {c.name: c for c in candidates}
    if comparison is None:
        return {}
    frame = comparison.to_frame()
    metric = metric_column(list(frame.columns))
    rows = [
        {
            "name": str(row["name"]),
            "score": _number(row[metric]),
            "drop": _number(row["drop"]),
            "macs": int(row["macs"]),
            "params": int(row["params"]),
            "bytes": int(row["bytes"]),
            "latency": _number(row.get("latency_ms")),
            "latency_low": _number(row.get("latency_low")),
            "latency_high": _number(row.get("latency_high")),
            "pareto": bool(row["pareto"]),
            **_predicted(known.get(str(row["name"]))),
        }
        for row in frame.to_dict("records")
    ]
    return {"metric": metric, "unit": unit, "batch": LATENCY_BATCH, "rows": rows}


def _predicted(candidate: Candidate | None) -> Json:
    """The drop predicted before the cut, and that measured right after it."""
    if candidate is None:
        return {"predicted": None, "cut_drop": None}
    return {"predicted": _number(candidate.preview.drop), "cut_drop": candidate.cut_drop}


def metric_column(columns: list[str]) -> str:
    """The column of a comparison that holds the main metric: the one after the name.

    Examples
    --------
    >>> from slimlab_widgets.views import metric_column
    >>> metric_column(["name", "top1", "drop", "macs"])
    'top1'
    """
    return columns[columns.index("name") + 1]


def job_view(progress: Progress) -> Json:
    """The running job, or how the last one ended."""
    left = progress.left
    return {
        "kind": progress.kind,
        "status": progress.status,
        "label": progress.label,
        "done": progress.done,
        "total": progress.total,
        "elapsed": round(progress.elapsed, 1),
        "left": None if left is None else round(left, 1),
        "message": progress.message,
        "details": progress.details,
        "warning": progress.warning,
    }


def _point(cell: Cell, sensitivity: Sensitivity) -> list[float]:
    """Ratio, metric and the ends of its interval, as far as a screen shows them.

    There are thousands, sent again and again while a scan runs: a list, and few digits.
    """
    low, high = sorted(sensitivity.value(end) for end in (cell.low, cell.high))
    values = (sensitivity.value(cell.drop), low, high)
    return [_short(cell.ratio, 12), *(_short(value, 6) for value in values)]


def _short(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")


def _thinned(points: list[tuple[int, float]]) -> list[list[float]]:
    """Means of neighbouring points where there are too many; the last point stays as it is."""
    if len(points) <= _MOST_POINTS:
        return [[step, value] for step, value in points]
    groups = np.array_split(np.asarray(points[:-1], dtype=float), _MOST_POINTS - 1)
    means = [[round(float(g[:, 0].mean()), 1), float(g[:, 1].mean())] for g in groups]
    return [*means, [points[-1][0], points[-1][1]]]


def _number(value: Any) -> float | None:
    if value is None or math.isnan(value):
        return None
    return float(value)


def _text(row: Mapping[str, Any] | None, column: str) -> str:
    value = None if row is None else row[column]
    return value if isinstance(value, str) else ""


def _shape(value: Any) -> str:
    return " × ".join(str(n) for n in value[1:]) if len(value) else ""
