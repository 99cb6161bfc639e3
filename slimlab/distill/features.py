"""Floor 1. Distillation losses on features: L2, FSP, attention transfer, and a user's function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import paddle
from paddle import Tensor

from slimlab.distill.base import DistillLoss, distill_loss
from slimlab.errors import DistillError

LEAST = 1e-12  # the norm of a map of zeros is taken for its root


@distill_loss("l2")
@dataclass(frozen=True, kw_only=True)
class L2(DistillLoss):
    """Mean of the squared differences of two features of one shape (PaddleSlim 1.x's L2 loss).

    Examples
    --------
    >>> import slimlab as sl
    >>> sl.L2(student="blocks.4", teacher="blocks.4", weight=0.5).label
    'l2(blocks.4)'
    """

    def value(
        self, student: tuple[Tensor, ...], teacher: tuple[Tensor, ...], labels: Tensor
    ) -> Tensor:
        """Give the loss, a scalar; see `DistillLoss.value`."""
        return (student[0] - teacher[0]).square().mean()


@distill_loss("fsp")
@dataclass(frozen=True, kw_only=True)
class FSP(DistillLoss):
    """Flow between two layers (Yim et al., A gift from knowledge distillation, CVPR 2017).

    For maps ``F1 (n, c1, h, w)`` and ``F2 (n, c2, h, w)`` of one model the flow of an image is
    ``G = sum over positions of F1 x F2 / (h * w)``, of shape ``(c1, c2)``. The loss is the squared
    Frobenius norm of the difference of the models' flows, averaged over the images. Both maps of
    a model have one height and width, which may differ from the other model's; the channels must
    be the other model's.

    Attributes
    ----------
    student, teacher
        Two layers of each model.
    reduction
        ``"sum"`` over the entries of a flow, as in the paper; ``"mean"``, as in PaddleSlim 1.x.

    Examples
    --------
    >>> import slimlab as sl
    >>> sl.FSP(student=("stem", "blocks.2"), teacher=("stem", "stage1")).label
    'fsp(stem, blocks.2)'
    """

    needs: ClassVar[int] = 2
    ranks: ClassVar[tuple[int, ...]] = (4,)
    same_size: ClassVar[bool] = False

    reduction: Literal["sum", "mean"] = "sum"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reduction not in ("sum", "mean"):
            msg = f"fsp: reduction is {self.reduction!r}; it is 'sum' or 'mean'."
            raise DistillError(msg, loss=self.kind, reduction=self.reduction)

    def value(
        self, student: tuple[Tensor, ...], teacher: tuple[Tensor, ...], labels: Tensor
    ) -> Tensor:
        """Give the loss, a scalar; see `DistillLoss.value`."""
        squares = (_flow(*student) - _flow(*teacher)).square()
        return squares.mean() if self.reduction == "mean" else squares.sum(axis=[1, 2]).mean()


def _flow(first: Tensor, second: Tensor) -> Tensor:
    """Flows of a batch, ``(n, c1, c2)``."""
    area = first.shape[2] * first.shape[3]
    return paddle.matmul(first.flatten(2), second.flatten(2), transpose_y=True) / area


@distill_loss("attention")
@dataclass(frozen=True, kw_only=True)
class AttentionTransfer(DistillLoss):
    """Attention maps (Zagoruyko and Komodakis, ICLR 2017, 1612.03928).

    The map of an image is ``Q = sum over channels of |F|**power``, ``(h * w,)``, divided by its
    Euclidean norm. The loss is half the squared distance of the models' maps, averaged over the
    images. (The paper writes the distance without the square, which its authors' code takes.)
    Channels may differ.

    Attributes
    ----------
    power
        At least 1; the paper's is 2.

    Examples
    --------
    >>> import slimlab as sl
    >>> sl.AttentionTransfer(student="blocks.4", teacher="stage2", weight=100).power
    2.0
    """

    ranks: ClassVar[tuple[int, ...]] = (4,)
    same_channels: ClassVar[bool] = False
    adaptable: ClassVar[bool] = False

    power: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.power <= 16:
            msg = f"attention: power is {self.power}; it lies between 1 and 16."
            raise DistillError(msg, loss=self.kind, power=self.power)

    def value(
        self, student: tuple[Tensor, ...], teacher: tuple[Tensor, ...], labels: Tensor
    ) -> Tensor:
        """Give the loss, a scalar; see `DistillLoss.value`."""
        difference = self._map(student[0]) - self._map(teacher[0])
        return difference.square().sum(axis=1).mean() / 2

    def _map(self, feature: Tensor) -> Tensor:
        powers = feature.square() if self.power == 2 else feature.abs().pow(self.power)
        flat = powers.sum(axis=1).flatten(1)
        return flat * flat.square().sum(axis=1, keepdim=True).clip(min=LEAST).rsqrt()


@dataclass(frozen=True, kw_only=True)
class Custom(DistillLoss):
    """A user's own function of two features; it can't be written into a recipe.

    Nothing is asked of the shapes: the function has to cope with them.

    Attributes
    ----------
    function
        Takes the student's feature, the teacher's and the labels ``(n,)``; gives a scalar tensor.
    name
        What histories call it.

    Examples
    --------
    >>> import slimlab as sl
    >>> def l1(student, teacher, labels):
    ...     return (student - teacher).abs().mean()
    >>> sl.CustomLoss(function=l1, student="stem", teacher="stem").label
    'l1(stem)'
    """

    same_channels: ClassVar[bool] = False
    same_size: ClassVar[bool] = False
    ranks: ClassVar[tuple[int, ...]] = (1, 2, 3, 4, 5)
    kind: ClassVar[str] = "custom"

    function: Callable[[Tensor, Tensor, Tensor], Tensor]
    name: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        function: object = self.function
        if not callable(function):
            msg = f"custom: function is {function!r}, which can't be called."
            raise DistillError(msg, function=function)

    @property
    def label(self) -> str:
        """The function's name, with the student's layer where there is one."""
        name = self.name or getattr(self.function, "__name__", "custom")
        return str(name) if self.student is None else f"{name}({self.student})"

    def value(
        self, student: tuple[Tensor, ...], teacher: tuple[Tensor, ...], labels: Tensor
    ) -> Tensor:
        """Give what the function gives; see `DistillLoss.value`.

        Raises
        ------
        DistillError
            When that is no scalar tensor.
        """
        found = self.function(student[0], teacher[0], labels)
        if not isinstance(found, Tensor) or found.size != 1:
            shape = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
            msg = f"The distillation loss {self.label} gave {shape}; it must give a scalar tensor."
            raise DistillError(msg, loss=self.label)
        return found.reshape([])
