"""Top floor. `Workbench`: the one mutable object, which holds one frozen `State` and replaces it.

Every button of the page is a method here, and every method is a call into the core that runs as a
job, so that the kernel stays free. Callbacks of the browser come in other threads: the state is
replaced under a lock, and nothing waits for anything.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import slimlab as sl
from slimlab.errors import SlimLabError
from slimlab_widgets import views, works
from slimlab_widgets.jobs import Jobs, Progress, Runner, Work, in_thread, last_line, once
from slimlab_widgets.panel import Panel
from slimlab_widgets.panels import describe_history, that_cut
from slimlab_widgets.publisher import Publisher
from slimlab_widgets.scratch import Scratch
from slimlab_widgets.screen import Screen
from slimlab_widgets.state import Running, Settings, State, folder_for, parse_ratios, write_ratios

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from paddle.nn import Layer

    from slimlab import Comparison, Graph, Ratios, Sensitivity, Task, Trial
    from slimlab.steps import Step
    from slimlab_widgets.state import Candidate


class Workbench(Panel):
    """Compress a model by hand: scan, pick, prune, fine-tune, compare, save.

    Show it as the last line of a cell. Long work runs beside the kernel, which stays free for other
    cells; `wait` blocks until it is over.

    Parameters
    ----------
    model
        A trained model; it is never changed.
    task
        Its data and metrics.
    graph
        The model's trace, where it is at hand.
    sensitivity
        A scan to start from, complete or not.
    settings
        What the controls say at first.
    run
        How jobs run: in a thread, or `jobs.inline` in scripts and tests.

    Examples
    --------
    >>> import slimlab as sl, slimlab_widgets as slw
    >>> task = sl.load_task("digits")
    >>> bench = slw.Workbench(sl.load_model("mobilenet_v1", task), task)
    >>> bench.pick_uniform(0.5)         # the Set uniform button
    >>> bench.prune()                   # the Prune button: starts a job
    >>> bench.wait()
    True
    >>> bench.candidates[0].name
    'uniform 0.50'
    """

    def __init__(
        self,
        model: Layer,
        task: Task,
        *,
        graph: Graph | None = None,
        sensitivity: Sensitivity | None = None,
        settings: Settings | None = None,
        run: Runner = in_thread,
    ) -> None:
        super().__init__(kind="workbench")
        self.model, self.task = model, task
        self.graph: Graph = sl.trace(model, task.example) if graph is None else graph
        self._state_lock = threading.RLock()
        self._publisher = Publisher(self._set_traits)
        self._screen = Screen(self.graph, task, self._publisher)
        self._jobs = Jobs(self._on_progress, run=run)
        self._was_busy = False
        self._scratch = Scratch()
        self._state = State(
            settings=settings or Settings(images=min(1000, len(task.test))),
            sensitivity=sensitivity,
            ratios=sl.Ratios({}),
            ratios_name="picked",
        )
        self.heading_view = {
            "model": type(model).__name__,
            "task": f"{task.name}, {len(task.test):,} test images",
        }
        self.graph_view = views.graph_view(self.graph)
        self._screen.show(None, self._state)
        self._screen.show_job(lambda: self._jobs.progress)
        self._publisher.flush()

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
        return self._state.ratios or sl.Ratios({})

    @ratios.setter
    def ratios(self, ratios: Mapping[str, float]) -> None:
        self._pick(ratios, "picked")

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

    # The buttons.

    def scan(self, **settings: Any) -> None:
        """Measure every layer at every ratio; `images=`, `ratios=`, `criterion=`."""
        if isinstance(settings.get("ratios"), (tuple, list)):
            settings["ratios"] = write_ratios(tuple(settings["ratios"]))
        self.change(**settings)
        asked = self._state.settings
        ratios, path = parse_ratios(asked.ratios), self._scratch.new_scan()
        grid = works.Grid(ratios, asked.criterion, asked.images, path=path)
        self._jobs.start(works.scan(self.model, self.task, grid, keep=self._keep))

    def resume(self) -> None:
        """Measure what an earlier scan left out, with its own settings."""
        known = self._state.sensitivity
        if known is None:
            msg = "There is no scan to resume. Press Scan first."
            raise SlimLabError(msg)
        grid = works.Grid(known.ratios, known.criterion, known.images, known, self._scratch.scan)
        self._jobs.start(works.scan(self.model, self.task, grid, keep=self._keep))

    def stop(self) -> None:
        """Stop the running job and keep what it has so far."""
        self._jobs.stop()

    def pick_uniform(self, ratio: float) -> None:
        """Give every layer the same pruning ratio."""
        self._pick(sl.uniform_ratios(self.graph, ratio=ratio), f"uniform {ratio:.2f}")
        self.change(uniform=ratio)

    def pick_drop(self, drop: float) -> None:
        """Give each layer the largest ratio whose predicted drop is at most `drop` points."""
        if self._state.sensitivity is None:
            msg = "An accepted drop needs a sensitivity. Press Scan first."
            raise SlimLabError(msg)
        ratios = sl.ratios_within_drop(self._state.sensitivity, drop=drop)
        self._pick(that_cut(ratios, self.graph), f"drop at most {drop:g}")
        self.change(drop=drop)

    def clear(self) -> None:
        """Prune nothing."""
        self._pick({}, "picked")

    def prune(self, name: str | None = None) -> None:
        """Cut the picked ratios out of a copy of the model, which becomes a candidate."""
        state = self._state
        free = state.free_name((name or "").strip() or state.ratios_name)

        def done(candidate: Candidate, _partial: bool) -> str:
            self._update(
                lambda s: replace(
                    s.with_candidate(candidate), settings=replace(s.settings, folder="")
                )
            )
            removed = candidate.preview.macs_removed
            return (
                f"Pruned '{free}': {removed:.0%} of the MACs removed. "
                "Fine-tune it in step 3 or compare it in step 4."
            )

        cut = lambda: works.prune(self.model, self.graph, state, free)  # noqa: E731
        self._jobs.start(Work("prune", "Pruning", lambda: once(cut, free), done))

    def fine_tune(self, name: str | None = None, **settings: Any) -> None:
        """Train a candidate on; `epochs=`, `learning_rate=`, `teacher=` change settings."""
        self.change(**settings)
        candidate, asked = self._state.candidate(name), self._state.settings

        def step(step: Step[Any]) -> None:
            self._update(
                lambda s: replace(s, running=Running(candidate.name, step.item, step.total))
            )

        def done(result: tuple[Layer, Any], partial: bool) -> str:
            new = works.tuned(candidate, *result)
            running = Running(candidate.name, result[1], self._state.running.steps)
            self._update(lambda s: replace(s.with_candidate(new), running=running))
            said = describe_history(result[1], self.task.metric.name, self.task.metric.unit)
            return f"{'Stopped; kept' if partial else 'Fine-tuned'} '{candidate.name}': {said}"

        self._jobs.start(
            Work(
                "fine-tune",
                f"Fine-tuning '{candidate.name}'",
                lambda: sl.iter_fine_tune(
                    candidate.model,
                    self.task,
                    epochs=asked.epochs,
                    learning_rate=asked.learning_rate,
                    teacher=self.model if asked.teacher else None,
                ),
                done,
                step,
            )
        )

    def compare(self) -> None:
        """Measure the baseline and every candidate that has changed since it was measured."""
        state = self._state

        def show(trials: tuple[Trial, ...]) -> None:
            self._update(lambda s: s.with_trials(trials))

        def done(trials: tuple[Trial, ...], partial: bool) -> str:
            if trials:
                show(trials)
            return f"{'Stopped; compared' if partial else 'Compared'} {len(trials)} models."

        work = lambda: works.iter_trials(self.model, self.task, state)  # noqa: E731
        self._jobs.start(Work("compare", "Measuring", work, done, lambda s: show(s.item)))

    def choose(self, name: str) -> None:
        """Make a candidate the one that Fine-tune and Save take."""
        chosen = self._state.candidate(name).name
        self._update(lambda s: replace(s, chosen=chosen, settings=replace(s.settings, folder="")))

    def save(self, name: str | None = None, folder: str | None = None) -> None:
        """Write a candidate to a folder, from which `sl.load` reads it in another process."""
        candidate = self._state.candidate(name)
        where = (folder or "").strip() or self._state.settings.folder
        where = where or folder_for(candidate.name)

        def done(_artifact: object, _partial: bool) -> str:
            return f"Saved '{candidate.name}' to {where}. Read it back with sl.load({where!r})."

        write = lambda: sl.save(candidate.model, where)  # noqa: E731
        self._jobs.start(Work("save", "Saving", lambda: once(write, where), done))

    def change(self, **settings: Any) -> None:
        """Change what the controls say."""
        self._update(lambda s: replace(s, settings=s.settings.with_facts(settings)))

    def handle(self, event: str, facts: Mapping[str, Any]) -> None:
        """Carry out a click: each is one of the methods above."""
        actions: dict[str, Callable[..., None]] = {
            "scan": self.scan,
            "resume": self.resume,
            "stop": self.stop,
            "uniform": lambda value: self.pick_uniform(value),
            "drop": lambda value: self.pick_drop(value),
            "clear": lambda value: self.clear(),
            "ratios": lambda ratios, **origin: self._pick(ratios, "picked", origin),
            "prune": self.prune,
            "fine_tune": self.fine_tune,
            "compare": self.compare,
            "choose": self.choose,
            "save": self.save,
            "settings": self.change,
        }
        if event in actions:
            actions[event](**facts)

    def on_error(self, error: Exception) -> None:
        """Show what went wrong in the status line."""
        if isinstance(error, SlimLabError):
            self._jobs.note(str(error), error=True)
        else:
            details = "".join(traceback.format_exception(error))
            self._jobs.note(last_line(error), error=True, details=details)

    def figures(self) -> list[Figure]:
        """Pictures of what is on the bench, for a notebook that is opened without a kernel."""
        return self._screen.figures(self._state)

    def summary(self) -> str:
        """What is on the bench, in words."""
        return self._screen.summary(self._state, self.heading_view)

    def _keep(self, sensitivity: Sensitivity | None) -> None:
        self._update(lambda s: replace(s, sensitivity=sensitivity))

    def _pick(
        self, ratios: Mapping[str, float], name: str, asked_by: Mapping[str, Any] | None = None
    ) -> None:
        # Refuses layers that don't exist, and gives tied layers the name of their group.
        checked = sl.Ratios(sl.Ratios(ratios).of_groups(self.graph))
        self._update(
            lambda s: replace(
                s,
                ratios=checked,
                ratios_name=name,
                asked_by=asked_by or {},
                revision=s.revision + 1,
            )
        )

    def _update(self, change: Callable[[State], State]) -> None:
        with self._state_lock:
            old, self._state = self._state, change(self._state)
            self._screen.show(old, self._state)

    def _set_traits(self, values: Mapping[str, object]) -> None:
        for name, value in values.items():
            setattr(self, name, value)

    def _on_progress(self, progress: Progress) -> None:
        self._screen.show_job(lambda: self._jobs.progress)
        ended, self._was_busy = self._was_busy and not progress.busy, progress.busy
        if ended:
            self._publisher.flush()
            try:
                self.refresh_static()
            except Exception as error:
                self.on_error(error)
