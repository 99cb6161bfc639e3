"""Top floor. What the workbench shows: which part of the page a change of state touches.

Knows `State` and how it looks; decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import slimlab as sl
from slimlab.importance import CRITERIA
from slimlab_widgets import views
from slimlab_widgets.exportsview import exports_view
from slimlab_widgets.grids import quant_view
from slimlab_widgets.panels import describe
from slimlab_widgets.settings import folder_for
from slimlab_widgets.state import BASELINE, State
from slimlab_widgets.timesview import times_view

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from paddle.nn import Layer

    from slimlab import Graph, Preview, Task
    from slimlab_widgets.jobs import Progress
    from slimlab_widgets.publisher import Publisher


class Screen:
    """Publishes what differs between two states, and makes the static pictures.

    Parameters
    ----------
    model, graph, task
        What the states are about.
    publisher
        Where values go; they are made only when they are sent.
    """

    def __init__(self, model: Layer, graph: Graph, task: Task, publisher: Publisher) -> None:
        self._model = model
        self._weighed: tuple[Layer | None, dict[str, Any]] = (None, {})
        self._graph = graph
        self._images = len(task.test)
        self._metric = {"metric": task.metric.name, "unit": task.metric.unit}
        self._publisher = publisher
        # Each trait: what of the state it shows, and how it is made.
        self._views: dict[str, tuple[tuple[str, ...], Callable[[State], object]]] = {
            "picked_view": (("picks", "revision", "sensitivity", "times"), self._picked),
            "budget_view": (("sensitivity", "times"), self._budget),
            "exports_view": (("exports",), lambda s: exports_view(s.exports)),
            "times_view": (("times",), lambda s: times_view(s.times)),
            "picks_view": (("picks", "sensitivity"), self._picks),
            "settings_view": (("settings", "chosen"), self._settings),
            "candidates_view": (("candidates", "chosen"), self._candidates),
            "run_view": (("running",), self._run),
            "comparison_view": (("comparison", "candidates"), self._comparison),
            "quant_view": (("candidates", "weights"), self._quant),
            "pairs_view": (("candidates", "chosen", "pairing"), views.pairs_view),
            "offer_view": (("offer",), lambda s: views.offer_view(s.offer)),
            "script_view": (("script",), lambda s: asdict(s.script)),
            "curves_view": (("sensitivity",), lambda s: views.curves_view(s.sensitivity)),
        }

    def note(self, old: State | None, new: State) -> None:
        """Note what changed, without computing or sending it; everything without an old state."""
        changed: dict[str, Callable[[], object]] = {}
        for view, (fields, make) in self._views.items():
            if old is None or any(getattr(old, n) is not getattr(new, n) for n in fields):
                changed[view] = partial(make, new)
        self._publisher.hold(**changed)

    def send(self, *, answer: bool = False) -> None:
        """Publish what was noted, soon; what a hand waits for at once."""
        if answer:
            self._publisher.send_now("picked_view")
        self._publisher.look()

    def show_job(self, progress: Callable[[], Progress]) -> None:
        """Publish how far the job is when the value is sent, not when it was put."""
        self._publisher.put(job_view=lambda: views.job_view(progress()))

    def preview(self, state: State) -> Preview:
        """What the core predicts for the picked ratios."""
        return sl.preview(self._graph, state.ratios, state.sensitivity, state.times)

    def figures(self, state: State) -> list[Figure]:
        """Pictures of what is on the bench, the most advanced first."""
        plots = sl.plots
        ratios = state.ratios
        found: list[Figure] = []
        if state.comparison is not None:
            found.append(plots.tradeoff(state.comparison))
        if state.running.history is not None:
            found.append(plots.training_history(state.running.history))
        if state.sensitivity is not None and state.sensitivity.cells:
            found.append(plots.sensitivity_curves(state.sensitivity, ratios=ratios))
        if ratios or not found:
            found.append(plots.pruned_widths(self._graph, ratios))
        return found

    def summary(self, state: State, heading: Mapping[str, Any]) -> str:
        """What is on the bench, in words."""
        lines = [f"SlimLab workbench: {heading['model']} on {heading['task']}."]
        if state.sensitivity is not None:
            cells = len(state.sensitivity.layers) * len(state.sensitivity.ratios)
            lines.append(f"Scanned {len(state.sensitivity.cells)} of {cells} cells.")
        lines.append(describe(self.preview(state), self._graph))
        if state.comparison is not None:
            lines.append(str(state.comparison.to_frame().to_string(index=False)))
        return "\n".join(lines)

    def _picked(self, state: State) -> dict[str, Any]:
        pick, origin = state.picks.now, {**state.asked_by, "revision": state.revision}
        return views.picked_view(pick.ratios, self.preview(state), name=pick.name, origin=origin)

    def _budget(self, state: State) -> dict[str, Any]:
        return views.budget_view(self._graph, state.sensitivity, state.times)

    def _picks(self, state: State) -> dict[str, Any]:
        return views.picks_view(state.picks, self._graph, state.sensitivity)

    def _candidates(self, state: State) -> dict[str, Any]:
        return views.candidates_view(state.candidates, state.chosen, **self._metric)

    def _quant(self, state: State) -> dict[str, Any]:
        found = {c.name: c.model for c in state.candidates}
        # A candidate may be gone or have another name by now.
        name = state.weights if state.weights in found else BASELINE
        model = found.get(name, self._model)
        if self._weighed[0] is not model:  # what is large is looked at once
            self._weighed = (model, quant_view(name, model))
        return self._weighed[1]

    def _comparison(self, state: State) -> dict[str, Any]:
        unit = self._metric["unit"]
        return views.comparison_view(state.comparison, unit=unit, candidates=state.candidates)

    def _run(self, state: State) -> dict[str, Any]:
        name, history, steps = state.running.name, state.running.history, state.running.steps
        return views.run_view(name, history, steps=steps, **self._metric)

    def _settings(self, state: State) -> dict[str, Any]:
        folder = state.settings.folder or (folder_for(state.chosen) if state.chosen else "")
        facts = {"images_max": self._images, "criteria": list(CRITERIA)}
        return {**asdict(state.settings), "folder": folder, **facts}
