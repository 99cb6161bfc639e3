"""Floor 4. What the author of a trial says of how it came to be. Words and values; checks nothing.

A `Trial` holds what was measured. How its model was made is known only to whoever made it, and is
kept apart from the measurements, so that a reader can tell the one from the other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from slimlab.errors import PlanError
from slimlab.ratios import Ratios
from slimlab.recipe import Recipe


@dataclass(frozen=True)
class Account:
    """How a trial came to be, as its author tells it.

    Attributes
    ----------
    steps
        What was done, one sentence each, in order.
    ratios
        Layer to the share of its channels that was removed; None where nothing was pruned or it is
        not known.
    recipe
        The recipe that was carried out; None without.
    seconds
        How long it took, from start to end; None where nobody took the time.

    Raises
    ------
    PlanError
        For one text instead of several steps, ratios outside [0, 1), or a time that is no time.

    Examples
    --------
    >>> import slimlab as sl
    >>> account = sl.Account(
    ...     ("Pruned uniformly to half of the MACs.", "Fine-tuned for three epochs."),
    ...     ratios={"conv1": 0.3},
    ...     seconds=71,
    ... )
    >>> account.to_frame()["what"].tolist()
    ['Pruned uniformly to half of the MACs.', 'Fine-tuned for three epochs.']
    """

    steps: tuple[str, ...] = ()
    ratios: Mapping[str, float] | None = None
    recipe: Recipe | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        said: object = self.steps
        if isinstance(said, str):
            msg = f"steps={said!r} is one text; give a tuple of sentences, one a step."
            raise PlanError(msg, steps=said)
        object.__setattr__(self, "steps", tuple(map(str, self.steps)))
        if self.ratios is not None:
            object.__setattr__(self, "ratios", Ratios(self.ratios))
        seconds = self.seconds
        if seconds is not None and not (math.isfinite(seconds) and seconds >= 0):
            msg = f"seconds={seconds} is no length of time; give 0 or more, or None."
            raise PlanError(msg, seconds=seconds)

    def to_frame(self) -> pd.DataFrame:
        """One row a step: `step, what`, counted from 1."""
        return pd.DataFrame(list(enumerate(self.steps, start=1)), columns=["step", "what"])
