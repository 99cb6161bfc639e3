"""Recipes cut short: the same stages in the same order, whatever the recipe."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import slimlab as sl
from slimlab.compressor.timetable import acts, pieces


def course(recipe):
    """What happens one after the other, without how long it lasts."""
    found = [(act.epoch, 0, act.strategy, act.number) for act in acts(recipe)]
    found += [(piece.start, 1, piece.distill, piece.training.optimizer) for piece in pieces(recipe)]
    return [what[1:] for what in sorted(found, key=lambda what: what[:2])]


@pytest.mark.parametrize("name", sorted(sl.shipped_recipes()))
def test_the_stages_are_those_of_the_whole(name):
    whole = sl.load_recipe(name)
    short = sl.shortened(whole, images=64)
    assert short.total_epochs <= 4
    assert sl.Recipe.from_yaml(short.to_yaml()) == short
    fewer = [
        s.model_copy(update={"steps": 2}) if getattr(s, "steps", 1) > 2 else s
        for s in whole.strategies
    ]
    assert course(short) == course(whole.model_copy(update={"strategies": tuple(fewer)}))
    assert (short.model, short.task, short.export) == (whole.model, whole.task, whole.export)
    for one, two in zip(short.strategies, whole.strategies, strict=True):
        assert one.strategy == two.strategy
        if isinstance(one, sl.Quantize):
            assert one.calibration_images <= 64


epochs = st.integers(0, 60)


@st.composite
def recipes(draw):
    """Recipes whose strategies follow each other or overlap, and whose epochs go on behind them."""
    strategies, start = [], draw(epochs)
    steps = draw(st.integers(1, 5))
    prune = {"strategy": "prune", "method": "uniform", "macs": 0.5, "start_epoch": start}
    if steps > 1:
        end = start + steps + draw(epochs)
        prune |= {"steps": steps, "end_epoch": end}
    strategies.append(prune)
    weight = draw(st.sampled_from([1.0, [[0, 1.0], [3, 0.5], [40, 0.0]]]))
    kind = draw(st.sampled_from(["distill", "fine_tune"]))
    begin = draw(epochs)
    last = begin + 1 + draw(epochs)
    train = {"strategy": kind, "start_epoch": begin, "end_epoch": last}
    train["training"] = {"schedule": {"kind": "piecewise", "boundaries": [1, 7, 30],
                                      "factors": [1, 0.5, 0.2, 0.1]}}  # fmt: skip
    if kind == "distill":
        loss = {"loss": "soft_label", "weight": weight}
        if last - begin > 4:
            loss |= {"start_epoch": draw(st.integers(0, 3)), "end_epoch": draw(st.integers(4, 80))}
        train |= {"teachers": {"a": {"original": True}}, "losses": [loss]}
    strategies.append(train)
    end = max(last, prune.get("end_epoch", start))
    if draw(st.booleans()):
        quantize = {"strategy": "quantize", "start_epoch": end + draw(epochs)}
        if draw(st.booleans()):
            quantize["end_epoch"] = quantize["start_epoch"] + draw(epochs)
        strategies.append(quantize)
        end = quantize.get("end_epoch", quantize["start_epoch"])
    total = draw(st.none() | st.integers(end, end + 50))
    return sl.Recipe(version=1, strategies=strategies, epochs=total)


@given(recipes())
@settings(max_examples=200, deadline=None)
def test_any_recipe_can_be_cut_short(whole):
    short = sl.shortened(whole)
    assert short.total_epochs <= 12
    assert [s.strategy for s in short.strategies] == [s.strategy for s in whole.strategies]
    assert {act.strategy for act in acts(short)} == {act.strategy for act in acts(whole)}
    taught = [{piece.distill for piece in pieces(one)} for one in (short, whole)]
    assert taught[0] == taught[1]
