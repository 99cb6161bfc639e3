"""Floor 3. A score of each image from logits: a task's metric, or the divergence from the whole
network. Knows no ratios.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor
from paddle.nn import functional as F  # noqa: N812 - Paddle's own convention

from slimlab.errors import TaskError, nearest
from slimlab.evaluate import image_scores
from slimlab.task import Metric, Task

Scores = NDArray[np.float32]
Logits = NDArray[np.float32]


def _never(logits: Tensor, labels: Tensor) -> Tensor:
    return paddle.zeros([len(labels)])


# The function is that of the whole network, which does not diverge from itself.
KL = Metric("kl", _never, higher_is_better=False, unit=" nats", scale=1.0)


@dataclass(frozen=True, eq=False)
class Scoring:
    """How images are scored."""

    task: Task
    metric: Metric

    @classmethod
    def of(cls, task: Task, name: str | None) -> Scoring:
        """By the name of a metric of the task, or `"kl"`.

        Raises
        ------
        TaskError
            When there is no such metric.
        """
        metrics = {metric.name: metric for metric in (KL, *task.metrics)}
        if name is not None and name not in metrics:
            msg = f"Task {task.name!r} has no metric {name!r}. {nearest(name, metrics)}"
            raise TaskError(msg, metric=name)
        return cls(task, task.metric if name is None else metrics[name])

    def before(self, whole: Logits, labels: Tensor) -> Scores:
        """Scores of the whole network, one an image.

        Raises
        ------
        TaskError
            When a score is NaN or infinite.
        """
        made = image_scores(self.metric, paddle.to_tensor(whole), labels, self.task)
        return self._finite(made, "the whole network")

    def after(self, logits: Logits, labels: Tensor, whole: Logits) -> Scores:
        """Scores of a pruned network, one an image.

        Raises
        ------
        TaskError
            When a score is NaN or infinite.
        """
        if self.metric.function is _never:  # KL, also in another process
            made = _divergence(whole, logits)
        else:
            made = image_scores(self.metric, paddle.to_tensor(logits), labels, self.task)
        return self._finite(made, "a pruned network")

    def _finite(self, scores: Scores, what: str) -> Scores:
        """NaN stands for what was not measured, and no mean can be taken of an infinity."""
        if not np.isfinite(scores).all():
            bad = scores[~np.isfinite(scores)][0]
            msg = f"Metric {self.metric.name!r} gave {bad} for {what}: use another metric."
            raise TaskError(msg, metric=self.metric.name)
        return scores


def _divergence(whole: Logits, logits: Logits) -> Scores:
    """KL divergence of the pruned network's distribution from the whole one's, in nats."""
    before, after = paddle.to_tensor(whole), paddle.to_tensor(logits)
    by_class = F.kl_div(F.log_softmax(after, axis=1), F.softmax(before, axis=1), reduction="none")
    made: Scores = by_class.sum(axis=1).numpy().astype(np.float32)
    return made
