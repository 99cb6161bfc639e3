"""Top floor. `Restoring`: what an earlier kernel left on the disk is offered and taken up."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from slimlab.errors import SlimLabError
from slimlab_widgets.jobs import Work
from slimlab_widgets.keeper import UNUSABLE, TakenUp
from slimlab_widgets.notes import exports_of, picks_of, settings_of, times_of, trials_of
from slimlab_widgets.pairing import Pairs
from slimlab_widgets.settings import write_ratios

if TYPE_CHECKING:
    from slimlab_widgets.shelf import Left


class Restoring(Pairs):
    """A bench that finds its work again; see `Workbench` for its parameters."""

    def use_scan(self) -> None:
        """Take up what an earlier kernel left: its scan, which `resume` goes on with, its ratios,
        snapshots and settings at once, its pruned models as a job.
        """
        offer = self._state.offer
        if offer is None:
            msg = "There is no scan of this network on the disk. Press Scan."
            raise SlimLabError(msg)
        if offer.scan is not None:
            table = offer.scan.sensitivity
            self._shelf.scan = offer.scan.path
            self._keep(table)
            self.change(
                ratios=write_ratios(table.ratios), criterion=table.criterion, images=table.images
            )
        self._update(lambda s: replace(s, offer=None))
        if offer.left is not None:
            self._take_up(offer.left)

    def leave_scan(self) -> None:
        """Don't offer that scan; its file stays."""
        self._update(lambda s: replace(s, offer=None))

    def _take_up(self, left: Left) -> None:
        left, owner = self._keeper.open(left)
        try:
            picks, settings = picks_of(left.notes), settings_of(left.notes)
            times, named = times_of(left.notes), [str(c["name"]) for c in left.notes["candidates"]]
            chosen = str(left.notes["chosen"])
        except UNUSABLE as error:
            self._keeper.release()
            msg = f"{left.folder} can't be read: {type(error).__name__} at {error}. It was left."
            raise SlimLabError(msg, path=str(left.folder)) from error
        self._update(
            lambda s: replace(
                s, picks=picks, settings=settings, times=times, revision=s.revision + 1, asked_by={}
            )
        )
        copied = f" {left.folder.name} is open in {owner}: this bench is a copy." if owner else ""
        if not named:
            self._jobs.note(f"Took up ratios and settings.{copied}")
            return
        load = lambda: self._keeper.take_up(left)  # noqa: E731

        def done(taken: TakenUp, _partial: bool) -> str:
            return self._put_back(left, taken, chosen) + copied

        self._jobs.start(Work("restore", "Loading the models", load, done))

    def _put_back(self, left: Left, taken: TakenUp, chosen: str) -> str:
        names, lost = [one.name for one in taken.candidates], taken.lost
        try:
            trials = tuple(t for t in trials_of(left.notes) if t.name not in lost)
        except UNUSABLE:
            trials = ()  # Compare measures them again
        try:
            exports, gone = exports_of(left.notes)
        except UNUSABLE:
            exports, gone = {}, ()  # their folders are there, and say what they are
        exports = {key: found for key, found in exports.items() if key[0] in names}
        kept = chosen if chosen in names else (names[-1] if names else "")
        self._update(
            lambda s: replace(s, candidates=taken.candidates, chosen=kept, exports=exports)
        )
        if trials:
            self._update(lambda s: s.with_trials(trials))
        said = f"Took up {', '.join(repr(name) for name in names) or 'no model'}."
        said += f" Can't be loaded: {', '.join(repr(name) for name in lost)}." if lost else ""
        return said + (f" Exported files are gone: {'; '.join(gone)}." if gone else "")
