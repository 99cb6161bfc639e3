"""Floor 4. A recipe's rehearsal: every stage in its order, each as short as it can be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from slimlab.distill import DistillLoss
from slimlab.recipe.parts import (
    CheckpointSettings,
    ScanSettings,
    ScheduleSettings,
    SearchSettings,
    TrainingSettings,
)
from slimlab.recipe.recipe import Recipe
from slimlab.recipe.strategies import Distill, Prune, Quantize

STEPS, TRIALS, RATIOS = 2, 3, 2  # of a pruning, of a search, of a scan, at most
# A few steps at a rate that is meant for many leave a network that makes sense of nothing, and then
# no export can be compared with it.
GENTLE = 1e-4


def shortened(recipe: Recipe, *, images: int = 64) -> Recipe:
    """Give a recipe that does everything the given one does, in as few epochs as there are stages.

    Of a pruning two steps are left, of a search three trials, of a scan two ratios. Whether it
    comes to its end says whether the recipe will; its accuracies say nothing.

    Parameters
    ----------
    recipe
        Any.
    images
        Images of each scan, calibration and evaluation, at most; an epoch of so many has at least
        four steps.

    Examples
    --------
    >>> import slimlab as sl
    >>> short = sl.shortened(sl.load_recipe("sensitivity_pruning"))
    >>> short.total_epochs, short.strategies[0].steps, short.batch_size
    (3, 2, 16)
    """
    fewer = [_fewer_steps(strategy) for strategy in recipe.strategies]
    ends = {0, recipe.total_epochs, *(epoch for one in fewer for epoch in _epochs(one))}
    place = {epoch: rank for rank, epoch in enumerate(sorted(ends))}
    strategies = [_short(strategy, place, images) for strategy in fewer]
    total = place[recipe.total_epochs]
    return Recipe(
        **{
            **{name: getattr(recipe, name) for name in Recipe.model_fields},
            "name": f"{recipe.name}-short",
            "strategies": tuple(strategies),
            "epochs": None if recipe.epochs is None else total,
            "batch_size": max(1, min(recipe.batch_size, images // 4)),
            "training": _training(recipe.training, _factor(total, recipe.total_epochs), images),
            "checkpoint": CheckpointSettings(),
        }
    )


def _fewer_steps(strategy: Any) -> Any:
    if isinstance(strategy, Prune) and strategy.steps > STEPS:
        return strategy.model_copy(update={"steps": STEPS})
    return strategy


def _epochs(strategy: Any) -> Iterable[int]:
    """Where a strategy begins, acts and ends."""
    yield strategy.start_epoch
    yield strategy.last_epoch
    if isinstance(strategy, Prune):
        span = strategy.last_epoch - strategy.start_epoch
        yield from (
            strategy.start_epoch + n * span // strategy.steps for n in range(strategy.steps)
        )


def _short(strategy: Any, place: dict[int, int], images: int) -> Any:
    start, end = place[strategy.start_epoch], place[strategy.last_epoch]
    factor = _factor(end - start, strategy.last_epoch - strategy.start_epoch)
    changed: dict[str, Any] = {"start_epoch": start}
    if strategy.end_epoch is not None:
        changed["end_epoch"] = end
    if getattr(strategy, "training", None) is not None:
        changed["training"] = _training(strategy.training, factor, images)
    if isinstance(strategy, Prune):
        changed["scan"] = _scan(strategy.scan, images)
        changed["search"] = _search(strategy.search, images)
        changed = {k: v for k, v in changed.items() if k not in strategy.idle}
    if isinstance(strategy, Distill):
        changed["losses"] = tuple(_loss(loss, factor, end - start) for loss in strategy.losses)
    if isinstance(strategy, Quantize):
        changed["calibration_images"] = min(strategy.calibration_images or images, images)
    given = {name: getattr(strategy, name) for name in strategy.model_fields_set}
    return type(strategy)(**{**given, **changed})


def _factor(short: int, long: int) -> float:
    return short / long if long else 1.0


def _training(training: TrainingSettings, factor: float, images: int) -> TrainingSettings:
    given = {name: getattr(training, name) for name in training.model_fields_set}
    schedule = training.schedule
    times: dict[str, Any] = {}
    if schedule.boundaries is not None:
        times["boundaries"] = tuple(epoch * factor for epoch in schedule.boundaries)
    if schedule.every is not None:
        times["every"] = schedule.every * factor
    own = {**{name: getattr(schedule, name) for name in schedule.model_fields_set}, **times}
    given |= {"schedule": ScheduleSettings(**own), "evaluate_every": 1}
    given["learning_rate"] = min(training.learning_rate, GENTLE)
    return TrainingSettings(**{**given, "evaluate_images": images})


def _loss(loss: DistillLoss, factor: float, span: int) -> DistillLoss:
    weight = loss.weight
    if isinstance(weight, tuple):
        weight = tuple((epoch * factor, value) for epoch, value in weight)
    start = min(int(loss.start_epoch * factor), span - 1)
    end = loss.end_epoch
    if end is not None:
        end = max(start + 1, round(end * factor))
    return replace(loss, weight=weight, start_epoch=start, end_epoch=end)


def _scan(scan: ScanSettings, images: int) -> ScanSettings:
    ratios = scan.ratios if len(scan.ratios) <= RATIOS else (scan.ratios[0], scan.ratios[-1])
    return ScanSettings(ratios=ratios, images=min(scan.images or images, images))


def _search(search: SearchSettings, images: int) -> SearchSettings:
    return search.model_copy(
        update={
            "trials": min(search.trials, TRIALS),
            "epochs": min(search.epochs, 1),
            "images": min(search.images or images, images),
        }
    )
