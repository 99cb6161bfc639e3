"""Checkers of the lessons: right answers pass, wrong ones hear why, and never what is right."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import paddle
import pytest
from paddle import nn
from tables import table, trial

import slimlab as sl
from slimlab_widgets import teaching

RATIO = 0.25


@pytest.fixture
def scan() -> sl.Sensitivity:
    """Give a scan: `a` and `b` lost for certain, `c` and `d` perhaps, and `e` won (± 1 point)."""
    drops = {"a": [30.0], "b": [1.5], "c": [0.9], "d": [-0.5], "e": [-3.0]}
    return table(drops, (RATIO,))


@pytest.mark.parametrize("answer", [["a", "b"], ("b", "a"), {"a", "b"}])
def test_the_clear_layers_in_any_order_are_right(scan, answer):
    assert teaching.check_clear_layers(answer, scan, ratio=RATIO).right


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (["a", "b", "c"], "One layer in your list could as well have lost nothing"),
        (["a", "b", "c", "d"], "2 layers in your list could as well have lost nothing"),
        (["a"], "One layer that lost accuracy for certain is not in your list"),
        ([], "2 layers that lost accuracy for certain are not in your list"),
        (["a", "x"], "no layer called 'x'"),
        ("a", "write a list"),
    ],
)
def test_what_is_wrong_with_the_layers_is_said_but_not_which_ones(scan, answer, words):
    verdict = teaching.check_clear_layers(answer, scan, ratio=RATIO)
    assert verdict.state == "wrong"
    assert words in verdict.words
    given = {answer} if isinstance(answer, str) else set(answer)
    for hidden in {"a", "b"} - given:
        assert not re.search(rf"'{hidden}'", verdict.words)


def test_a_layer_that_won_is_not_one_that_lost(scan):
    gained = replace(scan.cells[4], low=-4.0, high=-2.0)
    scan = replace(scan, cells=(*scan.cells[:4], gained))
    assert teaching.check_clear_layers(["a", "b"], scan, ratio=RATIO).right
    assert not teaching.check_clear_layers(["a", "b", "e"], scan, ratio=RATIO).right


def test_a_ratio_that_was_not_scanned_is_no_right_answer(scan):
    assert "nothing at" in teaching.check_clear_layers([], scan, ratio=0.9).words
    images = teaching.check_images(100, scan, layer="a", ratio=0.9, points=1)
    assert "nothing for a" in images.words


def test_four_times_the_images_halve_an_interval(scan):
    def check(answer: float | None) -> teaching.Verdict:  # ± 1 point on 100 images
        return teaching.check_images(answer, scan, layer="a", ratio=RATIO, points=0.5)

    assert check(None).state == "open"
    assert [check(n).right for n in (339, 345, 400, 459, 461)] == [False, True, True, True, False]
    assert "only halves" in check(200).words
    assert "wider" in check(120).words
    assert "Fewer" in check(4000).words
    assert not any("400" in check(n).words for n in (1, 120, 200, 339, 461, 9999))


def test_a_pick_has_to_meet_the_budget_and_beat_the_other(vgg_graph, vgg_scan):
    uniform = sl.uniform_ratios(vgg_graph, macs=0.5)
    share = sl.preview(vgg_graph, uniform).macs_removed

    def check(answer):
        return teaching.check_pick(answer, vgg_graph, vgg_scan, macs=share, than=uniform)

    best = sl.ratios_for_budget(vgg_graph, vgg_scan, macs=share)
    assert check(best).right
    assert check(None).state == check({}).state == check(sl.Ratios({})).state == "open"
    assert "no better" in check(uniform).words
    assert "are asked for" in check({vgg_graph.layers[-1]: 0.1}).words
    assert "nope" in check({"nope": 0.5}).words


def digits(share: float = 0.8) -> tuple[np.ndarray, np.ndarray, int]:
    from sklearn.datasets import load_digits

    raw = load_digits()
    images = ((raw.images[:, None] - 4.9) / 6).astype("float32")
    return images, raw.target, round(share * len(images))


def test_a_sound_task_is_right():
    images, labels, cut = digits()
    task = sl.Task.from_arrays(
        images[:cut], labels[:cut], images[cut:], labels[cut:], num_classes=10
    )
    assert teaching.check_task(task, num_classes=10).right
    assert "num_classes=10" in teaching.check_task(task, num_classes=3).words
    assert teaching.check_task(None, num_classes=3).state == "open"
    assert "is a list" in teaching.check_task([], num_classes=3).words


def test_leaks_scales_missing_and_lopsided_classes_are_found():
    images, labels, cut = digits()

    def check(x, y, tests, test_labels, classes=10):
        task = sl.Task.from_arrays(x, y, tests, test_labels, num_classes=classes)
        return teaching.check_task(task, num_classes=classes).words

    sound = (images[:cut], labels[:cut])
    seven = (images[cut - 7 :], labels[cut - 7 :])
    assert check(*sound, *seven).startswith("7 of the test images are training images too")
    assert "deviate by" in check(100 * sound[0], sound[1], images[cut:], labels[cut:])
    assert "too few" in check(*sound, images[-3:], labels[-3:])
    no_nine = labels[cut:] != 9
    assert "no image of one class" in check(*sound, images[cut:][no_nine], labels[cut:][no_nine])
    rare = (np.arange(len(labels)) % 50 == 0).astype("int64")
    words = check(images[:cut], rare[:cut], images[cut:], rare[cut:], 2)
    assert "98% of the training images are of one class" in words


class Stubborn(nn.Layer):
    """A network whose `forward` has a width written into it."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2D(1, 4, 3, padding=1)
        self.last = nn.Linear(256, 2)

    def forward(self, x):
        return self.last(paddle.reshape(self.first(x), [-1, 256]))


class Freed(Stubborn):
    """The same, which asks the tensor."""

    def forward(self, x):
        return self.last(paddle.flatten(self.first(x), 1))


def test_a_layer_that_is_left_alone_is_told_with_its_reason():
    example = paddle.zeros([1, 1, 8, 8])
    blocked = teaching.check_prunable(sl.trace(Stubborn(), example), "first")
    assert blocked.state == "wrong"
    assert "'first' is still left alone: the forward has its size written" in blocked.words
    freed = sl.trace(Freed(), example)
    assert teaching.check_prunable(freed, "first").right
    assert "has no layer 'firts'" in teaching.check_prunable(freed, "firts").words
    assert teaching.check_prunable(None, "first").state == "open"
    assert "Freed" in teaching.check_prunable(Freed(), "first").words


def test_a_verdict_shows_names_as_they_are():
    verdict = teaching.Verdict("wrong", "no layer called '<b>x</b>'")
    assert repr(verdict) == "✗ Not yet. no layer called '<b>x</b>'"
    assert "&lt;b&gt;" in verdict._repr_html_()
    assert "<b>" not in verdict._repr_html_()


# Lesson 05: grids.


def rounded(values, bits, top=None):
    top = top or 2 ** (bits - 1) - 1
    scale = np.abs(values).max()
    return np.round(values / scale * top) * scale / top


def test_a_grid_by_hand_is_right():
    assert teaching.check_on_grid(rounded).right


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (lambda x, bits: x, "between the steps"),
        (lambda x, bits: rounded(x, bits, 2**bits), "between the steps"),
        (lambda x, bits: np.floor(x / np.abs(x).max() * 127) / 127 * np.abs(x).max(), "nearest"),
        (lambda x, bits: rounded(x, bits)[:3], "shape"),
        (lambda x, bits: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_other_grids_hear_why(wrong, word):
    verdict = teaching.check_on_grid(wrong)
    assert verdict.state == "wrong"
    assert word in verdict.words


def test_a_grid_that_was_not_written_is_open():
    assert teaching.check_on_grid(None).state == "open"
    assert teaching.check_on_grid(lambda values, bits: ...).state == "open"


def test_bits_are_counted_and_measured(vgg, digits):
    check = {"model": vgg, "task": digits, "most": 6.5, "drop": 2.0}
    assert teaching.check_bits(None, **check).state == "open"
    good = teaching.check_bits(sl.QuantConfig(weight_bits=6), **check)
    assert good.right, good.words
    many = teaching.check_bits(sl.QuantConfig(layer_bits={"hidden": 32}), **check)
    assert "bits a weight; 6.5" in many.words
    few = teaching.check_bits(sl.QuantConfig(weight_bits=2, activation_bits=2), **check)
    assert "points; 2 are allowed" in few.words
    strange = teaching.check_bits(sl.QuantConfig(layer_bits={"nowhere": 4}), **check)
    assert "no layer 'nowhere'" in strange.words


# Lesson 04: losses.


def test_losses_are_tried_and_judged(vgg, digits):
    graph = sl.trace(vgg, digits.example)
    small = sl.prune(vgg, sl.plan_pruning(vgg, graph, sl.uniform_ratios(graph, ratio=0.5)))

    def check(*losses):
        return teaching.check_losses(losses, small, vgg, digits, pairs=1)

    soft = sl.SoftLabel(student_temperature=4, teacher_temperature=4, rescale=True)
    (pair, *_) = sl.suggest_pairs(small, vgg, digits.example)
    names = {"student": pair.student, "teacher": pair.teacher}
    assert teaching.check_losses(None, small, vgg, digits, pairs=1).state == "open"
    assert check(soft, sl.AttentionTransfer(**names)).right
    assert check(soft, sl.L2(**names, adapter=True)).right
    assert "adapter" in check(soft, sl.L2(**names)).words
    assert "teacher's answers" in check(sl.AttentionTransfer(**names)).words
    assert "0 pairs" in check(soft).words
    cold = sl.SoftLabel(student_temperature=1, teacher_temperature=1)
    assert "temperature 1" in check(cold, sl.AttentionTransfer(**names)).words
    unlike = sl.SoftLabel(student_temperature=2, teacher_temperature=4)
    assert "two temperatures" in check(unlike, sl.AttentionTransfer(**names)).words


# Lesson 06: recipes.

PRUNE = "{strategy: prune, method: uniform, macs: 0.6, start_epoch: 0}"
TUNE = "{strategy: fine_tune, start_epoch: 0, end_epoch: 3}"
GRIDS = "{strategy: quantize, start_epoch: 3}"


@pytest.mark.parametrize(
    ("strategies", "word"),
    [
        ([PRUNE, TUNE, GRIDS], None),
        ([PRUNE.replace("0.6", "0.5"), TUNE, GRIDS], "removes 50% of the MACs; 60%"),
        ([PRUNE, TUNE], "Nothing in it quantizes"),
        ([PRUNE, GRIDS], "Nothing in it trains"),
        ([PRUNE, TUNE, GRIDS.replace("3", "1")], "still goes on"),
        ([PRUNE.replace("start_epoch: 0", "start_epoch: 2"), TUNE, GRIDS], "before the cut"),
        (["{strategy: prune, method: unifrom}"], "unifrom"),
    ],
)
def test_a_recipe_is_read_and_judged(strategies, word):
    verdict = teaching.check_recipe(f"version: 1\nstrategies: [{', '.join(strategies)}]", macs=0.6)
    assert verdict.right == (word is None), verdict.words
    assert word is None or word in verdict.words


def test_no_recipe_is_open():
    assert teaching.check_recipe(None, macs=0.6).state == "open"
    assert teaching.check_recipe("\n", macs=0.6).state == "open"


# Lesson 08: parts.


def test_a_merged_scan_is_compared_cell_by_cell():
    whole = table({"a": [1.0, 2.0], "b": [3.0, 4.0]}, (0.25, 0.5))
    assert teaching.check_merged(None, whole, 2).state == "open"
    assert teaching.check_merged(whole, whole, 2).right
    part = table({"a": [1.0, 2.0]}, (0.25, 0.5))
    assert "2 cells are missing, the first of b" in teaching.check_merged(part, whole, 2).words
    other = table({"a": [1.0, 2.5], "b": [3.0, 4.0]}, (0.25, 0.5))
    assert "the first of a at 0.5" in teaching.check_merged(other, whole, 2).words


def compared(*models: tuple[str, float, float]) -> sl.Comparison:
    return sl.compare([trial(name, score, macs, macs) for name, score, macs in models])


@pytest.mark.parametrize(
    ("models", "state", "words"),
    [
        ([("baseline", 95, 100)], "open", "press Compare"),
        (
            [("baseline", 95, 100), ("a", 94.8, 60)],
            "wrong",
            "'a' removes 40%",
        ),
        ([("baseline", 95, 100), ("a", 92.5, 40)], "wrong", "loses 2.5 points"),
        ([("baseline", 95, 100), ("a", 92, 10), ("b", 93.5, 50)], "right", "'b' removes 50%"),
    ],
)
def test_models_are_held_against_the_unpruned_one(models, state, words):
    verdict = teaching.check_models(compared(*models), macs=0.5, drop=2.0)
    assert (verdict.state, words in verdict.words) == (state, True), verdict


def test_no_comparison_is_no_wrong_answer():
    assert teaching.check_models(None, macs=0.5, drop=2.0).state == "open"
