"""A recipe carried out by two workers: the same result again, and a killed worker costs no bit."""

from __future__ import annotations

import signal

import pytest
from compressing import DISTILL, PRUNE, TUNE, compress, network, recipe, same, task, weights
from family import forked

import slimlab as sl

QUANTIZE = {"strategy": "quantize", "start_epoch": 3, "end_epoch": 4, "equalize": True}
STEPS = recipe(
    PRUNE,
    {**DISTILL, "start_epoch": 1, "end_epoch": 2},
    {**TUNE, "start_epoch": 2, "end_epoch": 3},
    QUANTIZE,
    checkpoint={"steps": 1},
)


@pytest.fixture(scope="module")
def whole():
    return compress(STEPS, workers=2)


def test_one_piece_is_the_same_as_fine_tune():
    tune = {"strategy": "fine_tune", "end_epoch": 2, "training": {"learning_rate": 0.02}}
    found = compress(recipe(tune, seed=5), workers=2)
    tuned, _ = sl.fine_tune(
        network(), task(), epochs=2, learning_rate=0.02, batch_size=32, seed=5, progress=False,
        training=sl.FineTune(**tune).training.build(), workers=2,
    )  # fmt: skip
    assert same(found.model, tuned)


def test_a_killed_worker_costs_no_bit(whole, tmp_path):
    """In each epoch once: pruned, distilled, fine-tuned, quantized."""

    def kill(event):
        if event.kind == "step" and event.record.step in moments:
            moments.remove(event.record.step)
            (other,) = forked()
            other.send_signal(signal.SIGKILL)

    moments = [2, 5, 11, 14]
    deaths = 0
    while moments:
        with pytest.raises(sl.WorkerError, match="goes on from its last checkpoint"):
            compress(STEPS, tmp_path, workers=2, callbacks=[kill])
        assert not forked()
        deaths += 1
    again = compress(STEPS, tmp_path, workers=2)
    assert deaths == 4
    assert same(again.model, whole.model)
    assert again.history == whole.history


def test_a_run_goes_on_with_another_number_of_workers(whole, tmp_path):
    running = sl.Compressor(STEPS, network(), task(), folder=tmp_path, workers=2).iter_run()
    for step in running:
        if step.done == 6:
            break
    sl.finish_early(running)
    again = compress(STEPS, tmp_path)
    assert again.complete
    a, b = weights(again.model), weights(whole.model)
    assert {name: array.shape for name, array in a.items()} == {n: t.shape for n, t in b.items()}
    losses = [[r.loss for r in found.history.records[1:7]] for found in (again, whole)]
    assert losses[0] == losses[1]


def test_too_many_workers_are_refused_before_anything_is_done(tmp_path):
    with pytest.raises(sl.WorkerError, match="batch of 32"):
        sl.Compressor(STEPS, network(), task(), folder=tmp_path / "run", workers=40)
    assert not (tmp_path / "run").exists()
