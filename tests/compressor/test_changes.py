"""Going on by a recipe that was changed: what is said, what is refused, and what is done."""

from __future__ import annotations

import pytest
from compressing import PRUNE, compress, network, recipe, same, task

import slimlab as sl
from slimlab.errors import SlimLabWarning

TRAINING = {"learning_rate": 0.02, "optimizer": "momentum"}


def tune(end, **training):
    return {"strategy": "fine_tune", "end_epoch": end, "training": {**TRAINING, **training}}


BASE = recipe(PRUNE, tune(4), checkpoint={"steps": 1})


@pytest.fixture
def halfway(tmp_path):
    """A run that was stopped in its second epoch, after six of sixteen steps."""
    steps = sl.Compressor(BASE, network(), task(), folder=tmp_path).iter_run()
    for step in steps:
        if step.done == 6:
            break
    sl.finish_early(steps)
    return tmp_path


def goes_on(folder, changed):
    with pytest.warns(SlimLabWarning) as told:
        found = compress(changed, folder)
    assert tuple(str(w.message) for w in told if w.category is SlimLabWarning) == found.notes
    return found


def test_the_same_recipe_says_nothing(halfway):
    assert compress(BASE, halfway).notes == ()


def test_what_only_names_the_result_says_nothing(halfway):
    changed = recipe(PRUNE, tune(4), name="other", checkpoint={"steps": 2, "keep": 1})
    assert compress(changed, halfway).notes == ()


def test_another_learning_rate_is_used_from_now_on(halfway):
    found = goes_on(halfway, recipe(PRUNE, tune(4, learning_rate=0.002)))
    behind, ahead = found.notes
    change = "training.learning_rate 0.02 -> 0.002"
    assert behind == f"Epoch 0: {change}, and are not trained again."
    assert ahead == f"Epochs 1 to 3: {change}, from now on."
    rates = [record.learning_rate for record in found.history.records]
    whole = [record.learning_rate for record in compress(BASE).history.records]
    assert rates[1:7] == whole[1:7]
    assert rates[7:] == pytest.approx([rate / 10 for rate in whole[7:]])


def test_another_optimizer_begins_anew(halfway):
    found = goes_on(halfway, recipe(PRUNE, tune(4, optimizer="adam")))
    assert any("the optimizer begins anew" in note for note in found.notes)
    assert found.history.records[-1].step == 16


def test_more_epochs(halfway):
    found = goes_on(halfway, recipe(PRUNE, tune(4), epochs=6))
    assert found.notes == ("Epochs 4 to 5: trained by one of the two recipes only, from now on.",)
    assert found.history.records[-1].step == 24


def test_what_was_cut_already_is_not_cut_again(halfway):
    found = goes_on(halfway, recipe({**PRUNE, "macs": 0.7}, tune(4)))
    assert found.notes == (
        "Strategy 0 (prune) changed the model at epoch 0; the recipe now says macs 0.4 -> 0.7. It "
        "is not done again.",
    )
    assert same(found.model, compress(BASE).model)


def test_another_seed(halfway):
    found = goes_on(halfway, recipe(PRUNE, tune(4), seed=1))
    assert "neither seed" in found.notes[0]


def test_a_strategy_whose_epoch_has_passed_is_carried_out_now(halfway):
    late = {"strategy": "prune", "method": "uniform", "ratio": 0.5, "start_epoch": 1}
    with pytest.warns(SlimLabWarning, match=r"was due at epoch 1|At epoch 1"):
        found = compress(recipe(PRUNE, tune(4), late), halfway)
    assert found.model[0].weight.shape[0] == 3
    assert [done.act.strategy for done in found.acted] == [0, 2]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (recipe(PRUNE, tune(4), batch_size=16), "batch_size 16"),
        (recipe(PRUNE, tune(1)), "ends after 1"),
        (recipe(tune(4)), "can't be undone"),
        (recipe(tune(4), PRUNE), "can't be undone"),
    ],
)
def test_what_cannot_be_joined_is_refused(changed, words, halfway):
    before = sorted(path.name for path in halfway.rglob("*"))
    with pytest.raises(sl.ArtifactError, match=words):
        compress(changed, halfway)
    assert sorted(path.name for path in halfway.rglob("*")) == before
