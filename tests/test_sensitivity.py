"""The table of a scan: intervals, the fitted curve, JSON. Scanning itself is in test_scan.py."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tables import table

import slimlab as sl
from slimlab.intervals import paired_interval


def test_the_interval_by_hand() -> None:
    """10 of 100 images lost, 2 won: (11, 3) of 102 after adding one flip each way."""
    before = np.concatenate([np.ones(10), np.zeros(2), np.ones(88)])
    after = np.concatenate([np.zeros(10), np.ones(2), np.ones(88)])
    drop, low, high = paired_interval(before, after)
    p, q, n = 11 / 102, 3 / 102, 102
    half = 1.959964 * np.sqrt((p + q - (p - q) ** 2) / n)
    assert drop == pytest.approx(0.08)
    assert (low, high) == pytest.approx((p - q - half, p - q + half))


def test_the_interval_of_symmetric_differences_is_students() -> None:
    """Four differences without skewness, sd sqrt(10 / 3); t of 3 degrees of freedom is 3.182446."""
    difference = np.array([-2.0, -1.0, 1.0, 2.0])
    mean, low, high = paired_interval(difference + 0.5, np.full(4, 0.25))
    half = 3.182446 * np.sqrt(10 / 3) / 2
    assert (mean, low, high) == pytest.approx((0.25, 0.25 - half, 0.25 + half), rel=1e-6)


def test_one_image_says_nothing_of_the_others() -> None:
    assert paired_interval(np.array([0.75]), np.array([0.25])) == (0.5, -np.inf, np.inf)


def test_equal_differences_have_no_width() -> None:
    assert paired_interval(np.full(9, 2.5), np.full(9, 2.0)) == (0.5, 0.5, 0.5)


def test_the_interval_of_tiny_differences_is_a_number() -> None:
    found = paired_interval(np.array([1e-150, 2e-150, 5e-150]), np.zeros(3))
    assert np.isfinite(found).all()


@settings(max_examples=60, deadline=None)
@given(
    scores=arrays(float, st.integers(2, 40), elements=st.floats(-50, 50)),
    shift=st.floats(-5, 5),
    scale=st.floats(0.1, 10),
)
def test_the_interval_moves_turns_and_stretches_with_the_scores(
    scores: np.ndarray, shift: float, scale: float
) -> None:
    """What a loss is measured in, and which of two networks is named first, changes nothing."""
    none = np.full(len(scores), 0.125)  # never 0 or 1: the interval is that of a mean
    mean, low, high = paired_interval(scores, none)
    assert low <= mean <= high
    if high - low < 1e-6:  # too equal for their skewness to be a number
        return
    turned = paired_interval(none, scores)
    np.testing.assert_allclose(turned, (-mean, -high, -low), rtol=1e-6, atol=1e-6)
    moved = paired_interval(scale * scores + shift, scale * none)
    expected = scale * np.array([mean, low, high]) + shift
    np.testing.assert_allclose(moved, expected, rtol=1e-5, atol=1e-5)


def test_the_interval_of_skewed_scores_covers() -> None:
    """A few images diverge a lot: the usual interval holds their mean far too seldom."""
    rng = np.random.default_rng(0)
    draws, n, sigma = 1000, 200, 1.5
    truth = np.exp(sigma**2 / 2)  # the mean of a log-normal distribution
    held = usual = 0
    for _ in range(draws):
        scores = rng.lognormal(0, sigma, n)
        _, low, high = paired_interval(scores, np.zeros(n))
        held += low <= truth <= high
        usual += abs(scores.mean() - truth) <= 1.96 * scores.std(ddof=1) / np.sqrt(n)
    assert usual / draws < 0.91
    assert 0.925 <= held / draws <= 0.99


def test_nothing_flipped_still_has_a_width() -> None:
    drop, low, high = paired_interval(np.ones(50), np.ones(50))
    assert drop == 0
    assert low < 0 < high


def test_the_interval_covers() -> None:
    """Subsets of images: the interval holds the drop on all of them about 95 % of the time."""
    rng = np.random.default_rng(0)
    before = (rng.random(10_000) < 0.9).astype(float)
    after = np.where(rng.random(10_000) < 0.07, 1 - before, before)
    truth = (before - after).mean()
    held = 0
    for _ in range(400):
        chosen = rng.choice(10_000, 500, replace=False)
        _, low, high = paired_interval(before[chosen], after[chosen])
        held += low <= truth <= high
    assert 0.93 <= held / 400 <= 0.99


def test_a_drop_that_cant_be_told_from_zero_says_so() -> None:
    assert not sl.Cell("a", 0.1, 90, 0.2, -0.3, 0.7, 100).is_clear
    assert sl.Cell("a", 0.1, 90, 0.8, 0.3, 1.3, 100).is_clear


@settings(max_examples=100, deadline=None)
@given(drops=arrays(float, st.integers(1, 9), elements=st.floats(-5, 80)))
def test_the_fitted_curve_starts_at_zero_and_never_falls(drops: np.ndarray) -> None:
    ratios = tuple(np.round(np.linspace(0.1, 0.9, len(drops)), 3).tolist())
    scan = table({"a": drops.tolist()}, ratios)
    at, fitted = scan.fitted("a")
    assert (at[0], fitted[0]) == (0, pytest.approx(0, abs=1e-6))
    assert (np.diff(fitted) >= -1e-9).all()
    assert (fitted >= 0).all()
    if (np.diff(np.concatenate([[0], drops])) >= 0).all():
        np.testing.assert_allclose(fitted[1:], drops, atol=1e-6)


def test_the_prediction_interpolates_and_is_flat_after_the_last_point() -> None:
    scan = table({"a": [1.0, 3.0]}, (0.2, 0.4))
    found = [scan.predicted_drop("a", r) for r in (0.0, 0.1, 0.2, 0.3, 0.4, 0.8)]
    assert found == pytest.approx([0, 0.5, 1, 2, 3, 3], abs=1e-6)


def test_pooled_violators_by_hand() -> None:
    """Drops 2, 1, 3: the first two are averaged."""
    scan = table({"a": [2.0, 1.0, 3.0]}, (0.2, 0.4, 0.6))
    assert scan.fitted("a")[1] == pytest.approx([0, 1.5, 1.5, 3], abs=1e-6)


def test_holes() -> None:
    scan = table({"a": [1.0, 2.0], "b": [1.0]}, (0.2, 0.4))
    assert not scan.complete
    assert len(scan.to_frame()) == 3
    assert [c.ratio for c in scan.curve("b")] == [0.2]
    assert replace(scan, cells=()).fitted("a")[1].tolist() == [0.0]
    with pytest.raises(sl.PlanError, match="'c' was not scanned"):
        scan.curve("c")


def test_json_round_trip(vgg_scan: sl.Sensitivity) -> None:
    again = sl.Sensitivity.from_dict(json.loads(json.dumps(vgg_scan.to_dict())))
    assert again == vgg_scan


def test_unknown_intervals_are_valid_json() -> None:
    scan = table({"a": [1.0, 2.0]}, (0.2, 0.4))
    cells = tuple(replace(c, low=-math.inf, high=math.inf) for c in scan.cells)
    text = json.dumps(replace(scan, cells=cells).to_dict(), allow_nan=False)
    assert sl.Sensitivity.from_dict(json.loads(text)).cells == cells
    nothing = json.dumps(replace(scan, baseline=math.nan).to_dict(), allow_nan=False)
    assert math.isnan(sl.Sensitivity.from_dict(json.loads(nothing)).baseline)


@pytest.mark.parametrize("wrong", [{}, {"cells": 3}, {"cells": [["a"]], "layers": []}])
def test_what_is_no_table_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(sl.ArtifactError, match="no sensitivity table"):
        sl.Sensitivity.from_dict(wrong)


def test_repr(vgg_scan: sl.Sensitivity) -> None:
    assert f"{len(vgg_scan.cells)} of {len(vgg_scan.cells)} cells" in repr(vgg_scan)
