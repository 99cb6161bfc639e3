"""Floor 4. A run goes on by a recipe that was changed meanwhile: what differs, and what it means.

The courses of the two recipes are compared piece by piece: what lies behind is not done again, what
lies ahead is done by the new recipe, and what can't be joined is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from slimlab.compressor.checkpoints import State
from slimlab.compressor.timetable import Act, Piece, acts, pieces
from slimlab.errors import ArtifactError
from slimlab.recipe import Recipe

SHOWN = 3  # differing values of one thing in a sentence
# Beside the learning rate, all that an optimizer's state depends on.
OPTIMIZER = ("optimizer", "ema")


def compare_courses(state: State, new: Recipe) -> tuple[tuple[str, ...], bool]:
    """Say what is different about a new recipe, for a run that got somewhere by an old one.

    Returns
    -------
    sentences, goes_on
        Nothing where both say the same; and whether an optimizer under way fits the new recipe.

    Raises
    ------
    ArtifactError
        When what was done can't be part of the new recipe.
    """
    old, at = state.recipe, state.position
    if any(done.act.strategy >= len(old.strategies) for done in state.acted):
        msg = "The checkpoint tells of a strategy that its own recipe does not have."
        raise ArtifactError(msg)
    if at.step and old.batch_size != new.batch_size:
        msg = (
            f"The run has taken {at.step} steps of {old.batch_size} images, and the recipe now has "
            f"batch_size {new.batch_size}: its place in the data can't be found. Put it back, or "
            "give another folder to begin anew."
        )
        raise ArtifactError(msg, old=old.batch_size, new=new.batch_size)
    if at.epoch > new.total_epochs or (at.batch and at.epoch == new.total_epochs):
        msg = (
            f"The run is in epoch {at.epoch}, and the recipe now ends after {new.total_epochs} "
            "epochs. Give it more, or another folder."
        )
        raise ArtifactError(msg, epoch=at.epoch, epochs=new.total_epochs)
    sentences = [*_seeds(state, new), *_reading(state, new), *_behind(state, new)]
    sentences += _epochs(old, new, 0, at.epoch, "and are not trained again")
    goes_on = True
    if state.training:
        goes_on = _same_optimizer(old, new, at.epoch)
        if not goes_on:
            sentences.append(
                f"In epoch {at.epoch} the optimizer, its average or the losses are others now: the "
                "optimizer begins anew, from the weights as they are."
            )
    last = max(old.total_epochs, new.total_epochs)
    sentences += _epochs(old, new, at.epoch, last, "from now on")
    sentences += _ahead(state, new)
    return tuple(sentences), goes_on


def _seeds(state: State, new: Recipe) -> Iterator[str]:
    old = state.recipe
    if old.seed != new.seed:
        yield (
            f"Until now random numbers followed from seed {old.seed}, from now on from {new.seed}: "
            "the result is that of neither seed."
        )


def _reading(state: State, new: Recipe) -> Iterator[str]:
    """How images are read; that they are the same ones is known when this is asked."""
    old = state.recipe.task
    if old is not None and new.task is not None:
        differing = _difference(_dump(old), _dump(new.task))
        if differing:
            yield f"Training images are read in another way from now on: {differing}."


def _behind(state: State, new: Recipe) -> Iterator[str]:
    """What strategies have done to the model already."""
    old, planned = state.recipe, acts(new)
    for place, done in enumerate(state.acted):
        act = done.act
        mine = old.strategies[act.strategy]
        told = f"Strategy {act.strategy} ({mine.strategy}) changed the model at epoch {act.epoch}"
        fits = place < len(planned) and (planned[place].strategy, planned[place].number) == (
            act.strategy,
            act.number,
        )
        if not fits or new.strategies[act.strategy].strategy != mine.strategy:
            msg = (
                f"{told}, which the recipe does not say any more, and which can't be undone. Put "
                "it back, or give another folder to begin anew."
            )
            raise ArtifactError(msg, strategy=act.strategy, epoch=act.epoch)
        differing = _difference(_dump(mine), _dump(new.strategies[act.strategy]))
        if differing:
            yield f"{told}; the recipe now says {differing}. It is not done again."


def _ahead(state: State, new: Recipe) -> Iterator[str]:
    """Acts that come: what the old recipe would have done else."""
    count = len(state.acted)
    before = {(a.strategy, a.number): a for a in acts(state.recipe)[count:]}
    now = {(a.strategy, a.number): a for a in acts(new)[count:]}
    for key, act in now.items():
        kind = new.strategies[act.strategy].strategy
        if act.epoch < state.position.epoch:
            yield (
                f"Strategy {act.strategy} ({kind}) was due at epoch {act.epoch}, which has passed: "
                "it is carried out now."
            )
        elif key not in before:
            yield f"At epoch {act.epoch}, strategy {act.strategy} ({kind}) is new."
        else:
            yield from _moved(before[key], act, state.recipe, new)
    for key, act in before.items():
        if key not in now:
            kind = state.recipe.strategies[act.strategy].strategy
            yield f"Strategy {act.strategy} ({kind}) of epoch {act.epoch} is not there any more."


def _moved(before: Act, act: Act, old: Recipe, new: Recipe) -> Iterator[str]:
    one, two = old.strategies[before.strategy], new.strategies[act.strategy]
    differing = _difference(_dump(one), _dump(two))
    if differing:
        yield f"At epoch {act.epoch}, strategy {act.strategy} ({two.strategy}): {differing}."


def _epochs(old: Recipe, new: Recipe, start: int, stop: int, meaning: str) -> Iterator[str]:
    """How epochs are trained; neighbours with the same difference in one sentence."""
    first, said = start, ""
    for epoch in range(start, stop + 1):
        now = "" if epoch == stop else _training_difference(old, new, epoch)
        if now != said:
            if said:
                span = f"Epoch {first}" if epoch == first + 1 else f"Epochs {first} to {epoch - 1}"
                yield f"{span}: {said}, {meaning}."
            first, said = epoch, now


def _training_difference(old: Recipe, new: Recipe, epoch: int) -> str:
    one, two = _piece(old, epoch), _piece(new, epoch)
    if one is None or two is None:
        return "trained by one of the two recipes only" if one is not two else ""
    return _difference(_course(old, one), _course(new, two))


def _course(recipe: Recipe, piece: Piece) -> dict[str, Any]:
    """All that the training in a piece depends on."""
    found: dict[str, Any] = {
        "training": _dump(piece.training),
        "schedule from epoch": piece.first,
        "schedule to epoch": piece.last,
    }
    if piece.distill is not None:
        found["distill"] = _dump(recipe.strategies[piece.distill])
        found["distill"].pop("training", None)
    return found


def _same_optimizer(old: Recipe, new: Recipe, epoch: int) -> bool:
    one, two = _piece(old, epoch), _piece(new, epoch)
    if one is None or two is None or one.start != two.start:
        return False
    first, second = _course(old, one), _course(new, two)
    same = all(first["training"].get(k) == second["training"].get(k) for k in OPTIMIZER)
    return same and _adapted(first) == _adapted(second)


def _adapted(course: dict[str, Any]) -> Any:
    distill = course.get("distill", {})
    return distill.get("losses"), distill.get("teachers")


def _piece(recipe: Recipe, epoch: int) -> Piece | None:
    return next((p for p in pieces(recipe) if p.start <= epoch < p.end), None)


def _dump(value: Any) -> dict[str, Any]:
    found: dict[str, Any] = value.model_dump(mode="json", exclude_none=True)
    return found


def _difference(one: Any, two: Any) -> str:
    """The values that differ, in words; nothing where none does."""
    found = list(_differences(one, two, ""))
    more = f", and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return ", ".join(found[:SHOWN]) + more


def _differences(one: Any, two: Any, path: str) -> Iterator[str]:
    if isinstance(one, dict) and isinstance(two, dict):
        for key in dict.fromkeys([*one, *two]):
            inner = f"{path}.{key}" if path else str(key)
            yield from _differences(one.get(key), two.get(key), inner)
    elif isinstance(one, Sequence) and isinstance(two, Sequence) and len(one) == len(two):
        if isinstance(one, str):
            if one != two:
                yield f"{path} {one} -> {two}"
        else:
            for place, (a, b) in enumerate(zip(one, two, strict=True)):
                yield from _differences(a, b, f"{path}[{place}]")
    elif one != two:
        yield f"{path} {_shown(one)} -> {_shown(two)}"


def _shown(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 40 else text[:40] + "..."
