"""Floor 2. What is rarely changed about measuring times, as a frozen value."""

from __future__ import annotations

from dataclasses import dataclass, replace

from slimlab.errors import PlanError
from slimlab.ratios import Scope


@dataclass(frozen=True)
class TimingSettings:
    """What is rarely changed about measuring layers.

    Attributes
    ----------
    runtime
        `"onnxruntime"`, `"openvino"`, or `"paddle"` for Paddle's own eager execution.
    batch
        Images that are run at once.
    threads
        Of the runtime; Paddle's eager execution takes what it takes.
    levels
        Widths measured for each group below all of its channels, evenly.
    last
        Share of a group's channels that is gone at the narrowest of them.
    grain
        Widths measured are multiples of it, but of groups narrower than four times that of its
        half, and so on: at other widths runtimes leave their fast kernels, and a narrower layer may
        take several times as long. A scope's own multiple goes before; 1 is off.
    runs
        Timed runs of a layer; a whole network is run as often in each of several turns.
    turns
        Turns in which whole networks are timed one after the other.

    Raises
    ------
    PlanError
        For a number that makes no sense.

    Examples
    --------
    >>> from slimlab.timing import TimingSettings
    >>> TimingSettings(levels=4, last=0.5).ratios
    (0.0, 0.125, 0.25, 0.375, 0.5)
    """

    runtime: str = "onnxruntime"
    batch: int = 32
    threads: int = 1
    levels: int = 8
    last: float = 0.9
    grain: int = 16
    runs: int = 10
    turns: int = 3

    def __post_init__(self) -> None:
        whole = (self.batch, self.threads, self.levels, self.grain, self.runs, self.turns)
        if min(whole) < 1 or not 0 < self.last < 1:
            msg = f"{self} makes no sense: whole numbers are at least 1, last is a share in (0, 1)."
            raise PlanError(msg)

    @property
    def ratios(self) -> tuple[float, ...]:
        """Shares of channels that are gone at each level."""
        return tuple(self.last * n / self.levels for n in range(self.levels + 1))

    def kept(self, width: int, scope: Scope) -> tuple[int, ...]:
        """Channels of a group at each level: all of them first.

        Examples
        --------
        >>> import slimlab as sl
        >>> from slimlab.timing import TimingSettings
        >>> TimingSettings(levels=3).kept(64, sl.Scope())
        (64, 48, 32, 16)
        """
        grain = self.grain
        while grain > 1 and width < 4 * grain:
            grain //= 2
        if scope.multiple == 1:
            scope = replace(scope, multiple=grain)
        return tuple(scope.kept(width, ratio) for ratio in self.ratios)
