"""Floor 2. What happened during a training, as a frozen value."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import pandas as pd


@dataclass(frozen=True)
class Record:
    """One training step, or one evaluation, of a history.

    Attributes
    ----------
    step, epoch
        Training steps done, and the same in passes over the training data.
    loss
        Of the step's batch, before its update; None at step 0, where nothing was trained yet.
    learning_rate
        The step's.
    metric
        The task's main metric on the test images after this step, in the metric's unit; None where
        it wasn't measured.
    parts
        With a teacher, what the loss is the sum of: ``("task", value)`` and each distillation loss,
        all of them times their weights.
    """

    step: int
    epoch: float
    loss: float | None
    learning_rate: float
    metric: float | None = None
    parts: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class History:
    """What happened during a training, in order.

    Examples
    --------
    >>> import slimlab as sl
    >>> len(sl.History().to_frame())
    0
    """

    records: tuple[Record, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """Give one row a record: `step, epoch, loss, learning_rate, metric` (NaN for None).

        With a teacher there is a column for each part of the loss, such as `loss.task`.
        """
        names = ["step", "epoch", "loss", "learning_rate", "metric"]
        rows = []
        for record in self.records:
            row = asdict(record)
            row |= {f"loss.{name}": value for name, value in row.pop("parts")}
            rows.append(row)
        names += list(dict.fromkeys(key for row in rows for key in row if key not in names))
        frame = pd.DataFrame(rows, columns=names)
        return frame.astype({"step": int} | dict.fromkeys(names[1:], float))
