"""What a Compressor does when, and that nothing else can change it."""

from __future__ import annotations

import numpy as np
import paddle
import pytest
from compressing import DISTILL, PRUNE, TUNE, compress, network, recipe, same, task, weights

import slimlab as sl
from slimlab.compressor.timetable import acts, pieces


def test_strategies_act_in_their_epochs():
    seen = []

    def watch(event):
        width = event.model[0].weight.shape[0]
        seen.append((event.kind, event.record.step, width, len(event.record.parts)))

    steps = {**PRUNE, "macs": 0.55, "start_epoch": 1, "end_epoch": 3, "steps": 2}
    distill = {**DISTILL, "start_epoch": 3, "end_epoch": 4}
    compress(recipe(steps, distill, epochs=5), callbacks=[watch])
    kinds = [kind for kind, *_ in seen]
    assert kinds[0] == "start"
    assert kinds[-1] == "end"
    assert kinds.count("epoch") == 5
    assert [(step, width) for kind, step, width, _ in seen if kind == "strategy"] == [
        (4, 6),  # 6/8 * 6/8 of the second convolution stay: 0.6 of the whole
        (8, 5),  # 5/8 * 5/8: 0.42 of the whole
    ]
    parts = [parts for kind, _, _, parts in seen if kind == "step"]
    assert parts == [0] * 12 + [3] * 4 + [0] * 4, "teachers are there in their epoch only"


def test_the_learning_rate_follows_the_strategys_epochs_or_the_whole_recipe():
    own = {"learning_rate": 1.0, "schedule": {"kind": "polynomial"}}
    tune = {"strategy": "fine_tune", "start_epoch": 1, "end_epoch": 3, "training": own}
    whole = {"learning_rate": 0.1, "schedule": {"kind": "polynomial"}}
    found = compress(recipe(tune, epochs=4, training=whole))
    rates = [record.learning_rate for record in found.history.records[1:]]
    line = [0.1 * (1 - step / 16) for step in range(16)]
    expected = line[:4] + [1 - step / 8 for step in range(8)] + line[12:]
    assert rates == pytest.approx(expected)


def test_one_piece_is_the_same_as_fine_tune():
    training = {"learning_rate": 0.02, "optimizer": "adamw", "clip_norm": 1.0, "ema": 0.5}
    tune = {"strategy": "fine_tune", "end_epoch": 3, "training": training}
    found = compress(recipe(tune, seed=5))
    tuned, history = sl.fine_tune(
        network(), task(), epochs=3, learning_rate=0.02, batch_size=32, seed=5, progress=False,
        training=sl.FineTune(**{k: v for k, v in tune.items() if k != "strategy"}).training.build(),
    )  # fmt: skip
    assert same(found.model, tuned)
    assert [r.loss for r in found.history.records] == [r.loss for r in history.records]
    assert [r.metric for r in found.history.records] == [r.metric for r in history.records]


def test_the_model_handed_in_is_not_changed_and_others_random_numbers_are_left_alone():
    model = network()
    before = weights(model)
    np.random.seed(1)  # noqa: NPY002
    paddle.seed(1)
    expected = np.random.random(), paddle.rand([1]).item()  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    paddle.seed(1)
    steps = recipe(PRUNE, DISTILL)
    compressor = sl.Compressor(steps, model, task())
    first = compressor.run(progress=False)
    assert (np.random.random(), paddle.rand([1]).item()) == expected  # noqa: NPY002
    assert all((before[name] == array).all() for name, array in weights(model).items())
    assert same(first.model, compressor.run(progress=False).model), "and a second run is the same"


def test_another_seed_gives_other_weights():
    one, two = (compress(recipe(PRUNE, DISTILL, seed=seed)).model for seed in (0, 1))
    assert not same(one, two)


def test_a_stopped_run_gives_what_it_has_and_goes_on(tmp_path):
    steps = recipe(PRUNE, DISTILL, TUNE)
    running = sl.Compressor(steps, network(), task(), folder=tmp_path).iter_run()
    for step in running:
        if step.done == 7:
            break
    stopped = sl.finish_early(running)
    assert not stopped.complete
    assert stopped.history.records[-1].step == 7
    assert not (tmp_path / "result").exists()
    again = compress(steps, tmp_path)
    whole = compress(steps)
    assert same(again.model, whole.model)
    assert again.history == whole.history


def test_what_is_written_loads_again(tmp_path):
    steps = recipe(PRUNE, TUNE, name="half")
    found = compress(steps, output=tmp_path / "small")
    assert same(sl.load(tmp_path / "small" / "model", model=network()), found.model)
    report = tmp_path / "small" / "report"
    assert sl.Recipe.from_yaml(report / "recipe.yaml") == steps
    frame = found.to_frame()
    assert frame["name"].tolist() == ["before", "half"]
    assert frame["macs"][1] / frame["macs"][0] == pytest.approx(0.6, abs=0.05)
    facts = found.facts()
    assert facts["after"]["scores"]["top1"] == frame["top1"][1]
    assert facts["strategies"][0]["removed"]["macs"] == pytest.approx(0.4, abs=0.05)


def test_not_a_number_stops_the_run_with_the_step_and_the_layer():
    def spoil(event):
        if event.record.step == 9:
            event.model[4].weight.set_value(event.model[4].weight * float("nan"))

    late = {"strategy": "fine_tune", "start_epoch": 2, "end_epoch": 4}
    with pytest.raises(sl.SlimLabError, match="at step 10") as stop:
        compress(recipe(PRUNE, late), callbacks=[spoil])
    assert (stop.value.step, stop.value.layer) == (10, "4"), "counted over the whole recipe"


def test_what_is_missing_is_named():
    with pytest.raises(sl.RecipeError, match="names no task"):
        sl.Compressor(recipe(PRUNE), network())
    with pytest.raises(sl.RecipeError, match="names no model"):
        sl.Compressor(recipe(PRUNE), task=task())


def test_pieces_cover_the_recipe_without_gaps():
    logits = {**DISTILL, "losses": [{"loss": "soft_label"}]}
    steps = recipe({**PRUNE, "start_epoch": 1}, logits, {**TUNE, "end_epoch": 3}, epochs=6)
    found = pieces(steps)
    assert [(piece.start, piece.end) for piece in found] == [(0, 1), (1, 2), (2, 6)]
    assert [piece.distill for piece in found] == [1, 1, None]
    assert [act.epoch for act in acts(steps)] == [1]
