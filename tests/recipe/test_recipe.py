"""Recipes: what they hold, how they read and write, and what is refused with which words."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import slimlab as sl
from slimlab.distill import Distiller
from slimlab.recipe.text import read_yaml, write_yaml

HEAD = """\
version: 1
model: {name: mobilenet_v1}
task: {name: digits}
"""
PRUNE = "  - {strategy: prune, method: uniform, macs: 0.5}\n"
BODY = HEAD + "strategies:\n" + PRUNE


def recipe(*strategies: str, more: str = "") -> sl.Recipe:
    return sl.Recipe.from_yaml(
        HEAD + more + "strategies:\n" + "".join(f"  - {{{s}}}\n" for s in strategies)
    )


UNIFORM = "strategy: prune, method: uniform, ratio: 0.5"
QUANTIZE = "strategy: quantize"
DISTILL = "strategy: distill, end_epoch: 2"
TWO = "teachers: {a: {name: x}, b: {name: y}}"
TEACHERS = "teachers: {a: {original: true}}"
LOGITS = "losses: [{loss: soft_label}]"
INNER = "losses: [{loss: l2, student: stem, teacher: stem}]"


class TestShipped:
    @pytest.mark.parametrize("name", sorted(sl.shipped_recipes()))
    def test_it_reads_and_says_the_same_when_written(self, name):
        one = sl.load_recipe(name)
        assert sl.Recipe.from_yaml(one.to_yaml()) == one
        text = sl.shipped_recipes()[name].read_text(encoding="utf-8")
        assert text.startswith("#")
        assert "ImageNet" in text or name == "digits"

    def test_there_is_one_for_each_table_and_one_for_digits(self):
        six = {
            "distillation", "distillation_quantization", "pruning_quantization",
            "quantization", "sensitivity_pruning", "uniform_pruning",
        }  # fmt: skip
        assert set(sl.shipped_recipes()) == {"digits", *six, *(f"imagenet_{name}" for name in six)}

    def test_layers_and_shapes_of_the_losses_fit_the_models(self):
        for name in sl.shipped_recipes():
            one = sl.load_recipe(name)
            for strategy in one.strategies:
                if isinstance(strategy, sl.Distill) and one.task.name is not None:
                    size = 8 if one.task.name == "digits" else 28
                    shape = {"num_classes": 10, "in_channels": 1, "size": size}
                    student = sl.load_model(one.model.name, **shape)
                    teachers = {
                        k: sl.load_model(t.name or one.model.name, **shape)
                        for k, t in strategy.teachers.items()
                    }
                    import paddle

                    Distiller(student, strategy.losses, teachers, paddle.zeros([1, 1, size, size]))

    def test_scopes_hold_layers(self):
        graph = sl.trace(sl.load_model("mobilenet_v1"), sl.load_task("digits").example)
        for name, path in sl.shipped_recipes().items():
            if "imagenet" in path.name:
                continue  # carried out in tests/compressor/test_shipped.py
            for strategy in sl.load_recipe(name).strategies:
                if isinstance(strategy, sl.Prune):
                    assert strategy.scope.build().groups(graph)

    def test_an_unknown_name(self):
        with pytest.raises(sl.RecipeError, match="Did you mean 'digits'"):
            sl.load_recipe("digit")


class TestSchema:
    def test_it_is_json_and_names_every_key_with_what_it_means(self):
        schema = json.loads(json.dumps(sl.recipe_schema()))
        prune = schema["$defs"]["Prune"]
        assert prune["additionalProperties"] is False
        assert "multiply-adds" in prune["properties"]["macs"]["description"]
        kinds = [one["properties"]["loss"]["const"] for one in
                 schema["$defs"]["Distill"]["properties"]["losses"]["items"]["oneOf"]]  # fmt: skip
        assert {"soft_label", "l2", "fsp", "dkd", "dist", "attention"} <= set(kinds)

    def test_every_reference_resolves(self):
        schema = sl.recipe_schema()
        names = [part.split('"')[0] for part in json.dumps(schema).split("#/$defs/")[1:]]
        assert set(names) <= set(schema["$defs"])


def test_parameters_that_are_given_arrive():
    one = recipe(
        "strategy: prune, method: sensitivity, drop: 2, steps: 2, end_epoch: 4, "
        "scan: {ratios: [0.25, 0.5], images: 100}",
        "strategy: fine_tune, start_epoch: 4, end_epoch: 6, training: {learning_rate: 1e-2, "
        "optimizer: sgd, schedule: {kind: exponential, gamma: 0.5}}",
        "strategy: quantize, start_epoch: 6, weight_bits: 4",
        more="epochs: 9\nseed: 3\n",
    )
    prune, tune, quantize = one.strategies
    assert (prune.drop, prune.scan.ratios, prune.steps) == (2.0, (0.25, 0.5), 2)
    training = tune.training.build()
    assert (tune.training.learning_rate, training.optimizer) == (0.01, "sgd")
    assert training.schedule.factor(1, 0, 2) == 0.5
    assert (quantize.weight_bits, quantize.last_epoch, one.total_epochs) == (4, 6, 9)


def test_a_recipe_made_in_python_is_the_one_in_yaml():
    made = sl.Recipe(
        version=1,
        model={"name": "mobilenet_v1"},
        task={"name": "digits"},
        strategies=[
            sl.Prune(method="uniform", ratio=0.5),
            sl.Distill(end_epoch=2, teachers={"a": {"original": True}}, losses=[sl.SoftLabel()]),
        ],
    )
    assert made == recipe(UNIFORM, f"strategy: distill, end_epoch: 2, {TEACHERS}, {LOGITS}")


def test_a_users_function_cannot_be_written():
    loss = sl.CustomLoss(function=lambda s, t, y: s.mean())
    made = sl.Distill(end_epoch=2, teachers={"a": {"original": True}}, losses=[loss])
    one = sl.Recipe(version=1, model={"name": "vgg"}, task={"name": "digits"}, strategies=[made])
    with pytest.raises(sl.SlimLabError, match="can't be written down"):
        one.to_yaml()


def test_a_registered_loss_is_known():
    from dataclasses import dataclass

    from slimlab.distill import LOSSES

    @sl.distill_loss("mine")
    @dataclass(frozen=True, kw_only=True)
    class Mine(sl.DistillLoss):
        """A loss of a test."""

        sharpness: float = 1.0

    try:
        losses = "losses: [{loss: mine, sharpness: 2.5, weight: [[0, 1], [3, 0]]}]"
        one = recipe(f"strategy: distill, end_epoch: 2, {TEACHERS}, {losses}")
        assert one.strategies[0].losses[0] == Mine(sharpness=2.5, weight=((0, 1), (3, 0)))
        assert sl.Recipe.from_yaml(one.to_yaml()) == one
        assert "sharpness" in json.dumps(sl.recipe_schema())
        with pytest.raises(sl.RecipeError, match="Did you mean 'sharpness'"):
            recipe(f"{DISTILL}, {TEACHERS}, losses: [{{loss: mine, sharpnes: 1}}]")
    finally:
        del LOSSES["mine"]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (BODY.replace("macs", "mcas"), 5, "'mcas'. Did you mean 'macs'"),
        (BODY.replace("prune", "prun"), 5, "Did you mean 'prune'"),
        (BODY.replace("uniform", "uniformly"), 5, "Did you mean 'uniform'"),
        (BODY.replace("0.5", "half"), 5, "valid number"),
        (BODY.replace("0.5", "1.0"), 5, "less than 1"),
        (BODY.replace("0.5", "'0.5'"), 5, "valid number"),
        (BODY.replace("0.5", ".nan"), 5, "no finite number"),
        (BODY.replace("0.5", "1e999"), 5, "no finite number"),
        (BODY.replace("task", "tsak"), 3, "'tsak'. Did you mean 'task'"),
        (HEAD.replace("digits", "digit") + "strategies:\n" + PRUNE, 3, "Did you mean 'digits'"),
        (HEAD.replace("name: m", "nmae: m") + "strategies:\n" + PRUNE, 2, "Did you mean 'name'"),
        (HEAD + "version: 1\nstrategies:\n" + PRUNE, 4, "given twice, first in line 1"),
        (HEAD + "strategies: []\n", 4, "at least 1 item"),
        (HEAD, None, "'strategies' is missing"),
        (HEAD + "strategies:\n" + PRUNE + " - x", 6, "no YAML"),
        (HEAD + "seed: !!python/object/apply:os.system ['true']\n", 4, "tag"),
        (HEAD + "seed: !!binary aGk=\n", 4, "tag"),
        (HEAD + "seed: 2024-01-01\nstrategies:\n" + PRUNE, 4, "valid integer"),
        (HEAD + "seed: true\nstrategies:\n" + PRUNE, 4, "valid integer"),
        (HEAD + "seed: 1.0\nstrategies:\n" + PRUNE, 4, "valid integer"),
        (HEAD + f"seed: {'9' * 5000}\n", 4, "5000 characters"),
        (HEAD + "? [a, b]\n: 1\n", 4, "is no word"),
        (HEAD + "1: 2\n", 4, "is no word"),
        (HEAD + "<<: {a: 1}\n", 4, "Merge keys"),
        (HEAD + "name: \"\\UFFFFFFFF\"\n", None, "no YAML"),
        ("", None, "empty"),
        ("- a\n- b\n", None, "a sequence"),
        ("just words", None, "a scalar"),
        ("a: 1\n---\nb: 2\n", 2, "no YAML"),
        ("a: " + "[" * 500, 1, "deep"),
        ("{" * 5000, 1, "deep"),
        ("a: &a [*a]\n", 1, "aliases"),
        ("a: b\x00c", None, "no YAML"),
        ("x" * 300_000, None, "characters"),
        ("[" + "1," * 60_000 + "]", 1, "more than"),
    ],
)  # fmt: skip
def test_text_that_is_no_recipe(text, line, words):
    with pytest.raises(sl.RecipeError) as caught:
        sl.Recipe.from_yaml(text)
    assert words in str(caught.value)
    assert caught.value.line == line or (line is None and caught.value.line in (None, 1))


def test_a_bomb_of_aliases_is_refused_quickly():
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 15))
    with pytest.raises(sl.RecipeError, match="aliases"):
        sl.Recipe.from_yaml("l0: &l0 [x]\n" + levels)


def test_aliases_that_are_meant_work():
    one = sl.Recipe.from_yaml(
        HEAD + "strategies:\n  - &cut {strategy: prune, method: uniform, ratio: &half 0.5}\n"
        "  - {strategy: prune, method: uniform, ratio: *half, start_epoch: 3}\n"
    )
    assert [s.ratio for s in one.strategies] == [0.5, 0.5]


class TestFiles:
    def test_a_path_and_its_name_in_errors(self, tmp_path):
        path = tmp_path / "mine.yaml"
        path.write_text(HEAD + "strategies:\n" + PRUNE, encoding="utf-8")
        assert sl.Recipe.from_yaml(path) == sl.Recipe.from_yaml(str(path)) == sl.load_recipe(path)
        path.write_text(BODY.replace("macs", "mcas"), encoding="utf-8")
        with pytest.raises(sl.RecipeError, match=r"mine\.yaml line 5: strategies\[0\]\.mcas"):
            sl.Recipe.from_yaml(path)

    @pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"a: \xe9\n", b"x" * 2_000_000, None])
    def test_what_cannot_be_read(self, tmp_path, content):
        path = tmp_path / "bad.yaml"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(sl.RecipeError, match=r"bad\.yaml"):
            sl.Recipe.from_yaml(path)
        with pytest.raises(sl.RecipeError, match="can't be read"):
            sl.Recipe.from_yaml(tmp_path)


@pytest.mark.parametrize(
    ("strategies", "words"),
    [
        ([QUANTIZE, UNIFORM], "Quantization comes last"),
        ([QUANTIZE, QUANTIZE], "Quantization comes last"),
        ([QUANTIZE, "strategy: fine_tune, end_epoch: 2"], "Quantization comes last"),
        ([f"{UNIFORM}, start_epoch: 5", QUANTIZE], "before strategy 0 removes channels"),
        ([f"{UNIFORM}, steps: 3, end_epoch: 6", f"{QUANTIZE}, start_epoch: 4"], "until epoch 6"),
        ([UNIFORM, UNIFORM], "Two strategies remove channels at epoch 0"),
        ([f"{UNIFORM}, steps: 2, end_epoch: 4", f"{UNIFORM}, start_epoch: 3"], "at epoch 3"),
        (["strategy: fine_tune, end_epoch: 3"] * 2, "Two strategies fine-tune at epoch 0"),
        ([f"{DISTILL}, {TEACHERS}, {LOGITS}"] * 2, "put their losses into one"),
        (
            [f"strategy: distill, end_epoch: 4, {TEACHERS}, {INNER}",
             f"{UNIFORM}, start_epoch: 2"], "compares layers",
        ),
        (
            ["strategy: fine_tune, end_epoch: 3, training: {}",
             f"strategy: distill, end_epoch: 3, {TEACHERS}, {LOGITS}, training: {{}}"],
            "leave out one `training`",
        ),
        ([f"{UNIFORM}, macs: 0.5"], "exactly one of ratio, macs, params; found ratio, macs"),
        (["strategy: prune, method: uniform"], "there is none"),
        (["strategy: prune, method: uniform, drop: 1"], "`drop` does not belong"),
        (["strategy: prune, method: ratios, ratio: 0.5"], "takes `ratios`"),
        (["strategy: prune, method: auto, macs: 0.5, macs_most: 0.4"], "below `macs`"),
        ([f"{UNIFORM}, scan: {{images: 5}}"], "`scan` belongs to method 'sensitivity' or 'budget'"),
        ([f"{UNIFORM}, macs_most: 0.5"], "`macs_most` belongs to method 'auto'"),
        ([f"{UNIFORM}, criterion: l1norm"], "Did you mean 'l1_norm'"),
        ([f"{UNIFORM}, end_epoch: 3"], "One step needs no `end_epoch`"),
        ([f"{UNIFORM}, steps: 3, end_epoch: 2"], "3 steps need at least 3 epochs"),
        ([f"{UNIFORM}, scope: {{include: '('}}"], "no regular expression"),
        (["strategy: fine_tune, start_epoch: 3, end_epoch: 3"], "must be above `start_epoch`"),
        ([f"{QUANTIZE}, start_epoch: 3, end_epoch: 2"], "lies before"),
        ([f"{QUANTIZE}, weight_bits: 9"], "less than or equal to 8"),
        ([f"{QUANTIZE}, weight: absmax"], "Did you mean 'abs_max'"),
        ([f"{QUANTIZE}, exclude: '['"], "no regular expression"),
        ([f"{QUANTIZE}, observer: klm"], "Did you mean 'kl'"),
        ([f"{QUANTIZE}, layer_bits: {{a: 9}}"], "2 to 8, or 32 for float"),
        ([f"{QUANTIZE}, percentile: 5"], "from 50 to 100"),
        ([f"{QUANTIZE}, lsq: true"], "give `end_epoch`"),
        ([f"{QUANTIZE}, end_epoch: 1, adaround: 9"], "training would undo it"),
        ([f"{DISTILL}, {TEACHERS}, losses: [{{loss: l2, student: [a, b]}}]"],
         "a layer's name or None"),
        ([f"{DISTILL}, {TEACHERS}, losses: [{{loss: l2, teacher_model: b}}]"],
         "no teacher 'b'"),
        ([f"{DISTILL}, {TEACHERS}, losses: [{{loss: l2, start_epoch: 2}}]"],
         "lasts 2"),
        ([f"{DISTILL}, teachers: {{a: {{}}}}, {LOGITS}"], "give exactly one"),
        ([f"{DISTILL}, {TWO}, {LOGITS}"],
         "`teacher_model` must name one"),
        (["strategy: fine_tune, end_epoch: 2, training: {schedule: {kind: cosine, gamma: 1}}"],
         "`gamma` is not for a cosine schedule"),
        (["strategy: fine_tune, end_epoch: 2, training: {ema: 2}"], "ema is 2"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_the_reason_and_the_line(strategies, words):
    with pytest.raises(sl.RecipeError) as caught:
        recipe(*strategies)
    assert words in str(caught.value)
    # The line of the second of two that clash, or of what should be the last.
    assert caught.value.line in (5, 4 + len(strategies))[words != "Quantization comes last" :]


@pytest.mark.parametrize("setting", ["activation: abs_max", "activation_bits: 4"])
def test_what_paddle_lite_can_not_run_is_refused_when_it_is_read(setting):
    more = "export: [onnx-int8, paddle-lite]\n"
    with pytest.raises(sl.RecipeError, match="needs activations of 8 bits with stored scales"):
        recipe(f"{QUANTIZE}, {setting}, end_epoch: 1", more=more)
    assert recipe(f"{QUANTIZE}, end_epoch: 1", more=more).export[1] == "paddle-lite"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("epochs: 1\n", "ends at epoch 3, after the recipe's 1 epochs"),
        ("export: [onnx-int8]\n", "needs a strategy `quantize`"),
        ("export: [paddle-lite]\n", "needs a strategy `quantize`"),
        ("export: [onnx8]\n", "is one of onnx"),
        ("batch_size: 0\n", "greater than or equal to 1"),
    ],
)
def test_what_does_not_fit_the_recipe(more, words):
    with pytest.raises(sl.RecipeError, match=words) as caught:
        recipe("strategy: fine_tune, end_epoch: 3", more=more)
    assert caught.value.line == 4


@pytest.mark.parametrize(
    "strategies",
    [
        [UNIFORM, f"strategy: distill, end_epoch: 4, {TEACHERS}, {INNER}",
         f"{QUANTIZE}, start_epoch: 2, end_epoch: 4"],
        [f"{UNIFORM}, steps: 3, end_epoch: 3",
         f"strategy: distill, end_epoch: 4, {TEACHERS}, {LOGITS}"],
        [UNIFORM, f"{UNIFORM}, start_epoch: 1", f"{QUANTIZE}, start_epoch: 1"],
    ],
)  # fmt: skip
def test_what_may_be_combined(strategies):
    assert len(recipe(*strategies).strategies) == len(strategies)


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15)
    | st.floats(allow_nan=False, allow_infinity=False)
    | words
    | st.sampled_from(["yes", "on", "1e3", "1e-3", "0x10", "010", "1:30", "~", "", "null", "<<",
                       "2024-01-01", ".5", "1_000", "- a", "# a", "*a", "!x", "=", "NaN"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(st.text("abcxyz", min_size=1, max_size=5), plain, max_size=4))
@settings(max_examples=300, deadline=None)
def test_any_plain_data_is_read_as_it_was_written(data):
    def has_merge_key(value):
        if isinstance(value, dict):
            return "<<" in value or any(map(has_merge_key, value.values()))
        return isinstance(value, list) and any(map(has_merge_key, value))

    if data and not has_merge_key(data):
        assert read_yaml(write_yaml(data)).data == data
        # ... also by readers of YAML 1.1, for words and booleans.
        assert yaml.safe_load(write_yaml(data)) == data


def test_a_line_for_every_key():
    text = sl.shipped_recipes()["distillation"].read_text(encoding="utf-8")
    document = read_yaml(text)
    for path, line in document.lines.items():
        if path and isinstance(path[-1], str):
            assert f"{path[-1]}:" in text.splitlines()[line - 1]
