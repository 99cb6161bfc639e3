"""Floor 1. The 95 % interval of a mean difference over the same images.

Knows scores before and after; knows neither layers nor ratios.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Z95 = 1.959964  # half width of a 95 % interval in standard errors


def paired_interval(
    before: NDArray[np.float64], after: NDArray[np.float64]
) -> tuple[float, float, float]:
    """Mean of `before - after` over the same images, and its 95 % interval.

    The images are taken for a random sample of all images like them. So the interval of a whole
    test set has a width as well, and that of a part of it, which could be narrower where only the
    rest of that set is to be foretold, is on the safe side.

    Parameters
    ----------
    before, after
        Score of each image, shape `(n,)`. Where all are 0 or 1 the interval is that of Bonett and
        Price (J. Educ. Behav. Stat. 2012), which adds one flip each way and so keeps its width
        when no image flipped. For other scores it is the union of two: Student's, and Hall's
        (J. R. Stat. Soc. B 1992), which follows the skewness of the differences. A few images with
        a huge loss or divergence are what a small sample misses, and Student's alone is then too
        low too often.

    Returns
    -------
    tuple
        Mean, low and high, in the unit of the scores.

    Examples
    --------
    >>> import numpy as np
    >>> from slimlab.intervals import paired_interval
    >>> before, after = np.ones(100), np.r_[np.zeros(10), np.ones(90)]
    >>> mean, low, high = paired_interval(before, after)
    >>> round(mean, 3), round(low, 3), round(high, 3)
    (0.1, 0.034, 0.162)
    """
    difference = before.astype(np.float64) - after
    n, mean = len(difference), float(difference.mean())
    if np.isin(before, (0, 1)).all() and np.isin(after, (0, 1)).all():
        lost, won = ((difference == sign).sum() + 1 for sign in (1, -1))
        center = (lost - won) / (n + 2)
        p, q = lost / (n + 2), won / (n + 2)
        half = Z95 * np.sqrt((p + q - (p - q) ** 2) / (n + 2))
        return mean, float(center - half), float(center + half)
    if n < 2:
        return mean, float("-inf"), float("inf")
    error = float(difference.std(ddof=1)) / np.sqrt(n)
    if error == 0:
        return mean, mean, mean
    far = float(stats.t.ppf(0.975, n - 1))
    least, most = _hall(difference, far)
    return mean, mean - error * max(far, most), mean + error * max(far, -least)


def _hall(difference: NDArray[np.float64], far: float) -> tuple[float, float]:
    """Both ends of the studentised mean at +-`far`, by Hall's cubic transformation.

    With the skewness g of the differences and T the studentised mean,
    ``T + a T^2 / r + a^2 T^3 / (3 r^2) + g / (6 r)`` is close to normal, for a = g / 3 and
    r = sqrt(n); it rises everywhere, so that it can be solved for T.
    """
    root = np.sqrt(len(difference))
    # Divided before it is cubed: the cube of a tiny spread would be zero.
    standardised = (difference - difference.mean()) / difference.std(ddof=1)
    skewness = float((standardised**3).mean())
    bend = skewness / 3 / root
    ends = np.array([-far, far]) - skewness / 6 / root
    if abs(bend) > 1e-9:
        ends = (np.cbrt(1 + 3 * bend * ends) - 1) / bend
    return float(ends[0]), float(ends[1])
