"""Floor 2. Global random states that belong to one training; knows nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import paddle


class RandomState:
    """Global random states of Paddle and NumPy that belong to one run.

    They are in place only while the run computes. So a run draws the same numbers whoever else
    draws between its steps, and leaves no trace in theirs.
    """

    def __init__(self, seed: int) -> None:
        outer = _random_state()
        paddle.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - a user's transforms may use the global state
        self._own = _random_state()
        _set_random_state(outer)

    @contextmanager
    def own(self) -> Iterator[None]:
        """Put this run's states in place, and the others back at the end."""
        outer = _random_state()
        _set_random_state(self._own)
        try:
            yield
        finally:
            self._own = _random_state()
            _set_random_state(outer)


def _random_state() -> tuple[Any, Any]:
    return paddle.get_rng_state(), np.random.get_state()  # noqa: NPY002


def _set_random_state(state: tuple[Any, Any]) -> None:
    paddle.set_rng_state(state[0])
    np.random.set_state(state[1])  # noqa: NPY002
