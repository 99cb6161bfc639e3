"""Floor 2. Global random states that follow from numbers alone; knows nothing else."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import paddle


@contextmanager
def drawing(*key: int) -> Iterator[None]:
    """Draw from global random states that follow from `key`, and put the others back at the end.

    What is drawn in a training step depends on the seed and the step alone: whoever else draws
    between two steps changes nothing, no trace is left in their numbers, and a training that was
    interrupted goes on without any state having been kept.

    Parameters
    ----------
    *key
        Whole numbers, 0 or more, such as a seed and a step.

    Examples
    --------
    >>> import numpy as np
    >>> from slimlab.train.random_state import drawing
    >>> with drawing(0, 3):
    ...     one = np.random.random()
    >>> with drawing(0, 3):
    ...     two = np.random.random()
    >>> one == two
    True
    """
    outer = _states()
    seed = int(np.random.SeedSequence(key).generate_state(1)[0])
    paddle.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - a user's transforms may use the global states
    random.seed(seed)
    try:
        yield
    finally:
        paddle.set_rng_state(outer[0])
        np.random.set_state(outer[1])  # noqa: NPY002
        random.setstate(outer[2])


def _states() -> tuple[Any, Any, Any]:
    return paddle.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
