"""Floor 1. Distillation losses on logits: soft labels, DKD and DIST. Knows tensors only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from paddle import Tensor
from paddle.nn import functional as F  # noqa: N812 - Paddle's own convention

from slimlab.distill.base import DistillLoss, distill_loss
from slimlab.errors import DistillError

FAR = 1e9  # taken from a logit to take its class out of a softmax
LEAST = 1e-12  # a variance below this is none: gradients of a square root end at 0


def above_zero(kind: str, **values: float) -> None:
    """Refuse numbers that must be above 0.

    Raises
    ------
    DistillError
        For the first of `values` that is not.
    """
    for name, value in values.items():
        if not value > 0 or value == float("inf"):
            msg = f"{kind}: {name} is {value}; it must be above 0."
            raise DistillError(msg, loss=kind, **{name: value})


@distill_loss("soft_label")
@dataclass(frozen=True, kw_only=True)
class SoftLabel(DistillLoss):
    """Cross-entropy between the teacher's and the student's softmax.

    ``-sum_c softmax(t / teacher_temperature)_c * log softmax(s / student_temperature)_c``, in nats,
    averaged over the images (and the positions, on a map, where the channels are the classes): the
    soft-label loss of PaddleSlim 1.x, after Hinton et al. 2015 (1503.02531).

    Attributes
    ----------
    student_temperature, teacher_temperature
        What the logits are divided by, above 0.
    rescale
        Multiply by the product of the temperatures, as Hinton et al. do, so that the gradients
        keep their size when the temperatures change.

    Examples
    --------
    >>> import slimlab as sl
    >>> sl.SoftLabel(student_temperature=4, teacher_temperature=4, rescale=True).label
    'soft_label'
    """

    adaptable: ClassVar[bool] = False

    student_temperature: float = 1.0
    teacher_temperature: float = 1.0
    rescale: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        above_zero(
            self.kind,
            student_temperature=self.student_temperature,
            teacher_temperature=self.teacher_temperature,
        )

    def value(
        self, student: tuple[Tensor, ...], teacher: tuple[Tensor, ...], labels: Tensor
    ) -> Tensor:
        """Give the loss, a scalar; see `DistillLoss.value`."""
        axis = -1 if student[0].ndim == 3 else 1
        log_p = F.log_softmax(student[0] / self.student_temperature, axis=axis)
        q = F.softmax(teacher[0] / self.teacher_temperature, axis=axis)
        factor = self.student_temperature * self.teacher_temperature if self.rescale else 1.0
        return -(q * log_p).sum(axis=axis).mean() * factor


@distill_loss("dkd")
@dataclass(frozen=True, kw_only=True)
class DKD(DistillLoss):
    """Decoupled knowledge distillation (Zhao et al., CVPR 2022, 2203.08679).

    ``temperature**2 * (alpha * TCKD + beta * NCKD)``, averaged over the images: the divergence of
    the two-way split (the labelled class, all others), and that among the other classes.

    Attributes
    ----------
    alpha, beta
        Weights of the two parts; the paper's are 1 and 8 for most pairs.
    temperature
        What both models' logits are divided by, above 0.

    Examples
    --------
    >>> import slimlab as sl
    >>> sl.DKD(beta=2.0).temperature
    4.0
    """

    ranks: ClassVar[tuple[int, ...]] = (2,)
    adaptable: ClassVar[bool] = False

    alpha: float = 1.0
    beta: float = 8.0
    temperature: float = 4.0

    def __post_init__(self) -> None:
        super().__post_init__()
        above_zero(self.kind, temperature=self.temperature)

    def value(
        self, student: tuple[Tensor, ...], teacher: tuple[Tensor, ...], labels: Tensor
    ) -> Tensor:
        """Give the loss, a scalar; see `DistillLoss.value`."""
        s, t = student[0] / self.temperature, teacher[0] / self.temperature
        hot = F.one_hot(labels, s.shape[1])
        target_s, other_s = _split(s, hot)
        target_t, other_t = _split(t, hot)
        split = target_t.exp() * (target_t - target_s) + other_t.exp() * (other_t - other_s)
        log_p = F.log_softmax(s - FAR * hot, axis=1)
        log_q = F.log_softmax(t - FAR * hot, axis=1)
        among = (log_q.exp() * (log_q - log_p)).sum(axis=1)
        return (self.alpha * split + self.beta * among).mean() * self.temperature**2


def _split(logits: Tensor, hot: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities of the labelled class and of all others together, each ``(n,)``."""
    log_p = F.log_softmax(logits, axis=1)
    return (log_p * hot).sum(axis=1), (log_p - FAR * hot).logsumexp(axis=1)


@distill_loss("dist")
@dataclass(frozen=True, kw_only=True)
class DIST(DistillLoss):
    """Relations kept rather than values (Huang et al., NeurIPS 2022, 2205.10536).

    ``beta * inter + gamma * intra``: one minus Pearson's correlation of the two models' softmax,
    averaged over the images (the classes of an image), and over the classes (the images of a
    class).

    Attributes
    ----------
    beta, gamma
        Weights of the two parts.
    temperature
        What both models' logits are divided by, above 0.

    Examples
    --------
    >>> import slimlab as sl
    >>> sl.DIST(beta=2.0, gamma=2.0, temperature=4.0).weight
    1.0
    """

    ranks: ClassVar[tuple[int, ...]] = (2,)
    adaptable: ClassVar[bool] = False

    beta: float = 1.0
    gamma: float = 1.0
    temperature: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        above_zero(self.kind, temperature=self.temperature)

    def value(
        self, student: tuple[Tensor, ...], teacher: tuple[Tensor, ...], labels: Tensor
    ) -> Tensor:
        """Give the loss, a scalar; see `DistillLoss.value`."""
        s = F.softmax(student[0] / self.temperature, axis=1)
        t = F.softmax(teacher[0] / self.temperature, axis=1)
        inter = (1 - _correlation(s, t, axis=1)).mean()
        intra = (1 - _correlation(s, t, axis=0)).mean()
        return self.beta * inter + self.gamma * intra


def _correlation(one: Tensor, two: Tensor, *, axis: int) -> Tensor:
    """Pearson's correlation along an axis; 0 where one of them is constant."""
    one, two = _standard(one, axis), _standard(two, axis)
    return (one * two).sum(axis=axis)


def _standard(x: Tensor, axis: int) -> Tensor:
    x = x - x.mean(axis=axis, keepdim=True)
    return x * x.square().sum(axis=axis, keepdim=True).clip(min=LEAST).rsqrt()
