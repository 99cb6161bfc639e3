"""Top floor. `Workbench`: every button of the page is a method here.

Each method is a call into the core that runs as a job, so that the kernel stays free.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slimlab as sl
from slimlab.errors import SlimLabError
from slimlab_widgets import script, works
from slimlab_widgets.exporting import Exporting
from slimlab_widgets.jobs import Work, once
from slimlab_widgets.panels import describe_history
from slimlab_widgets.settings import folder_for, parse_ratios, write_ratios
from slimlab_widgets.state import Running, Script

if TYPE_CHECKING:
    from paddle.nn import Layer

    from slimlab import Trial
    from slimlab.steps import Step
    from slimlab_widgets.state import Candidate


class Workbench(Exporting):
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
    scans
        Folder where scans, ratios and pruned models are kept and, after the kernel was restarted,
        found again; None for one that goes with the kernel.
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

    # The buttons.

    def scan(self, **settings: Any) -> None:
        """Measure every layer at every ratio; `images=`, `ratios=`, `criterion=`."""
        if isinstance(settings.get("ratios"), (tuple, list)):
            settings["ratios"] = write_ratios(tuple(settings["ratios"]))
        self.change(**settings)
        asked = self._state.settings
        ratios = parse_ratios(asked.ratios)
        grid = works.Grid(ratios, asked.criterion, asked.images, path=self._shelf.new_scan)
        self._jobs.start(works.scan(self.model, self.task, grid, keep=self._keep))

    def resume(self) -> None:
        """Measure what an earlier scan left out, with its own settings."""
        known = self._state.sensitivity
        if known is None:
            msg = "There is no scan to resume. Press Scan first."
            raise SlimLabError(msg)
        path = self._shelf.scan or self._shelf.new_scan()
        grid = works.Grid(known.ratios, known.criterion, known.images, known, lambda: path)
        self._jobs.start(works.scan(self.model, self.task, grid, keep=self._keep))

    def stop(self) -> None:
        """Stop the running job and keep what it has so far."""
        self._jobs.stop()

    def prune(self, name: str | None = None) -> None:
        """Cut the picked ratios out of a copy of the model, which becomes a candidate."""
        state = self._state
        free = state.free_name((name or "").strip() or state.picks.now.name)

        def done(candidate: Candidate, _partial: bool) -> str:
            self._update(
                lambda s: replace(
                    s.with_candidate(candidate), settings=replace(s.settings, folder="")
                )
            )
            removed = candidate.preview.macs_removed
            return (
                f"Pruned '{free}': {removed:.0%} of the MACs removed. "
                "Fine-tune it in step 3 or compare it in step 5."
            )

        cut = lambda: works.prune(self.model, self.graph, state, free)  # noqa: E731
        self._jobs.start(Work("prune", "Pruning", lambda: once(cut, free), done))

    def fine_tune(self, name: str | None = None, **settings: Any) -> None:
        """Train a candidate on; `epochs=`, `learning_rate=`, `teacher=` change settings."""
        self.change(**settings)
        candidate, asked = self._state.candidate(name), self._state.settings
        if candidate.quantized:
            msg = f"'{candidate.name}' is on its grids. Fine-tune before quantizing it."
            raise SlimLabError(msg, name=candidate.name)
        deed = works.training(candidate, asked, self._state.pairing)

        def step(step: Step[Any]) -> None:
            self._update(
                lambda s: replace(s, running=Running(candidate.name, step.item, step.total))
            )

        def done(result: tuple[Layer, Any], partial: bool) -> str:
            steps = result[1].records[-1].step if partial else None
            new = works.tuned(candidate, *result, replace(deed, steps=steps))
            running = Running(candidate.name, result[1], self._state.running.steps)
            self._update(lambda s: replace(s.with_candidate(new), running=running))
            said = describe_history(result[1], self.task.metric.name, self.task.metric.unit)
            return f"{'Stopped; kept' if partial else 'Fine-tuned'} '{candidate.name}': {said}"

        self._jobs.start(
            Work(
                "fine-tune",
                f"Fine-tuning '{candidate.name}'",
                lambda: sl.iter_fine_tune(
                    candidate.model, self.task, **deed.keywords(teacher=self.model)
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
        each = lambda s: show(s.item)  # noqa: E731
        self._jobs.start(Work("compare", "Measuring", work, done, each, timed=True))

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

    def report(self, path: str | None = None) -> None:
        """Write what was compared as one HTML page, `report.html` beside the notebook."""
        state, where = self._state, Path((path or "").strip() or "report.html")
        title = f"{self.heading_view['model']} on {self.task.name}"

        def done(written: Path, _partial: bool) -> str:
            return f"Wrote the report to {written.resolve()}."

        write = lambda: works.report(state, self.graph, where, title)  # noqa: E731
        self._jobs.start(Work("report", "Writing the report", lambda: once(write), done))

    def code(self, name: str | None = None) -> str:
        """Python that makes a candidate again, bit for bit, without the workbench."""
        candidate = self._state.candidate(name)
        text = script.code(self._source, candidate.deeds)
        self._update(lambda s: replace(s, script=Script("code", candidate.name, text)))
        return text

    def recipe(self, name: str | None = None) -> str:
        """The same as a recipe (YAML), for `slimlab run`."""
        candidate = self._state.candidate(name)
        text = script.recipe(candidate.name, self._source, candidate.deeds)
        self._update(lambda s: replace(s, script=Script("recipe", candidate.name, text)))
        return text

    @cached_property
    def _source(self) -> script.Source:
        return script.Source.of(self.model, self.task)

    def handle(self, event: str, facts: Mapping[str, Any]) -> None:
        """Carry out a click: each is one of the methods above."""
        actions: dict[str, Callable[..., object]] = {
            "scan": self.scan,
            "resume": self.resume,
            "use_scan": self.use_scan,
            "leave_scan": self.leave_scan,
            "stop": self.stop,
            "uniform": lambda value: self.pick_uniform(value),
            "drop": lambda value: self.pick_drop(value),
            "budget": self.pick_budget,
            "times": self.measure_times,
            "clear": lambda value: self.clear(),
            "ratios": self._move,
            "undo": self.undo,
            "redo": self.redo,
            "keep": self.keep,
            "take": self.take,
            "forget": self.forget,
            "touch": lambda: None,  # a hand is on a control: the saved picture waits
            "prune": self.prune,
            "fine_tune": self.fine_tune,
            "compare": self.compare,
            "choose": self.choose,
            "save": self.save,
            "export": self.export,
            "report": self.report,
            "quantize": self.quantize,
            "suggest_pairs": self.suggest_pairs,
            "pair": self.pair,
            "look_at_weights": self.look_at_weights,
            "reuse": self.reuse,
            "code": self.code,
            "recipe": self.recipe,
            "settings": self.change,
        }
        self._quiet.touch()
        if event in actions:
            actions[event](**facts)
