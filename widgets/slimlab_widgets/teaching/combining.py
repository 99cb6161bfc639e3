"""Checks of lessons 04, 06 and 08: losses for a student, a recipe, scans put together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import slimlab as sl
from slimlab.errors import SlimLabError
from slimlab_widgets.teaching.verdict import Verdict

if TYPE_CHECKING:
    from paddle.nn import Layer

    from slimlab import DistillLoss, Sensitivity, Task


def check_losses(
    answer: Sequence[DistillLoss] | None, student: Layer, teacher: Layer, task: Task, *, pairs: int
) -> Verdict:
    """Check losses that let a student learn from a teacher's answers and from inner layers.

    Parameters
    ----------
    answer
        What `distill=` would take; None while unanswered. One training step is made with it, on a
        copy of the student.
    student, teacher, task
        What they are for.
    pairs
        Losses between inner layers that are asked for, at least, beside soft labels.

    Examples
    --------
    >>> import slimlab as sl
    >>> from slimlab_widgets import teaching
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> teaching.check_losses([sl.SoftLabel()], model, model, task, pairs=1).right
    False
    """
    if answer is None:
        return Verdict("open", "Make a list of losses, such as [sl.SoftLabel(...), ...].")
    losses = [answer] if isinstance(answer, sl.DistillLoss) else list(answer)
    strange = next((one for one in losses if not isinstance(one, sl.DistillLoss)), None)
    if strange is not None:
        return Verdict("wrong", f"{strange!r} is no loss.")
    faults = []
    soft = [loss for loss in losses if isinstance(loss, sl.SoftLabel)]
    if not soft:
        faults.append("Nothing in it lets the student see the teacher's answers.")
    for one in soft:
        if one.student_temperature != one.teacher_temperature:
            faults.append("Student and teacher are asked at two temperatures: compare like things.")
        elif one.student_temperature <= 1:
            faults.append("At temperature 1 a sure teacher says little more than the label.")
    inner = {(loss.student, loss.teacher) for loss in losses if loss.student is not None}
    if len(inner) < pairs:
        faults.append(f"It compares {len(inner)} pairs of inner layers; {pairs} are asked for.")
    if not faults:
        steps = sl.iter_fine_tune(student, task, epochs=1, teacher=teacher, distill=losses)
        try:
            next(steps)
            next(steps)
        except SlimLabError as error:
            faults.append(str(error))
        finally:
            steps.close()
    return Verdict.of(
        faults, f"A training step runs with {', '.join(one.label for one in losses)}."
    )


def check_recipe(answer: str | None, *, macs: float) -> Verdict:
    r"""Check a recipe that prunes, wins accuracy back, and quantizes, in an order that makes sense.

    Parameters
    ----------
    answer
        YAML; None or empty while unanswered. Nothing is carried out.
    macs
        Share of the MACs that it is to remove.

    Examples
    --------
    >>> from slimlab_widgets import teaching
    >>> text = "version: 1\\nstrategies: [{strategy: prune, method: uniform, macs: 0.5}]"
    >>> teaching.check_recipe(text, macs=0.5).right
    False
    """
    if not (answer or "").strip():
        return Verdict("open", "Write the recipe's YAML.")
    try:
        recipe = sl.Recipe.from_yaml(str(answer))
    except SlimLabError as error:
        return Verdict("wrong", str(error))
    kinds = {kind: _of(recipe, kind) for kind in ("prune", "train", "quantize")}
    missing = {"prune": "prunes", "train": "trains", "quantize": "quantizes"}
    faults = [f"Nothing in it {missing[kind]}." for kind, found in kinds.items() if not found]
    if faults:
        return Verdict.of(faults, "")
    removed = getattr(kinds["prune"][0], "macs", None)
    if removed is None or removed < macs:
        said = "no share of the MACs" if removed is None else f"{removed:.0%} of the MACs"
        faults.append(f"Pruning removes {said}; {macs:.0%} are asked for.")
    cut = max(one.start_epoch for one in kinds["prune"])
    first = min(one.start_epoch for one in kinds["train"])
    last = max(one.last_epoch for one in kinds["train"])
    if first < cut:
        faults.append("It trains before the cut, and what the cut breaks is not won back.")
    if last <= cut:
        faults.append("After the cut there is no epoch in which accuracy is won back.")
    if kinds["quantize"][0].start_epoch < last:
        faults.append("It quantizes while the training in float still goes on.")
    return Verdict.of(faults, f"{len(recipe.strategies)} strategies over {last} epochs and more.")


def check_merged(answer: Sensitivity | None, whole: Sensitivity, parts: int) -> Verdict:
    """Check that scans of parts were put together to the same table as one scan of all.

    Parameters
    ----------
    answer
        What `sl.merge_scans` gave; None while unanswered.
    whole
        The scan of everything, in one process.
    parts
        How many parts the question asks for.

    Examples
    --------
    >>> import slimlab as sl
    >>> from slimlab_widgets import teaching
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> scan = sl.scan_sensitivity(model, task, ratios=[0.5], images=50, progress=False)
    >>> teaching.check_merged(scan, scan, parts=2).right
    True
    """
    if answer is None:
        return Verdict("open", f"Scan {parts} parts into files of their own, and merge them.")
    if not isinstance(answer, sl.Sensitivity):
        return Verdict("wrong", f"This is a {type(answer).__name__}, not a table of a scan.")
    mine = {(cell.layer, cell.ratio): cell for cell in answer.cells}
    theirs = {(cell.layer, cell.ratio): cell for cell in whole.cells}
    faults = []
    if missing := [key for key in theirs if key not in mine]:
        layer, ratio = missing[0]
        faults.append(f"{len(missing)} cells are missing, the first of {layer} at {ratio:g}.")
    other = [key for key in theirs if key in mine and mine[key].drop != theirs[key].drop]
    if other:
        layer, ratio = other[0]
        faults.append(
            f"{len(other)} cells have another drop, the first of {layer} at {ratio:g}: were the "
            "images and the criterion the same?"
        )
    return Verdict.of(faults, f"All {len(theirs)} cells, and not one drop differs.")


def _of(recipe: Any, kind: str) -> list[Any]:
    names = {"prune": {"prune"}, "train": {"fine_tune", "distill"}, "quantize": {"quantize"}}
    return [one for one in recipe.strategies if one.strategy in names[kind]]
