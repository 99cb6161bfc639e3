"""Floor 3. What any ratios would cost and save, and afterwards how right that was.

Knows curves and costs; changes no model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import pandas as pd

from slimlab.allocate.reach import RESOURCES
from slimlab.allocate.time_tables import check_belongs
from slimlab.cost import removed_share
from slimlab.graph import Graph
from slimlab.profile import Profile
from slimlab.ratios import Ratios, kept_channels
from slimlab.sensitivity import Sensitivity
from slimlab.timing import TimeTable


@dataclass(frozen=True)
class Preview:
    """What ratios would cost and save, before anything is pruned.

    Attributes
    ----------
    macs, params, bytes
        Totals after pruning: multiply-adds an image, trainable parameters, bytes on disk. Exact.
    macs_removed, params_removed, bytes_removed
        Shares removed, 0 to 1.
    drop
        Predicted drop in points before fine-tuning, from the layers' own drops (they are taken to
        hurt independently, see `Sensitivity.together`); None without a sensitivity table.
    widths
        Layer to channels before and after.
    latency, latency_removed
        Predicted milliseconds of the pruned network, and the share of the time that is gone; None
        without measured times.

    Examples
    --------
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> graph = sl.trace(model, task.example)
    >>> seen = sl.preview(graph, {graph.layers[0]: 0.5})
    >>> before, after = seen.widths[graph.layers[0]]
    >>> after == before // 2, seen.macs < graph.macs
    (True, True)
    """

    macs: int
    params: int
    bytes: int
    macs_removed: float
    params_removed: float
    bytes_removed: float
    drop: float | None
    widths: Mapping[str, tuple[int, int]]
    latency: float | None = None
    latency_removed: float | None = None

    def to_frame(self) -> pd.DataFrame:
        """One row a layer: `layer, width, kept`."""
        rows = [(layer, before, after) for layer, (before, after) in self.widths.items()]
        return pd.DataFrame(rows, columns=["layer", "width", "kept"])


def preview(
    graph: Graph,
    ratios: Mapping[str, float],
    sensitivity: Sensitivity | None = None,
    times: TimeTable | None = None,
) -> Preview:
    """Predict what ratios cost and save; fast enough for a slider.

    Parameters
    ----------
    graph
        The traced model.
    ratios
        Layer to the share of its channels that is removed.
    sensitivity
        Where the predicted drop comes from; layers that were not scanned add nothing to it.
    times
        Where the predicted latency comes from: what `measure_times` gave for this network.

    Raises
    ------
    PlanError
        For a layer that can't be pruned, a ratio outside [0, 1), or times of another network.

    Examples
    --------
    >>> import slimlab as sl
    >>> model = sl.load_model("mobilenet_v1")
    >>> graph = sl.trace(model, sl.load_task("digits").example)
    >>> sl.preview(graph, sl.uniform_ratios(graph, ratio=0.5)).macs_removed > 0.6
    True
    """
    groups = (ratios if isinstance(ratios, Ratios) else Ratios(ratios)).of_groups(graph)
    before = {group.name: group.width for group in graph.groups}
    kept = {n: kept_channels(width, groups.get(n, 0.0)) for n, width in before.items()}
    whole, small = graph.cost.totals(), graph.cost.totals(kept)
    drop = None
    if sensitivity is not None:
        scanned = set(sensitivity.layers)
        # A ratio too small to remove a single channel costs nothing.
        cut = [n for n in groups if n in scanned and kept[n] < before[n]]
        drop = sensitivity.together(sensitivity.predicted_drop(n, groups[n]) for n in cut)
    latency = latency_removed = None
    if times is not None:
        check_belongs(times, graph)
        latency = times.predict(kept)
        latency_removed = 1 - latency / times.whole
    return Preview(
        small.macs,
        small.params,
        small.bytes,
        removed_share(whole.macs, small.macs),
        removed_share(whole.params, small.params),
        removed_share(whole.bytes, small.bytes),
        drop,
        MappingProxyType({n: (before[n], kept[n]) for n in before}),
        latency,
        latency_removed,
    )


def predicted_against_actual(
    expected: Preview,
    after: Graph | Profile,
    *,
    drop: float | None = None,
    latency: float | None = None,
) -> pd.DataFrame:
    """What was predicted for ratios, beside what the pruned model really is.

    Costs are exact, so any difference in them is worth a question; drop and latency are estimates.

    Parameters
    ----------
    expected
        The preview of the ratios that were used.
    after
        Graph or profile of the pruned model.
    drop
        Measured drop in points; the row is left out when it, or the predicted one, is None.
    latency
        Measured milliseconds; the same.

    Returns
    -------
    DataFrame
        One row a quantity: `quantity, predicted, actual, difference` (actual less predicted).

    Examples
    --------
    >>> import slimlab as sl
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> graph = sl.trace(model, task.example)
    >>> ratios = sl.uniform_ratios(graph, macs=0.5)
    >>> small = sl.prune(model, sl.plan_pruning(model, graph, ratios))
    >>> report = sl.predicted_against_actual(
    ...     sl.preview(graph, ratios), sl.profile(small, task.example)
    ... )
    >>> report["difference"].tolist()
    [0.0, 0.0, 0.0]
    """
    rows = [(n, float(getattr(expected, n)), float(getattr(after, n))) for n in RESOURCES]
    if drop is not None and expected.drop is not None:
        rows.append(("drop", expected.drop, drop))
    if latency is not None and expected.latency is not None:
        rows.append(("latency", expected.latency, latency))
    names = ["quantity", "predicted", "actual", "difference"]
    return pd.DataFrame([(n, p, a, a - p) for n, p, a in rows], columns=names)
