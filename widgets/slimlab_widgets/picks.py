"""Top floor. What is picked, what was picked before, and what was given a name; a frozen value.

Knows ratios and nothing of sensitivities, widgets or the browser.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import slimlab as sl
from slimlab import Ratios
from slimlab.errors import SlimLabError, nearest

# Older picks than this are forgotten.
MOST = 200
EVENTS = ("undo", "redo", "keep", "take", "forget")


@dataclass(frozen=True)
class Pick:
    """Ratios for a network.

    Attributes
    ----------
    ratios
        Layer to pruning ratio.
    name
        What a model pruned so would be called.
    call
        The core's call that gave the ratios, as code; empty where a hand set them.
    """

    ratios: Ratios = field(default_factory=Ratios)
    name: str = "picked"
    call: str = ""


@dataclass(frozen=True)
class Picks:
    """The present pick with its past, its future and the named ones.

    Attributes
    ----------
    now
        What is picked.
    past, future
        What undo and redo go to; the nearest is last.
    snapshots
        Name to pick, in the order in which they were named.
    stroke
        The stroke of a hand that the present pick is part of; None after all else.

    Examples
    --------
    >>> from slimlab_widgets.picks import Pick, Picks
    >>> import slimlab as sl
    >>> picks = Picks().with_pick(Pick(sl.Ratios({"stem": 0.5}))).keep("half")
    >>> picks.undo().now.ratios, picks.undo().redo().now.ratios
    (Ratios({}), Ratios({'stem': 0.5}))
    >>> picks.undo().take("half").now.ratios
    Ratios({'stem': 0.5})
    """

    now: Pick = field(default_factory=Pick)
    past: tuple[Pick, ...] = ()
    future: tuple[Pick, ...] = ()
    snapshots: tuple[tuple[str, Pick], ...] = ()
    stroke: str | None = None

    def with_pick(self, pick: Pick, *, stroke: str | None = None) -> Picks:
        """With this pick in place of the present one, which becomes the past.

        Parameters
        ----------
        pick
            What is picked now.
        stroke
            The stroke of a hand that moved to it: all moves of one stroke become one step of undo.
            None where no hand did.
        """
        if not _moved(self.now.ratios, pick.ratios):
            return replace(self, now=pick)
        goes_on = stroke is not None and stroke == self.stroke
        past = self.past if goes_on else (*self.past, self.now)[-MOST:]
        return Picks(pick, past, (), self.snapshots, stroke)

    def undo(self) -> Picks:
        """One step back; the same where there is none."""
        if not self.past:
            return self
        return Picks(self.past[-1], self.past[:-1], (*self.future, self.now), self.snapshots)

    def redo(self) -> Picks:
        """One step forward again; the same where there is none."""
        if not self.future:
            return self
        return Picks(self.future[-1], (*self.past, self.now), self.future[:-1], self.snapshots)

    def keep(self, name: str = "") -> Picks:
        """Give the present pick a name, in place of an older one of this name."""
        name = name.strip()[:80] or self._free(self.now.name)
        others = tuple(pair for pair in self.snapshots if pair[0] != name)
        return replace(self, snapshots=(*others, (name, self.now)), stroke=None)

    def take(self, name: str) -> Picks:
        """Pick what has this name.

        Raises
        ------
        SlimLabError
            When nothing has.
        """
        return self.with_pick(replace(self._named(name), name=name))

    def forget(self, name: str) -> Picks:
        """Without the snapshot of this name.

        Raises
        ------
        SlimLabError
            When there is none.
        """
        self._named(name)
        return replace(self, snapshots=tuple(p for p in self.snapshots if p[0] != name))

    def after(self, event: str, facts: Mapping[str, Any]) -> Picks:
        """What a click makes of it: one of `EVENTS`."""
        if event in {"undo", "redo"}:
            return self.undo() if event == "undo" else self.redo()
        name = str(facts.get("name") or "")
        if event == "keep":
            return self.keep(name)
        return self.take(name) if event == "take" else self.forget(name)

    def _named(self, name: str) -> Pick:
        known = dict(self.snapshots)
        if name not in known:
            hint = nearest(name, known) if known else "Nothing was kept yet."
            msg = f"No snapshot is called {name!r}. {hint}"
            raise SlimLabError(msg, name=name)
        return known[name]

    def _free(self, name: str) -> str:
        taken = dict(self.snapshots)
        number, free = 2, name
        while free in taken:
            free, number = f"{name} ({number})", number + 1
        return free


def _moved(old: Mapping[str, float], new: Mapping[str, float]) -> bool:
    """Whether the ratio of any layer differs."""
    return any(old.get(layer, 0.0) != new.get(layer, 0.0) for layer in {*old, *new})


def that_cut(ratios: Mapping[str, float], graph: sl.Graph) -> Ratios:
    """Those ratios that remove at least one channel: 0.02 of 16 channels is none."""
    widths = sl.preview(graph, ratios).widths
    return sl.Ratios({n: r for n, r in ratios.items() if widths[n][1] < widths[n][0]})
