"""Top floor. The single panels: a value in, a picture out; the ratio picker gives ratios back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import slimlab as sl
from slimlab.errors import PlanError
from slimlab_widgets import views
from slimlab_widgets.panel import Panel
from slimlab_widgets.picks import EVENTS, Pick, Picks, that_cut

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from slimlab import Comparison, Graph, History, Preview, Ratios, Sensitivity


class SensitivityView(Panel):
    """Curves of accuracy against pruning ratio, or against the bits of the weights.

    Hover names a layer, a click shows its interval.

    Parameters
    ----------
    sensitivity
        What `scan_sensitivity` or `quant_sensitivity` measured, complete or not.
    """

    def __init__(self, sensitivity: Sensitivity) -> None:
        super().__init__(kind="sensitivity", curves_view=views.curves_view(sensitivity))
        self._sensitivity = sensitivity

    @property
    def sensitivity(self) -> Sensitivity:
        """The scan that is shown; settable."""
        return self._sensitivity

    @sensitivity.setter
    def sensitivity(self, value: Sensitivity) -> None:
        self._sensitivity = value
        self.curves_view = views.curves_view(value)

    def figures(self) -> list[Figure]:
        """The curves."""
        return [sl.plots.sensitivity_curves(self._sensitivity)]

    def summary(self) -> str:
        """What was measured, in words."""
        s = self._sensitivity
        across, before = f"{len(s.ratios)} pruning ratios", "with nothing pruned"
        if s.bits is not None:
            across, before = f"{', '.join(map(str, s.bits))} bits", "in float"
        return (
            f"Sensitivity of {len(s.layers)} layers at {across} "
            f"({len(s.cells)} cells measured; {s.criterion}; "
            f"{s.metric} {s.baseline:.1f}{s.unit} {before})."
        )


class RatioPicker(Panel):
    """Pick a pruning ratio for each layer: drag a point along its curve, or use the sliders.

    Parameters
    ----------
    sensitivity
        A scan, complete or not.
    graph
        The traced model it belongs to.
    ratios
        Where to start; nothing pruned when None.

    Examples
    --------
    >>> import slimlab as sl, slimlab_widgets as slw
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("mobilenet_v1", task)
    >>> sensitivity = sl.scan_sensitivity(model, task, ratios=[0.5], images=50, progress=False)
    >>> picker = slw.RatioPicker(sensitivity, sl.trace(model, task.example), {"stem": 0.5})
    >>> picker.ratios                   # shown in a notebook, they follow the hand
    Ratios({'stem': 0.5})
    """

    def __init__(
        self, sensitivity: Sensitivity, graph: Graph, ratios: Mapping[str, float] | None = None
    ) -> None:
        if sensitivity.bits is not None:
            msg = (
                "This table is one of bits, not of pruning ratios: look at it with SensitivityView,"
                " and let sl.bits_for_budget choose bits for each layer."
            )
            raise PlanError(msg, criterion=sensitivity.criterion)
        super().__init__(
            kind="picker",
            curves_view=views.curves_view(sensitivity),
            graph_view=views.graph_view(graph),
            settings_view={"uniform": 0.5, "drop": 1.0},
        )
        self._sensitivity = sensitivity
        self._graph = graph
        self._picks = Picks(Pick(self._checked(ratios or {})))
        self._show({})

    @property
    def ratios(self) -> Ratios:
        """The picked ratios; settable with any mapping of layer to ratio."""
        return self._picks.now.ratios

    @property
    def picks(self) -> Picks:
        """The picked ratios, those before them, and those with a name."""
        return self._picks

    @ratios.setter
    def ratios(self, ratios: Mapping[str, float]) -> None:
        self._set(ratios)

    @property
    def preview(self) -> Preview:
        """What the kernel predicts for the picked ratios."""
        return self._preview

    def handle(self, event: str, facts: Mapping[str, Any]) -> None:
        """Take ratios from the browser."""
        if event == "touch":
            return  # a hand is on a control; nothing here would take it away
        if event == "ratios":
            pick = Pick(self._checked(facts["ratios"]))
            mark = f"{facts['view']}:{facts['stroke']}" if facts.get("stroke") else None
            self._picks = self._picks.with_pick(pick, stroke=mark)
            self._show({"view": facts["view"], "seq": facts["seq"]})
        elif event == "uniform":
            self._set(sl.uniform_ratios(self._graph, ratio=facts["value"]))
        elif event == "drop":
            found = sl.ratios_within_drop(self._sensitivity, drop=facts["value"])
            self._set(that_cut(found, self._graph))
        elif event == "clear":
            self._set({})
        elif event in EVENTS:
            self._picks = self._picks.after(event, facts)
            self._show({})
        self.job_view = {}

    def figures(self) -> list[Figure]:
        """The curves with the picked points, and the widths before and after."""
        return [
            sl.plots.sensitivity_curves(self._sensitivity, ratios=self.ratios),
            sl.plots.pruned_widths(self._graph, self.ratios),
        ]

    def summary(self) -> str:
        """The totals that the picked ratios give."""
        return describe(self._preview, self._graph)

    def _set(self, ratios: Mapping[str, float]) -> None:
        self._picks = self._picks.with_pick(Pick(self._checked(ratios)))
        self._show({})

    def _checked(self, ratios: Mapping[str, float]) -> Ratios:
        return sl.Ratios(sl.Ratios(ratios).of_groups(self._graph))

    def _show(self, origin: dict[str, Any]) -> None:
        pick = self._picks.now
        self._preview = sl.preview(self._graph, pick.ratios, self._sensitivity)
        self.picked_view = views.picked_view(
            pick.ratios, self._preview, name=pick.name, origin=origin
        )
        self.picks_view = views.picks_view(self._picks, self._graph, self._sensitivity)


class RunView(Panel):
    """Loss and accuracy of a training.

    Parameters
    ----------
    history
        What `sl.fine_tune` gave.
    name
        Of the model that was trained.
    metric, unit
        Of the accuracies in the history.
    """

    def __init__(
        self, history: History, *, name: str = "", metric: str = "top1", unit: str = "%"
    ) -> None:
        super().__init__(kind="run")
        self._name, self._metric, self._unit = name, metric, unit
        self.history = history

    @property
    def history(self) -> History:
        """The training that is shown; settable."""
        return self._history

    @history.setter
    def history(self, value: History) -> None:
        self._history = value
        self.run_view = views.run_view(self._name, value, metric=self._metric, unit=self._unit)

    def figures(self) -> list[Figure]:
        """Loss and accuracy against steps."""
        return [sl.plots.training_history(self._history)]

    def summary(self) -> str:
        """How the training went, in words."""
        return describe_history(self._history, self._metric, self._unit)


class ComparisonView(Panel):
    """Strategies side by side: a table, and accuracy against MACs, bytes or latency.

    Parameters
    ----------
    comparison
        What `sl.compare` gave.
    """

    def __init__(self, comparison: Comparison) -> None:
        super().__init__(kind="comparison", comparison_view=views.comparison_view(comparison))
        self._comparison = comparison

    @property
    def comparison(self) -> Comparison:
        """The comparison that is shown; settable."""
        return self._comparison

    @comparison.setter
    def comparison(self, value: Comparison) -> None:
        self._comparison = value
        self.comparison_view = views.comparison_view(value)

    def figures(self) -> list[Figure]:
        """The trade-off plot."""
        return [sl.plots.tradeoff(self._comparison)]

    def summary(self) -> str:
        """The table as text."""
        return str(self._comparison.to_frame().to_string(index=False))


def describe(preview: Preview, graph: Graph) -> str:
    """What a set of ratios would give, in one sentence."""
    drop = "" if preview.drop is None else f", predicted drop {preview.drop:.1f} points"
    pruned = sum(after < before for before, after in preview.widths.values())
    return (
        f"{pruned} of {len(graph.groups)} layers pruned: "
        f"{preview.macs:,} MACs (-{preview.macs_removed:.0%}), "
        f"{preview.params:,} parameters (-{preview.params_removed:.0%}), "
        f"{preview.bytes:,} bytes (-{preview.bytes_removed:.0%}){drop}."
    )


def describe_history(history: History, metric: str, unit: str) -> str:
    """How a training went, in one sentence."""
    steps = max((r.step for r in history.records), default=0)
    scores = [r.metric for r in history.records if r.metric is not None]
    if not scores:
        return f"{steps} steps."
    word = "accuracy" if metric == "top1" else metric
    return f"{steps} steps; {word} {scores[0]:.1f} {unit} before, {scores[-1]:.1f} {unit} after."
