"""Checks of lesson 02: what a scan says for certain. Knows `Sensitivity`; measures nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from slimlab_widgets.teaching.verdict import Verdict

if TYPE_CHECKING:
    from slimlab import Sensitivity

CLOSE = 0.15  # share by which an estimated number of images may miss


def check_clear_layers(
    answer: Iterable[str] | None, sensitivity: Sensitivity, *, ratio: float
) -> Verdict:
    """Check a list of the layers whose drop at a ratio is told from zero.

    Parameters
    ----------
    answer
        Names of layers, in any order; None while nothing was answered.
    sensitivity
        The scan that the answer was read from.
    ratio
        One of its pruning ratios.

    Examples
    --------
    >>> import slimlab as sl
    >>> from slimlab_widgets import teaching
    >>> task = sl.load_task("digits")
    >>> scan = sl.scan_sensitivity(sl.load_model("vgg", task), task, ratios=[0.5], progress=False)
    >>> teaching.check_clear_layers(["hidden"], scan, ratio=0.5).right
    False
    """
    if answer is None:
        return Verdict("open", "Put the names of the layers into the list, each in quotes.")
    if isinstance(answer, str):
        return Verdict("wrong", f"{answer!r} is one text; write a list of names: ['...', '...'].")
    names = [str(name) for name in answer]
    unknown = [name for name in names if name not in sensitivity.layers]
    if unknown:
        return Verdict("wrong", f"The scan has no layer called {unknown[0]!r}; copy its name.")
    cells = {cell.layer: cell for cell in sensitivity.cells if cell.ratio == ratio}
    if not cells:
        return Verdict("wrong", f"This scan has nothing at pruning ratio {ratio:g}.")
    named = {name: cells[name] for name in names if name in cells}
    clear = {name for name, cell in cells.items() if cell.is_clear and cell.drop > 0}
    unclear = [n for n, cell in named.items() if n not in clear and cell.low <= 0]
    gained = [n for n, cell in named.items() if n not in clear and cell.low > 0]
    missing = len(clear - set(names))
    faults = []
    if unclear:
        faults.append(
            f"{_some(len(unclear))} in your list could as well have lost nothing: look whether "
            "its interval, from low to high, holds zero."
        )
    if gained:
        faults.append(f"{_some(len(gained))} in your list did not lose accuracy but win some.")
    if missing:
        faults.append(
            f"{_some(missing)} that lost accuracy for certain {_is(missing)} not in your list."
        )
    praise = "Below these, a scan on these images can't say whether anything was lost."
    return Verdict.of(faults, praise)


def check_images(
    answer: float | None, sensitivity: Sensitivity, *, layer: str, ratio: float, points: float
) -> Verdict:
    """Check an estimate of how many images an interval of a given half width takes.

    Parameters
    ----------
    answer
        Number of images; None while nothing was answered. It may miss by 15 %.
    sensitivity
        The scan that the answer was worked out from.
    layer, ratio
        Which of its cells is meant.
    points
        How far the interval is to reach to each side of its middle, in points.

    Examples
    --------
    >>> import slimlab as sl
    >>> from slimlab_widgets import teaching
    >>> task = sl.load_task("digits")
    >>> scan = sl.scan_sensitivity(sl.load_model("vgg", task), task, ratios=[0.5], progress=False)
    >>> teaching.check_images(None, scan, layer="hidden", ratio=0.5, points=0.1).state
    'open'
    """
    if answer is None:
        return Verdict("open", "Write a number of images; working it out in code is fine.")
    cells = [c for c in sensitivity.curve(layer) if c.ratio == ratio]
    if not cells:
        return Verdict("wrong", f"This scan has nothing for {layer} at pruning ratio {ratio:g}.")
    cell = cells[0]
    half = (cell.high - cell.low) / 2
    needed = cell.images * (half / points) ** 2
    linear = cell.images * half / points
    faults = []
    if abs(answer - linear) <= CLOSE * linear < abs(needed - linear):
        faults.append(
            "You took the width to shrink as fast as the number of images grows. With four times "
            "the images it only halves."
        )
    elif answer < needed * (1 - CLOSE):
        faults.append(f"With {answer:,.0f} images the interval would still be wider than that.")
    elif answer > needed * (1 + CLOSE):
        faults.append("Fewer would do: start from the half width that the scan has now.")
    return Verdict.of(faults, "The width shrinks with the square root of the number of images.")


def _some(count: int) -> str:
    return "One layer" if count == 1 else f"{count} layers"


def _is(count: int) -> str:
    return "is" if count == 1 else "are"
