"""Floor 3. What the optimiser charges for a ratio: the predicted drop, and something for the doubt.

A drop that can't be told from zero must not be free. Charged by the fitted curve alone, a layer
whose curve is flat within noise would be pruned to the last ratio before another loses anything,
and such choices lose to uniform ones after fine-tuning: in PaddleSlim's own tables, ratios picked
by sensitivity are worse than uniform ones at equal cost.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from slimlab.sensitivity import Sensitivity

Array = NDArray[np.float64]
LEFT = 1e-3  # share of an accuracy that is left at least, so that its logarithm is finite
UNKNOWN = 0.01  # of the baseline: the doubt where a table holds no finite interval


def charged(
    sensitivity: Sensitivity, layer: str, ratios: Array, *, weight: float, caution: float
) -> Array:
    """Charge of a layer's ratios, shape `(levels,)`, such that the charges of layers add up.

    The drop that is charged is `fitted(ratio) + caution * doubt * weight * ratio**2`.

    - `doubt` is the mean half width of the layer's intervals, in points: the drop that could hide
      where none was seen. It shrinks as the scan is given more images, and the curves take over.
    - `ratio**2`: the least important channels go first, so that what is lost rises faster than the
      number of channels (to second order, a change of weights raises the loss by its square: LeCun
      et al., Optimal Brain Damage, 1989).
    - `weight` is the share of the cost that the layer's width takes part in, over its mean. With
      it, what is charged for the doubt alone is least when all ratios are equal: a scan that tells
      nothing gives nearly uniform ratios, the baseline that is hard to beat.

    Charges add up like the drops of `Sensitivity.together`: of an accuracy `a` that loses `d`
    points, `-a * log(1 - d / a)`, which is `d` where that is small; of other metrics, `d`.

    Parameters
    ----------
    sensitivity, layer
        Where the curve comes from.
    ratios
        Shape `(levels,)`.
    weight
        Of the layer, 1 on average.
    caution
        How much of the doubt is charged; 0 for the fitted curve alone.
    """
    curve, drops = sensitivity.fitted(layer)
    points = np.interp(ratios, curve, drops)
    points = points + caution * doubt(sensitivity, layer) * weight * ratios**2
    if sensitivity.unit != "%" or not sensitivity.baseline > 0:
        return np.asarray(points)
    left = np.maximum(LEFT, 1 - points / sensitivity.baseline)
    # Beyond what can be lost the charge goes on rising, so that more is never free.
    beyond = np.maximum(0.0, points - (1 - LEFT) * sensitivity.baseline)
    return np.asarray(beyond - sensitivity.baseline * np.log(left))


def doubt(sensitivity: Sensitivity, layer: str) -> float:
    """Mean half width of a layer's intervals, in the metric's unit."""
    halves = [(cell.high - cell.low) / 2 for cell in sensitivity.curve(layer)]
    known = [half for half in halves if math.isfinite(half)]
    if known:
        return float(np.mean(known))
    return UNKNOWN * abs(sensitivity.baseline)
