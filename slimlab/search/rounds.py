"""Floor 4. Pruning in rounds as values: how much each round removes, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from paddle.nn import Layer

from slimlab.errors import PlanError
from slimlab.ratios import Ratios
from slimlab.train import History, Training


@dataclass(frozen=True)
class IterativeSettings:
    """What is rarely changed about pruning in rounds.

    Attributes
    ----------
    rescan
        Pick each round's ratios from the network as it is then; False picks all rounds' from the
        first network (its scan, its scores), which costs one scan and sees no recovery.
    scan
        Settings of `scan_sensitivity` for ways that need a scan.
    training
        Of the fine-tuning in each round.
    seed
        Of the first round's fine-tuning; the next rounds' follow.
    """

    rescan: bool = True
    scan: Mapping[str, Any] = field(default_factory=lambda: {"images": 500})
    training: Training | None = None
    seed: int = 0


@dataclass(frozen=True)
class Round:
    """One cut and the fine-tuning after it.

    Attributes
    ----------
    ratios
        Shares of the channels that the round found.
    macs_removed, params_removed, bytes_removed
        Shares of the first network that are gone after it.
    history
        Its fine-tuning; None where there was none.
    latency_removed
        Share of the first network's time that is gone, as predicted; None without times.
    """

    ratios: Ratios
    macs_removed: float
    params_removed: float
    bytes_removed: float
    history: History | None = None
    latency_removed: float | None = None


@dataclass(frozen=True)
class IterativeResult:
    """The rounds, and the model after the last of them.

    Attributes
    ----------
    rounds
        In order; fewer than asked for when the work was stopped.
    model
        After the last round; None when there was none.

    Examples
    --------
    >>> import slimlab as sl
    >>> len(sl.IterativeResult().to_frame())
    0
    """

    rounds: tuple[Round, ...] = ()
    model: Layer | None = field(default=None, compare=False, repr=False)

    def to_frame(self) -> pd.DataFrame:
        """One row a round: `round, macs_removed, params_removed, bytes_removed`, and
        `latency_removed` where times were given.
        """
        names = ["macs_removed", "params_removed", "bytes_removed"]
        if any(r.latency_removed is not None for r in self.rounds):
            names.append("latency_removed")
        rows = [(n, *(getattr(r, k) for k in names)) for n, r in enumerate(self.rounds, start=1)]
        return pd.DataFrame(rows, columns=["round", *names])


def step_shares(share: float, steps: int) -> tuple[float, ...]:
    """Shares of the whole that are gone after each round: each removes as much of what is left.

    Raises
    ------
    PlanError
        For fewer than one step.

    Examples
    --------
    >>> from slimlab.search import step_shares
    >>> step_shares(0.75, 2)
    (0.5, 0.75)
    """
    if steps < 1:
        msg = f"steps={steps} makes no sense; give 1 or more."
        raise PlanError(msg, steps=steps)
    return (*(1 - (1 - share) ** (n / steps) for n in range(1, steps)), share)
