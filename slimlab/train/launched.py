"""Floor 2. Workers that `python -m paddle.distributed.launch` started: gloo on CPUs, nccl on GPUs.

Each runs the same program; they meet in the sums of a training, wherever they run. Workers of one
machine's CPUs are better forked: see `slimlab.workers`.
"""

from __future__ import annotations

import os
import threading
import time

import numpy as np
import paddle
import paddle.distributed as dist

from slimlab.errors import WorkerError
from slimlab.workers import Floats, Group, differing


class LaunchedGroup(Group):
    """The processes of `paddle.distributed`; all add up the same bits."""

    def sum(self, numbers: Floats) -> Floats:
        """Add what all workers give; see `Group.sum`."""
        found: Floats = self._reduced(np.ascontiguousarray(numbers), dist.ReduceOp.SUM)
        return found

    def largest(self, number: float) -> float:
        """Give the largest of what all workers give."""
        return float(self._reduced(np.array([number]), dist.ReduceOp.MAX)[0])

    def end(self, mark: float) -> None:
        """Compare the workers' marks; see `Group.end`."""
        most, least = self._reduced(np.array([mark, -mark]), dist.ReduceOp.MAX)
        if most != -least:
            raise differing(None, self)

    def _reduced(self, numbers: np.ndarray, operation: int) -> np.ndarray:
        tensor = paddle.to_tensor(numbers)
        try:
            dist.all_reduce(tensor, op=operation)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            msg = (
                f"Worker {self.rank} of {self.size} lost the others ({reason}). Run the same "
                "again: a run with a folder goes on from its last checkpoint."
            )
            raise WorkerError(msg, worker=self.rank) from error
        found: np.ndarray = tensor.numpy()
        return found


def launched() -> LaunchedGroup | None:
    """Give the group that this process was launched in; None where it was not.

    Examples
    --------
    >>> from slimlab.train.launched import launched
    >>> launched() is None
    True
    """
    if int(os.environ.get("PADDLE_TRAINERS_NUM", "1")) < 2:
        return None
    if not dist.is_initialized():
        dist.init_parallel_env()
        threading.Thread(target=_outlive_nobody, args=(os.getppid(),), daemon=True).start()
    return LaunchedGroup(dist.get_rank(), dist.get_world_size())


def _outlive_nobody(launcher: int) -> None:
    """End this process when the launcher is gone without having ended it."""
    while os.getppid() == launcher:
        time.sleep(1)
    os._exit(1)
