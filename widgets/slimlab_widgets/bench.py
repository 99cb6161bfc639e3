"""Top floor. `Bench`: holds the frozen `State` and the jobs, and publishes what changes.

Callbacks of the browser come in other threads: the state is replaced under a lock, and nothing
waits for anything. What can be done with it is `Workbench`, above.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slimlab as sl
from slimlab.errors import SlimLabError
from slimlab.scan.origin import origin_of
from slimlab.scan.setup import fingerprint
from slimlab.sensitivity import Fingerprint
from slimlab_widgets import views
from slimlab_widgets.jobs import Jobs, Progress, Runner, in_thread, inline, last_line
from slimlab_widgets.keeper import Keeper
from slimlab_widgets.panel import Panel
from slimlab_widgets.picks import Pick, Picks
from slimlab_widgets.publisher import Publisher
from slimlab_widgets.quiet import Quiet
from slimlab_widgets.screen import Screen
from slimlab_widgets.settings import write_ratios
from slimlab_widgets.shelf import SCANS, Shelf
from slimlab_widgets.state import Settings, State

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from paddle.nn import Layer

    from slimlab import Comparison, Graph, Ratios, Sensitivity, Task, Trial
    from slimlab_widgets.state import Candidate


# What is written down beside the scan when it has changed and the hand rests.
KEPT = ("picks", "settings", "times", "trials", "chosen", "exports")


class Bench(Panel):
    """The state of a workbench, with a picture for later; see `Workbench` for its parameters."""

    def __init__(
        self,
        model: Layer,
        task: Task,
        *,
        graph: Graph | None = None,
        sensitivity: Sensitivity | None = None,
        settings: Settings | None = None,
        scans: Path | None = SCANS,
        run: Runner = in_thread,
    ) -> None:
        super().__init__(kind="workbench")
        self.model, self.task = model, task
        self.graph: Graph = sl.trace(model, task.example) if graph is None else graph
        self._state_lock = threading.RLock()
        self._publisher = Publisher(self._set_traits, slow={"curves_view": curves_pace(self.graph)})
        self._screen = Screen(model, self.graph, task, self._publisher)
        self._jobs = Jobs(self._on_progress, run=run)
        self._was_busy = False
        # A script wants its picture before the call returns; a hand must not lose its slider.
        self._quiet = Quiet(self._renew, seconds=0.0 if run is inline else 2.0)
        self._identity = lru_cache(lambda: scan_identity(model, task))
        self._shelf = Shelf(scans, self._identity)
        self._keeper = Keeper(self._shelf, model)
        self._rested = Quiet(self._write_down, seconds=0.0 if run is inline else 1.0)
        self._state = State(
            settings=settings or first_settings(task, sensitivity),
            sensitivity=sensitivity,
        )
        self.heading_view = {
            "model": type(model).__name__,
            "task": f"{task.name}, {len(task.test):,} test images",
        }
        self.graph_view = views.graph_view(self.graph)
        self._screen.note(None, self._state)
        self._screen.show_job(lambda: self._jobs.progress)
        self._publisher.flush()
        if sensitivity is None:
            run(self._look_on_shelf)

    @property
    def state(self) -> State:
        """Everything on the bench, as one frozen value."""
        return self._state

    @property
    def sensitivity(self) -> Sensitivity | None:
        """What the scan measured so far."""
        return self._state.sensitivity

    @property
    def ratios(self) -> Ratios:
        """The picked ratios; settable with any mapping of layer to ratio."""
        return self._state.ratios

    @ratios.setter
    def ratios(self, ratios: Mapping[str, float]) -> None:
        self._pick(ratios, "picked")

    @property
    def picks(self) -> Picks:
        """The picked ratios, those before them, and those with a name."""
        return self._state.picks

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The pruned models."""
        return self._state.candidates

    @property
    def trials(self) -> tuple[Trial, ...]:
        """What was measured of the baseline and the candidates."""
        return self._state.trials

    @property
    def comparison(self) -> Comparison | None:
        """The last comparison."""
        return self._state.comparison

    @property
    def progress(self) -> Progress:
        """The running job, or how the last one ended."""
        return self._jobs.progress

    def wait(self, timeout: float | None = None) -> bool:
        """Block until no job runs; whether that was reached within `timeout` seconds."""
        return self._jobs.wait(timeout)

    def on_error(self, error: Exception) -> None:
        """Show what went wrong in the status line."""
        if isinstance(error, SlimLabError):
            self._jobs.note(str(error), error=True)
        else:
            details = "".join(traceback.format_exception(error))
            self._jobs.note(last_line(error), error=True, details=details)

    def close(self) -> None:
        """Take the bench off the page and leave its folder to others."""
        super().close()
        self._keeper.release()

    def figures(self) -> list[Figure]:
        """Pictures of what is on the bench, for a notebook that is opened without a kernel."""
        return self._screen.figures(self._state)

    def summary(self) -> str:
        """What is on the bench, in words."""
        return self._screen.summary(self._state, self.heading_view)

    def _look_on_shelf(self) -> None:
        """Offer what an earlier kernel left of this network."""
        try:
            found = self._shelf.offer()
        except Exception as error:
            self.on_error(error)
        else:
            self._update(lambda s: replace(s, offer=found if s.untouched else None))
            self._publisher.flush()

    def _keep(self, sensitivity: Sensitivity | None) -> None:
        self._update(lambda s: replace(s, sensitivity=sensitivity, offer=None))

    def _pick(self, ratios: Mapping[str, float], name: str, call: str = "") -> None:
        self._set_picks(lambda picks: picks.with_pick(Pick(self._checked(ratios), name, call)))

    def _move(self, ratios: Mapping[str, float], stroke: int = 0, **origin: Any) -> None:
        """Take ratios from a hand; `origin` tells its view the answer from an older one."""
        pick = Pick(self._checked(ratios))
        mark = f"{origin.get('view', '')}:{stroke}" if stroke else None
        self._set_picks(lambda picks: picks.with_pick(pick, stroke=mark), origin)

    def _checked(self, ratios: Mapping[str, float]) -> Ratios:
        # Refuses layers that don't exist, and gives tied layers the name of their group.
        return sl.Ratios(sl.Ratios(ratios).of_groups(self.graph))

    def _set_picks(
        self, change: Callable[[Picks], Picks], origin: Mapping[str, Any] | None = None
    ) -> None:
        self._update(
            lambda s: replace(
                s, picks=change(s.picks), asked_by=origin or {}, revision=s.revision + 1
            )
        )
        if not self.progress.busy:
            self._quiet.ask()

    def _update(self, change: Callable[[State], State]) -> None:
        with self._state_lock:
            old, self._state = self._state, change(self._state)
            self._screen.note(old, self._state)
        # Outside of the lock: large values take their time, and a hand must not wait for them.
        self._screen.send(answer=old.revision != self._state.revision)
        if old.candidates is not self._state.candidates:
            self._write_down()  # hours of training may be in them
        elif any(getattr(old, name) is not getattr(self._state, name) for name in KEPT):
            self._rested.touch()
            self._rested.ask()

    def _write_down(self) -> None:
        try:
            self._keeper.keep(self._state)
        except Exception as error:
            self.on_error(error)

    def _set_traits(self, values: Mapping[str, object]) -> None:
        with self.hold_sync():  # one message for all
            for name, value in values.items():
                setattr(self, name, value)

    def _on_progress(self, progress: Progress) -> None:
        self._screen.show_job(lambda: self._jobs.progress)
        ended, self._was_busy = self._was_busy and not progress.busy, progress.busy
        if ended:
            self._publisher.flush()
            self._quiet.ask()

    def _renew(self) -> None:
        try:
            if not self.refresh_static(self._quiet.rests):
                self._quiet.ask()
        except Exception as error:
            self.on_error(error)


def first_settings(task: Task, known: Sensitivity | None) -> Settings:
    """What the controls say at first: what a scan that is at hand was made with."""
    if known is None or known.bits is not None:
        return Settings(images=min(1000, len(task.test)))
    return Settings(
        images=known.images, ratios=write_ratios(known.ratios), criterion=known.criterion
    )


def curves_pace(graph: Graph) -> float:
    """How many times as seldom as the rest the curves are sent: they grow with the network.

    Twenty layers are drawn anew every 0.4 seconds, a hundred every second.
    """
    return min(10.0, max(4.0, len(graph.groups) / 10))


def scan_identity(model: Layer, task: Task) -> Fingerprint:
    """What a scan of this model on these data says of itself."""
    code = origin_of(task.metric).get("metric_code", "")
    return Fingerprint(fingerprint(model), task.fingerprint(), code)
