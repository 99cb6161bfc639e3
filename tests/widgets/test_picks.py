from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import slimlab as sl
from slimlab.errors import SlimLabError
from slimlab_widgets.picks import MOST, Pick, Picks


def pick(name="picked", **ratios):
    return Pick(sl.Ratios(ratios), name)


def test_undo_and_redo_walk_the_same_way_back_and_forth():
    picks = Picks().with_pick(pick(a=0.1)).with_pick(pick(b=0.2))
    seen = [picks.now]
    for _ in range(4):  # further than there is a past
        picks = picks.undo()
        seen.append(picks.now)
    assert [dict(p.ratios) for p in seen] == [{"b": 0.2}, {"a": 0.1}, {}, {}, {}]
    for _ in range(4):
        picks = picks.redo()
    assert dict(picks.now.ratios) == {"b": 0.2}
    assert len(picks.past) == 2


def test_a_new_pick_ends_the_future():
    picks = Picks().with_pick(pick(a=0.1)).undo().with_pick(pick(b=0.2))
    assert picks.future == ()
    assert dict(picks.redo().now.ratios) == {"b": 0.2}


def test_the_moves_of_one_stroke_are_one_step_back():
    picks = Picks().with_pick(pick(b=0.3))
    for step in range(1, 6):
        picks = picks.with_pick(pick(b=0.3, a=step / 10), stroke="view:7")
    assert dict(picks.now.ratios) == {"a": 0.5, "b": 0.3}
    assert dict(picks.undo().now.ratios) == {"b": 0.3}
    assert len(picks.past) == 2


@pytest.mark.parametrize("stroke", ["view:8", "other view:7", None])
def test_other_moves_are_steps_of_their_own(stroke):
    picks = Picks().with_pick(pick(a=0.1), stroke="view:7").with_pick(pick(a=0.2), stroke=stroke)
    assert dict(picks.undo().now.ratios) == {"a": 0.1}
    assert dict(picks.undo().undo().now.ratios) == {}


def test_a_stroke_ends_with_undo_and_with_a_name():
    moved = Picks().with_pick(pick(a=0.1), stroke="v:1")
    assert dict(moved.keep("x").with_pick(pick(a=0.2), stroke="v:1").undo().now.ratios) == {
        "a": 0.1
    }
    again = moved.undo().with_pick(pick(a=0.2), stroke="v:1")
    assert dict(again.undo().now.ratios) == {}


def test_the_same_ratios_again_are_no_step():
    picks = Picks().with_pick(pick(a=0.5)).with_pick(pick("half", a=0.5, b=0.0))
    assert picks.now.name == "half"
    assert len(picks.past) == 1


def test_snapshots_are_kept_taken_and_forgotten():
    picks = Picks().with_pick(pick("uniform 0.50", a=0.5)).keep()
    picks = picks.with_pick(pick(a=0.1)).keep(" mine ").keep("mine")
    assert [name for name, _ in picks.snapshots] == ["uniform 0.50", "mine"]
    taken = picks.take("uniform 0.50")
    assert (dict(taken.now.ratios), taken.now.name) == ({"a": 0.5}, "uniform 0.50")
    assert dict(taken.undo().now.ratios) == {"a": 0.1}
    assert [name for name, _ in taken.forget("mine").snapshots] == ["uniform 0.50"]
    assert [name for name, _ in picks.take("uniform 0.50").keep().snapshots][-1] == (
        "uniform 0.50 (2)"
    )


@pytest.mark.parametrize(
    ("picks", "hint"), [(Picks(), "Nothing was kept"), (Picks().keep("half"), "half")]
)
def test_a_name_that_is_not_there_is_refused(picks, hint):
    for event in ("take", "forget"):
        with pytest.raises(SlimLabError, match=hint):
            picks.after(event, {"name": "halve"})


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(0, 30))
def test_undo_undoes_whatever_was_picked(values, back):
    """Against a plain list of all picks, each different from the one before."""
    story = [0]
    picks = Picks()
    for value in values:
        picks = picks.with_pick(pick(a=value / 10))
        if value != story[-1]:
            story.append(value)
    for _ in range(back):
        picks = picks.undo()
    expected = story[max(0, len(story) - 1 - back)]
    assert picks.now.ratios.get("a", 0.0) == expected / 10
    for _ in range(back):
        picks = picks.redo()
    assert picks.now.ratios.get("a", 0.0) == story[-1] / 10


def test_the_past_does_not_grow_for_ever():
    picks = Picks()
    for number in range(3 * MOST):
        picks = picks.with_pick(pick(a=(number + 1) / 1000))
    assert len(picks.past) == MOST
