"""Floor 2. How the learning rate changes, as pure functions of the place in a training.

A schedule has no state: the rate of a step depends on the step alone, so a resumed training goes on
exactly as it would have. All of them give factors of the training's `learning_rate`.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field

from slimlab.errors import SlimLabError


@dataclass(frozen=True)
class Schedule:
    """The same rate all the time; base of the other schedules."""

    def factor(self, epoch: float, start: float, end: float) -> float:
        """Give what the learning rate is multiplied by, between 0 and 1 mostly.

        Parameters
        ----------
        epoch
            Where the training is, in passes over the data.
        start, end
            Where the schedule begins (after a warm-up) and the training ends, in epochs.
        """
        return 1.0


@dataclass(frozen=True)
class Constant(Schedule):
    """The same rate all the time.

    Examples
    --------
    >>> from slimlab.train import Constant
    >>> Constant().factor(3.5, 0, 10)
    1.0
    """


@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a cosine from 1 to `last` (Loshchilov and Hutter, 1608.03983).

    Attributes
    ----------
    last
        Factor at the end, 0 to 1.

    Examples
    --------
    >>> from slimlab.train import Cosine
    >>> [round(Cosine().factor(epoch, 0, 10), 3) for epoch in (0, 5, 10)]
    [1.0, 0.5, 0.0]
    """

    last: float = 0.0

    def __post_init__(self) -> None:
        _check_share("last", self.last)

    def factor(self, epoch: float, start: float, end: float) -> float:
        """See `Schedule.factor`."""
        share = _share(epoch, start, end)
        return self.last + (1 - self.last) * (1 + math.cos(math.pi * share)) / 2


@dataclass(frozen=True)
class Piecewise(Schedule):
    """Steps: one factor until the first boundary, the next until the second, and so on.

    Attributes
    ----------
    boundaries
        Rising epochs.
    factors
        One more than boundaries. PaddleSlim's uniform recipe (0.1, 0.01, ... at 30, 60, 90) is a
        learning rate of 0.1 and the defaults here.

    Examples
    --------
    >>> from slimlab.train import Piecewise
    >>> [Piecewise((2, 4), (1, 0.5, 0.1)).factor(epoch, 0, 6) for epoch in (1.9, 2, 4)]
    [1, 0.5, 0.1]
    """

    boundaries: tuple[float, ...] = (30, 60, 90)
    factors: tuple[float, ...] = (1.0, 0.1, 0.01, 0.001)

    def __post_init__(self) -> None:
        object.__setattr__(self, "boundaries", tuple(self.boundaries))
        object.__setattr__(self, "factors", tuple(self.factors))
        rising = all(a < b for a, b in itertools.pairwise(self.boundaries))
        finite = all(math.isfinite(number) for number in (*self.boundaries, *self.factors))
        if not rising or not finite or min((0, *self.factors)) < 0:
            msg = f"Boundaries {self.boundaries} must rise; factors {self.factors} are at least 0."
            raise SlimLabError(msg, boundaries=self.boundaries, factors=self.factors)
        if len(self.factors) != len(self.boundaries) + 1:
            msg = (
                f"{len(self.boundaries)} boundaries part the training in "
                f"{len(self.boundaries) + 1}, but there are {len(self.factors)} factors."
            )
            raise SlimLabError(msg, boundaries=self.boundaries, factors=self.factors)

    def factor(self, epoch: float, start: float, end: float) -> float:
        """See `Schedule.factor`."""
        return self.factors[sum(epoch >= boundary for boundary in self.boundaries)]


@dataclass(frozen=True)
class Polynomial(Schedule):
    """From 1 to `last` along ``(1 - share of the training) ** power``.

    Attributes
    ----------
    power
        Above 0; 1 is a straight line.
    last
        Factor at the end, 0 to 1.

    Examples
    --------
    >>> from slimlab.train import Polynomial
    >>> Polynomial(power=2).factor(5, 0, 10)
    0.25
    """

    power: float = 1.0
    last: float = 0.0

    def __post_init__(self) -> None:
        _check_share("last", self.last)
        if not 0 < self.power < math.inf:
            msg = f"power is {self.power}; it must be above 0."
            raise SlimLabError(msg, power=self.power)

    def factor(self, epoch: float, start: float, end: float) -> float:
        """See `Schedule.factor`."""
        share = _share(epoch, start, end)
        return self.last + float((1 - self.last) * (1 - share) ** self.power)


@dataclass(frozen=True)
class Exponential(Schedule):
    """Multiplied by `gamma` every so many epochs.

    Attributes
    ----------
    gamma
        Above 0, at most 1.
    every
        Epochs, above 0.
    staircase
        At once at each of them; evenly between them when False.

    Examples
    --------
    >>> from slimlab.train import Exponential
    >>> round(Exponential(gamma=0.5, every=2).factor(3, 0, 10), 4)
    0.3536
    >>> Exponential(gamma=0.5, every=2, staircase=True).factor(3, 0, 10)
    0.5
    """

    gamma: float = 0.9
    every: float = 1.0
    staircase: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.gamma <= 1 or not 0 < self.every < math.inf:
            msg = f"gamma ({self.gamma}) lies in (0, 1], and every ({self.every}) is above 0."
            raise SlimLabError(msg, gamma=self.gamma, every=self.every)

    def factor(self, epoch: float, start: float, end: float) -> float:
        """See `Schedule.factor`."""
        times = max(0.0, epoch - start) / self.every
        return float(self.gamma ** (math.floor(times) if self.staircase else times))


@dataclass(frozen=True)
class Course:
    """The learning rate of every step of one training: a warm-up, then a schedule.

    Attributes
    ----------
    learning_rate
        What the factors multiply.
    steps, steps_an_epoch
        Of the whole training.
    warmup
        Share of the steps in which the rate rises evenly from nearly 0.
    schedule
        What comes after.

    Examples
    --------
    >>> from slimlab.train.schedules import Constant, Course
    >>> course = Course(0.1, 10, 5, warmup=0.5, schedule=Constant())
    >>> [round(course.rate(step), 3) for step in (0, 2, 5, 9)]
    [0.02, 0.052, 0.1, 0.1]
    """

    learning_rate: float
    steps: int
    steps_an_epoch: int
    warmup: float = 0.0
    schedule: Schedule = field(default_factory=Cosine)

    def rate(self, step: int) -> float:
        """Give the learning rate of a step, counted from 0."""
        return self.learning_rate * self.factor(step)

    def factor(self, step: int) -> float:
        """Give what the learning rate is multiplied by at a step."""
        warmup = min(round(self.warmup * self.steps), self.steps - 1)
        if step < warmup:
            return 1 / warmup + (1 - 1 / warmup) * step / warmup
        unit = self.steps_an_epoch
        return self.schedule.factor(step / unit, warmup / unit, self.steps / unit)


def _share(epoch: float, start: float, end: float) -> float:
    return min(1.0, max(0.0, (epoch - start) / (end - start))) if end > start else 1.0


def _check_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        msg = f"{name} is {value}; it is a share of the learning rate, 0 to 1."
        raise SlimLabError(msg, **{name: value})
