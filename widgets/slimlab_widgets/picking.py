"""Top floor. `Picking`: how ratios are picked, by presets, by budget, and back and forth."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import slimlab as sl
from slimlab.allocate import Budget
from slimlab.errors import SlimLabError
from slimlab_widgets import works
from slimlab_widgets.bench import Bench
from slimlab_widgets.jobs import Work, once
from slimlab_widgets.picks import Picks, that_cut

if TYPE_CHECKING:
    from slimlab import Ratios, TimeTable


class Picking(Bench):
    """A bench on which ratios are picked; see `Workbench` for its parameters."""

    def pick_uniform(self, ratio: float) -> None:
        """Give every layer the same pruning ratio."""
        ratios = sl.uniform_ratios(self.graph, ratio=ratio)
        call = f"sl.uniform_ratios(graph, ratio={ratio!r})"
        self._pick(ratios, f"uniform {ratio:.2f}", call)
        self.change(uniform=ratio)

    def pick_drop(self, drop: float) -> None:
        """Give each layer the largest ratio whose predicted drop is at most `drop` points."""
        if self._state.sensitivity is None:
            msg = "An accepted drop needs a sensitivity. Press Scan first."
            raise SlimLabError(msg)
        ratios = sl.ratios_within_drop(self._state.sensitivity, drop=drop)
        call = f"sl.ratios_within_drop(sensitivity, drop={drop!r})"
        self._pick(that_cut(ratios, self.graph), f"drop at most {drop:g}", call)
        self.change(drop=drop)

    def pick_budget(self, **shares: float) -> None:
        """Give the layers the ratios of least predicted drop that remove these shares.

        Parameters
        ----------
        **shares
            `macs=`, `bytes=`, `latency=`: shares of the network to remove; 0 leaves one free, and
            those left out are what they were.
        """
        self.change(**{f"remove_{name}": share for name, share in shares.items()})
        state = self._state
        wanted = {name: share for name, share in state.settings.budget.items() if share > 0}
        if wanted.get("latency") and state.times is None:
            msg = "A budget of latency needs measured times. Press Time the layers first."
            raise SlimLabError(msg)
        budget = Budget(**wanted, times=state.times)
        words = [f"{name}={share!r}" for name, share in wanted.items()]
        words += ["times=times"] if "latency" in wanted else []
        call = f"sl.ratios_for_budget(graph, sensitivity, {', '.join(words)})"
        name = str(budget)

        def done(ratios: Ratios, _partial: bool) -> str:
            self._pick(that_cut(ratios, self.graph), name, call)
            return f"Picked for {name}: no other ratios promise a smaller drop."

        find = lambda: works.for_budget(self.graph, state, budget)  # noqa: E731
        self._jobs.start(Work("budget", f"Picking for {name}", lambda: once(find, name), done))

    def measure_times(self) -> None:
        """Measure how long each layer takes at each width, so that time can be a budget."""

        def keep(times: TimeTable) -> None:
            self._update(lambda s: replace(s, times=times, revision=s.revision + 1))

        def done(times: TimeTable, _partial: bool) -> str:
            keep(times)
            said = f" {times.warning}" if times.warning else ""
            return f"Timed {len(times.layers)} layers; latency can be a budget now.{said}"

        def steps() -> Any:
            return sl.iter_measure_times(self.model, self.graph, self.task.example)

        self._jobs.start(Work("times", "Timing the layers", steps, done, timed=True))

    def clear(self) -> None:
        """Prune nothing."""
        self._pick({}, "picked")

    def undo(self) -> None:
        """Go back to what was picked before."""
        self._set_picks(Picks.undo)

    def redo(self) -> None:
        """Go forward again after `undo`."""
        self._set_picks(Picks.redo)

    def keep(self, name: str = "") -> None:
        """Give the picked ratios a name, under which `take` picks them again."""
        self._set_picks(lambda picks: picks.keep(name))

    def take(self, name: str) -> None:
        """Pick the ratios that were given this name."""
        self._set_picks(lambda picks: picks.take(name))

    def reuse(self, name: str) -> None:
        """Pick the ratios that a pruned model was cut with."""
        candidate = self._state.candidate(name)
        self._pick(candidate.ratios, candidate.name)

    def forget(self, name: str) -> None:
        """Forget the ratios of this name."""
        self._set_picks(lambda picks: picks.forget(name))

    def change(self, **settings: Any) -> None:
        """Change what the controls say."""
        self._update(lambda s: replace(s, settings=s.settings.with_facts(settings)))
