"""Floor 4. What a recipe does when: pure functions from a recipe to epochs; runs nothing."""

from __future__ import annotations

from dataclasses import dataclass

from slimlab.recipe import Distill, Prune, Quantize, Recipe
from slimlab.recipe.parts import TrainingSettings


@dataclass(frozen=True)
class Act:
    """Something that a strategy does to the model at the beginning of an epoch.

    Attributes
    ----------
    epoch
        At its beginning.
    strategy
        Index in the recipe.
    number
        Of the strategy's acts, from 0: a pruning's steps; putting quantization in, freezing it.
    """

    epoch: int
    strategy: int
    number: int


@dataclass(frozen=True)
class Piece:
    """Epochs that one optimizer trains: nothing changes the model or the losses inside.

    Attributes
    ----------
    start, end
        The first epoch, and the first that is not part of it.
    training
        Optimizer and learning rate.
    first, last
        The epochs over which the schedule of the learning rate runs.
    distill
        Index of the strategy whose teachers are learned from; None for the task alone.
    """

    start: int
    end: int
    training: TrainingSettings
    first: int
    last: int
    distill: int | None = None


def acts(recipe: Recipe) -> tuple[Act, ...]:
    """Give all acts in the order in which they are carried out.

    Examples
    --------
    >>> import slimlab as sl
    >>> from slimlab.compressor.timetable import acts
    >>> [(act.epoch, act.number) for act in acts(sl.load_recipe("sensitivity_pruning"))]
    [(0, 0), (1, 1), (2, 2)]
    """
    found = []
    for place, strategy in enumerate(recipe.strategies):
        if isinstance(strategy, Prune):
            span = strategy.last_epoch - strategy.start_epoch
            for number in range(strategy.steps):
                epoch = strategy.start_epoch + number * span // strategy.steps
                found.append(Act(epoch, place, number))
        if isinstance(strategy, Quantize):
            found.append(Act(strategy.start_epoch, place, 0))
            found.append(Act(strategy.last_epoch, place, 1))
            if strategy.last_epoch < recipe.total_epochs:  # trained on: back onto the grids
                found.append(Act(recipe.total_epochs, place, 2))
    return tuple(sorted(found, key=lambda act: act.epoch))  # stable: the recipe's order inside


def pieces(recipe: Recipe) -> tuple[Piece, ...]:
    """Give the trained pieces, one after the other from epoch 0 to the end.

    Examples
    --------
    >>> import slimlab as sl
    >>> from slimlab.compressor.timetable import pieces
    >>> [(piece.start, piece.end) for piece in pieces(sl.load_recipe("digits"))]
    [(0, 6), (6, 7)]
    """
    changed = {act.epoch for act in acts(recipe)}
    found: list[Piece] = []
    for epoch in range(recipe.total_epochs):
        piece = _trained(recipe, epoch)
        before = found[-1] if found else None
        if before is not None and epoch not in changed and _goes_on(before, piece):
            piece = Piece(
                before.start, epoch + 1, piece.training, piece.first, piece.last, piece.distill
            )
            found.pop()
        found.append(piece)
    return tuple(found)


def _trained(recipe: Recipe, epoch: int) -> Piece:
    """How one epoch is trained, by itself."""
    training, first, last, distill = recipe.training, 0, recipe.total_epochs, None
    for place, strategy in enumerate(recipe.strategies):
        if isinstance(strategy, Prune) or not strategy.start_epoch <= epoch < strategy.last_epoch:
            continue
        if strategy.training is not None:
            training, first, last = strategy.training, strategy.start_epoch, strategy.last_epoch
        if isinstance(strategy, Distill):
            distill = place
    return Piece(epoch, epoch + 1, training, first, last, distill)


def _goes_on(before: Piece, piece: Piece) -> bool:
    one = (before.training, before.first, before.last, before.distill)
    return one == (piece.training, piece.first, piece.last, piece.distill)
