"""Top floor. `Pairs`: which layers of a pruned model learn from which of the unpruned one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from slimlab.errors import SlimLabError
from slimlab_widgets.jobs import Work, once
from slimlab_widgets.pairs import Pairing
from slimlab_widgets.quantizing import Quantizing


class Pairs(Quantizing):
    """A bench on which layers are paired; see `Workbench` for its parameters."""

    def suggest_pairs(self, name: str | None = None) -> None:
        """Pair the stages of a candidate with those of the unpruned model."""
        candidate = self._state.candidate(name)

        def done(found: Pairing, _partial: bool) -> str:
            self._update(lambda s: replace(s, pairing=found))
            return (
                f"Paired {len(found.pairs)} layers of '{candidate.name}' with the unpruned model's."
            )

        find = lambda: Pairing.suggested(  # noqa: E731
            candidate.name, candidate.model, self.model, self.task.example
        )
        self._jobs.start(Work("pairs", "Pairing layers", lambda: once(find), done))

    def pair(self, pairs: Sequence[Sequence[str]]) -> None:
        """Pair these layers of the chosen candidate (first) with those of the unpruned model.

        Raises
        ------
        SlimLabError
            Before `suggest_pairs`, or for a layer that gives no maps.
        """
        known = self._state.pairing
        if known is None:
            msg = "The layers that give maps are not known yet. Press Suggest pairs first."
            raise SlimLabError(msg)
        paired = known.paired(pairs)
        self._update(lambda s: replace(s, pairing=paired))
