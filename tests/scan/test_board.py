"""From scores to cells: which precision is shown, when there are images enough, what is wanting."""

from __future__ import annotations

import math
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import slimlab as sl
from slimlab.scan.board import LEAST, RELATIVE, Board, Wants, cell_of
from slimlab.scan.records import WHOLE, Key, Record, Records
from slimlab.sensitivity import Fingerprint
from slimlab.task import LOSS, TOP1

A: Key = ("a", 0.5)
EMPTY = sl.Sensitivity(
    (), ("a",), (0.5,), float("nan"), "top1", "%", "l1_norm", 100, Fingerprint("m", "t")
)


def scores(right: int, images: int) -> np.ndarray:
    """Give the first `right` images a 1, the others a 0."""
    return (np.arange(images) < right).astype(np.float32)


def board(dtype: str, *parts: tuple[Key, str, np.ndarray], images: int = 100) -> Board:
    records = Records({})
    records.add(Record(key, precision, 0, made) for key, precision, made in parts)
    return Board(replace(EMPTY, images=images), TOP1, records, dtype)


def preview(images: int) -> list[tuple[Key, str, np.ndarray]]:
    return [(WHOLE, "bfloat16", scores(90, images)), (A, "bfloat16", scores(80, images))]


def exact(images: int) -> list[tuple[Key, str, np.ndarray]]:
    return [(WHOLE, "float32", scores(90, images)), (A, "float32", scores(70, images))]


# ---------------------------------------------------------------------------------- precision


@pytest.mark.parametrize(
    ("asked", "measured", "shown"),
    [
        ("float32", LEAST - 1, "bfloat16"),  # too few for an interval: the preview says more
        ("float32", LEAST, "float32"),
        ("float32", 100, "float32"),
        ("bfloat16", LEAST, "bfloat16"),  # a preview of all images is what was asked for
        ("bfloat16", 100, "float32"),  # ... but nothing better than float32 on all images
    ],
)
def test_float32_takes_the_place_of_a_preview(asked: str, measured: int, shown: str) -> None:
    made = board(asked, *preview(100), *exact(measured))
    (cell,) = made.table.cells
    assert cell.dtype == shown
    assert cell.images == (100 if shown == "bfloat16" else measured)


def test_what_is_measured_now_is_judged_by_its_own_images() -> None:
    """The preview saw all images; the float32 cell behind it is not done for that."""
    made = board("float32", *preview(100), *exact(10))
    cell = made.cell(A)
    assert cell is not None
    assert (cell.dtype, cell.images) == ("float32", 10)
    assert made.images == 0, "a preview is no progress of a scan in float32"
    assert not made.has(A, 0, 100)
    assert board("float32", *preview(100)).cell(A) is None


def test_a_preview_of_what_is_known_in_float32_measures_nothing() -> None:
    made = board("bfloat16", *exact(100))
    assert made.has(A, 0, 100)
    assert made.images == 100
    assert made.table.exact


def test_a_known_preview_is_shown_until_it_is_measured() -> None:
    (known,) = board("bfloat16", *preview(100)).table.cells
    fresh = board("float32")
    fresh.give([known], baseline=90.0)
    assert fresh.table.cells == (known,)
    assert fresh.table.baseline == 90
    assert not fresh.has(A, 0, 100)
    fresh.add([Record(key, "float32", 0, made) for key, _, made in exact(100)])
    assert [cell.dtype for cell in fresh.table.cells] == ["float32"]


def test_a_known_cell_is_taken_over_with_the_baseline() -> None:
    (known,) = board("float32", *exact(100)).table.cells
    fresh = board("float32")
    fresh.give([known, replace(known, layer="elsewhere")], baseline=90.0)
    assert fresh.table.cells == (known,)
    assert fresh.has(A, 0, 100)
    assert fresh.table.baseline == 90
    # The first images that are measured for another cell say less of the baseline than all did.
    fresh.add([Record(WHOLE, "float32", 0, np.ones(10, dtype=np.float32))])
    assert fresh.table.baseline == 90


# ------------------------------------------------------------------------------------- images


def test_a_table_of_fewer_images_than_are_known() -> None:
    made = board("float32", *exact(100), images=80)
    (cell,) = made.table.cells
    assert (cell.images, cell.metric, cell.drop) == (80, pytest.approx(87.5), pytest.approx(12.5))
    assert made.table.baseline == 100


def test_a_cell_counts_images_that_both_networks_saw() -> None:
    made = board("float32", (WHOLE, "float32", scores(90, 100)))
    made.add([Record(A, "float32", 80, np.zeros(40, dtype=np.float32))])
    (cell,) = made.table.cells
    assert cell.images == 20
    assert cell.drop == pytest.approx(50)  # ten of the twenty were right


def test_a_baseline_that_comes_late_makes_the_cells() -> None:
    made = board("float32", (A, "float32", scores(70, 100)))
    assert made.table.cells == ()
    assert made.add([Record(WHOLE, "float32", 0, scores(90, 100))]).cells == (
        board("float32", *exact(100)).table.cells
    )


@settings(max_examples=100, deadline=None)
@given(
    parts=st.lists(
        st.tuples(st.integers(0, 20), st.lists(st.integers(0, 9), min_size=1, max_size=20)),
        max_size=6,
    )
)
def test_what_was_measured_first_stays_in_memory_and_on_disk(
    parts: list[tuple[int, list[int]]],
) -> None:
    """Runtimes differ in the last digit: a table must not depend on whether it was read again."""
    expected: dict[int, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.scan"
        with Records({}, path) as records:
            for start, values in parts:
                records.add([Record(WHOLE, "float32", start, np.array(values, dtype=np.float32))])
                for at, value in enumerate(values, start):
                    expected.setdefault(at, value)
            for found in (records, Records({}, path, write=False)):
                scores = found.scores(WHOLE, "float32")
                known = {int(at): int(scores[at]) for at in np.flatnonzero(~np.isnan(scores))}
                assert known == expected


@given(
    before=st.lists(st.floats(0, 10, width=32), min_size=2, max_size=20),
    data=st.data(),
)
def test_a_loss_is_an_accuracy_turned_round(before: list[float], data: st.DataObject) -> None:
    size = len(before)
    after = data.draw(st.lists(st.floats(0, 10, width=32), min_size=size, max_size=size))
    pair = (np.array(before, dtype=np.float32), np.array(after, dtype=np.float32))
    up = cell_of(A, pair, replace(LOSS, higher_is_better=True), "float32")
    down = cell_of(A, pair, LOSS, "float32")
    assert (down.drop, down.low, down.high) == (-up.drop, -up.high, -up.low)
    assert down.metric == up.metric
    assert down.low <= down.drop <= down.high


# -------------------------------------------------------------------------------------- wants


def made_of(images: int, drop: float, half: float) -> sl.Cell:
    return sl.Cell("a", 0.5, 90 - drop, drop, drop - half, drop + half, images)


@pytest.mark.parametrize(
    ("images", "drop", "half", "more"),
    [
        (LEAST - 1, 0.0, 0.1, True),  # few images: even the interval isn't known
        (LEAST, 0.0, 1.0, False),
        (LEAST, 0.0, 1.01, True),
        (500, 20.0, 20 * RELATIVE, False),  # a quarter of a large drop is enough
        (500, 20.0, 20 * RELATIVE + 0.1, True),
        (500, -20.0, 20 * RELATIVE, False),
        (1000, 0.0, 50.0, False),  # there are no more images
        (1001, 0.0, 50.0, False),
        (500, 0.0, math.inf, True),
    ],
)
def test_when_there_are_images_enough(images: int, drop: float, half: float, more: bool) -> None:
    wants = Wants(images=1000, precision=1.0)
    assert wants.more(made_of(images, drop, half)) is more
    assert Wants(images=1000, precision=None).more(made_of(images, drop, half)) is (images < 1000)


def test_the_wider_side_counts() -> None:
    lopsided = replace(made_of(500, 0.0, 0.5), low=-2.0)
    assert Wants(1000, 1.0).more(lopsided)
    assert Wants(1000, 1.0).more(None)


@pytest.mark.parametrize(
    ("drop", "half", "more"),
    [(2.0, 0.5, True), (2.4, 0.5, True), (2.6, 0.5, False), (1.4, 0.5, False), (40.0, 9.0, False)],
)
def test_a_cell_is_decided_when_its_interval_lies_on_one_side(
    drop: float, half: float, more: bool
) -> None:
    assert Wants(1000, decide=2.0).more(made_of(500, drop, half)) is more
    assert Wants(1000, decide=2.0).more(made_of(LEAST - 1, drop, half)), "too few to say"
    assert not Wants(1000, decide=2.0).more(made_of(1000, drop, half))
    assert not Wants(1000, precision=0.5, decide=2.0).more(made_of(500, drop, half)), "either"
