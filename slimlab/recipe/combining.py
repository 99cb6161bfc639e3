"""Floor 4. Which strategies can be combined, and the reason where they can't."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from slimlab.recipe.settings import refuse
from slimlab.recipe.strategies import Distill, FineTune, Prune, Quantize

AnyStrategy = Prune | Distill | Quantize | FineTune


def check_combination(strategies: Sequence[AnyStrategy]) -> None:
    """Refuse strategies that can't be combined, from inside a validator."""
    for place, strategy in enumerate(strategies):
        if isinstance(strategy, Quantize):
            _check_quantization(strategies, place, strategy)
    for (_, one), (second, two) in combinations(enumerate(strategies), 2):
        _check_pair(one, two, second)


def _check_quantization(strategies: Sequence[AnyStrategy], place: int, last: Quantize) -> None:
    if place != len(strategies) - 1:
        after = strategies[place + 1].strategy
        refuse(
            f"Quantization comes last: what it measures belongs to the layers as they are then. "
            f"Move it behind {after!r}.",
            "strategies", place,
        )  # fmt: skip
    for other, strategy in enumerate(strategies[:place]):
        if isinstance(strategy, Prune) and strategy.start_epoch > last.start_epoch:
            refuse(
                f"Quantization comes last, but starts at epoch {last.start_epoch}, before strategy "
                f"{other} removes channels at epoch {strategy.start_epoch}.",
                "strategies", place, "start_epoch",
            )  # fmt: skip

        if isinstance(strategy, Prune) and strategy.last_epoch > last.start_epoch:
            refuse(
                f"Quantization comes last, but starts at epoch {last.start_epoch}, while strategy "
                f"{other} still removes channels until epoch {strategy.last_epoch}: the scales "
                "would belong to layers that change.",
                "strategies", place, "start_epoch",
            )  # fmt: skip


def _check_pair(one: AnyStrategy, two: AnyStrategy, second: int) -> None:
    at = ("strategies", second, "start_epoch")
    shared = _shared_epochs(one, two)
    if shared is None:
        return
    if isinstance(one, Prune) and isinstance(two, Prune):
        refuse(
            f"Two strategies remove channels at epoch {shared}: the second would not know what the "
            "first left. Let them follow each other.",
            *at,
        )
    if isinstance(one, Distill) and isinstance(two, Distill):
        refuse(f"Two strategies distil at epoch {shared}; put their losses into one.", *at)
    if isinstance(one, FineTune) and isinstance(two, FineTune):
        refuse(f"Two strategies fine-tune at epoch {shared}; let them follow each other.", *at)
    for prune, distill in ((one, two), (two, one)):
        if isinstance(prune, Prune) and isinstance(distill, Distill):
            _check_pruned_student(prune, distill, at)
    both = [getattr(strategy, "training", None) for strategy in (one, two)]
    if None not in both:
        refuse(f"Two strategies say how epoch {shared} is trained; leave out one `training`.", *at)


def _check_pruned_student(prune: Prune, distill: Distill, at: tuple[str | int, ...]) -> None:
    inner = [loss for loss in distill.losses if loss.student is not None]
    begins_later = max(prune.start_epoch, prune.last_epoch - 1) > distill.start_epoch
    if inner and begins_later:
        refuse(
            f"Channels are removed while loss {inner[0].label!r} compares layers: their channels "
            "would change under it. Distil before or after, or on the logits only.",
            *at,
        )


def _shared_epochs(one: AnyStrategy, two: AnyStrategy) -> int | None:
    """The first epoch in which both act, or None; one that acts at once has a single epoch."""
    first = max(one.start_epoch, two.start_epoch)
    ends = [max(strategy.last_epoch, strategy.start_epoch + 1) for strategy in (one, two)]
    return first if first < min(ends) else None
