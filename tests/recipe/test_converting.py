"""Configurations of PaddleSlim 1.x as recipes: what they say, what is refused, what is told."""

from __future__ import annotations

import copy
import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import slimlab as sl
from slimlab import cli

UNIFORM = """
version: 1.0
pruners:
    pruner_1:
        class: 'StructurePruner'
        pruning_axis:
            '*': 0
        criterions:
            '*': 'l1_norm'
strategies:
    uniform_pruning_strategy:
        class: 'UniformPruneStrategy'
        pruner: 'pruner_1'
        start_epoch: 0
        target_ratio: 0.6
        pruned_params: '.*_sep_weights'
        metric_name: 'top1'
compressor:
    epoch: 120
    init_model: './checkpoints/49'
    checkpoint_path: './checkpoints/'
    strategies:
        - uniform_pruning_strategy
"""
TAUGHT = """
version: 1.0
distillers:
    fsp_distiller:
        class: 'FSPDistiller'
        student_pairs: [['a', 'b'], ['c', 'd']]
        teacher_pairs: [['e', 'f'], ['g', 'h']]
        distillation_loss_weight: 1
    l2_distiller:
        class: 'L2Distiller'
        teacher_feature_map: 'fc_1.tmp_0'
        student_feature_map: 'fc_0.tmp_0'
    soft:
        class: 'SoftLabelDistiller'
        student_temperature: 1.0
        teacher_temperature: 2.0
        distillation_loss_weight: 0.5
strategies:
    distillation_strategy:
        class: 'DistillationStrategy'
        distillers: ['fsp_distiller', 'l2_distiller', 'soft']
        start_epoch: 0
        end_epoch: 120
    quantization_strategy:
        class: 'QuantizationStrategy'
        start_epoch: 121
        end_epoch: 141
        float_model_save_path: './output/float'
        weight_bits: 8
        activation_bits: 8
        weight_quantize_type: 'abs_max'
        activation_quantize_type: 'moving_average_abs_max'
        save_in_nodes: none
compressor:
    epoch: 142
    eval_epoch: 2
    strategies:
        - distillation_strategy
        - quantization_strategy
"""
SEARCHED = """
pruners: {p: {class: StructurePruner, criterions: {'*': l1_norm}}}
controllers:
  sa: {class: SAController, reduce_rate: 0.9, init_temperature: 5.0, max_iter_number: 20}
strategies:
  auto: {class: AutoPruneStrategy, pruner: p, controller: sa, max_ratio: 0.6, retrain_epoch: 1}
  steps: {class: SensitivePruneStrategy, pruner: p, start_epoch: 1, end_epoch: 9, delta_rate: 0.3,
          num_steps: 3, eval_rate: 0.2, sensitivities_file: './s.data'}
compress_pass: {epoch: 30, strategies: [auto, steps]}
"""


def test_a_uniform_pruning():
    found = sl.convert_recipe(UNIFORM)
    assert found.recipe == sl.Recipe(
        version=1,
        epochs=120,
        strategies=[{"strategy": "prune", "method": "uniform", "macs": 0.6}],
    )
    told = " ".join(found.notes)
    for words in (".*_sep_weights", "./checkpoints/49", "--checkpoint-dir ./checkpoints/", "rates"):
        assert words in told


def test_distillers_and_quantization():
    found = sl.convert_recipe(TAUGHT)
    distill, quantize = found.recipe.strategies
    assert (distill.start_epoch, distill.end_epoch) == (0, 120)
    assert distill.losses == (
        sl.FSP(student=("a", "b"), teacher=("e", "f"), reduction="mean"),
        sl.FSP(student=("c", "d"), teacher=("g", "h"), reduction="mean"),
        sl.L2(student="fc_0.tmp_0", teacher="fc_1.tmp_0"),
        sl.SoftLabel(student_temperature=1.0, teacher_temperature=2.0, weight=0.5),
    )
    assert distill.teachers["teacher"].given
    assert (quantize.start_epoch, quantize.end_epoch) == (121, 141)
    assert (quantize.weight, quantize.activation) == ("abs_max", "moving_average_abs_max")
    assert (found.recipe.total_epochs, found.recipe.training.evaluate_every) == (142, 2)
    assert "float_model_save_path" in " ".join(found.notes)
    assert "save_in_nodes" not in " ".join(found.notes)


def test_a_search_and_steps_by_sensitivity():
    auto, steps = sl.convert_recipe(SEARCHED).recipe.strategies
    assert (auto.macs, auto.macs_most) == (0.5, 0.6)
    assert (auto.search.cooling, auto.search.temperature, auto.search.trials) == (0.9, 5.0, 20)
    assert auto.search.epochs == 1
    assert (steps.macs, steps.steps, steps.start_epoch, steps.end_epoch) == (0.5, 3, 1, 9)
    assert steps.scan.ratios == (0.3, 0.6, 0.9)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (UNIFORM.replace("target_ratio", "target_ratoi"), "Did you mean 'target_ratio'"),
        (UNIFORM.replace("UniformPrune", "UniformPrun"), "Did you mean 'UniformPruneStrategy'"),
        (UNIFORM.replace("'l1_norm'", "'l2_norm'"), "by l1_norm only"),
        (UNIFORM.replace("- uniform_pruning_strategy", "- uniform"), "There is no 'uniform'"),
        (UNIFORM.replace("        - uniform_pruning_strategy", ""), "lists no strategies"),
        (UNIFORM.replace("0.6", "'much'"), "macs"),
        (UNIFORM.replace("epoch: 120", "epoch: -1"), "from 0 to 100,000"),
        (TAUGHT.replace("['c', 'd']]", "]"), "as many `student_pairs`"),
        (TAUGHT.replace("'L2Distiller'", "'SAController'"), "knew no 'teacher_feature_map'"),
        (SEARCHED.replace("delta_rate: 0.3", "delta_rate: 0"), "`delta_rate` is 0"),
        ("version: 1\nmodel: {name: vgg}\n", "knew no 'model'"),
        ("strategies: [1, 2]\ncompressor: {strategies: [a]}", "no mapping"),
    ],
)
def test_what_can_not_be_read(text, words):
    with pytest.raises(sl.RecipeError, match=words.replace("`", ".")):
        sl.convert_recipe(text)


odd = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5),
    st.sampled_from([[], {}, [[]], {"class": "L2Distiller"}, "none", -1, 10**30, ["a"], "fsp"]),
)  # fmt: skip


def places(value, path=()):
    items = value.items() if isinstance(value, dict) else enumerate(value)
    found = [path] if path else []
    for key, inner in items if isinstance(value, dict | list) else ():
        found += places(inner, (*path, key)) if isinstance(inner, dict | list) else [(*path, key)]
    return found


@given(st.sampled_from([UNIFORM, TAUGHT, SEARCHED]), st.data())
@settings(max_examples=200, deadline=None)
def test_whatever_is_in_it_ends_in_a_recipe_or_a_sentence(text, data):
    values = copy.deepcopy(yaml.safe_load(text))
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(places(values)))
        holder = values
        for key in path[:-1]:
            holder = holder[key]
        if data.draw(st.booleans()):
            holder[path[-1]] = copy.deepcopy(data.draw(odd))
        elif isinstance(holder, dict):
            holder[data.draw(st.text(max_size=4))] = holder.pop(path[-1])
    refused = None
    try:
        recipe = sl.convert_recipe(json.dumps(values)).recipe
    except sl.RecipeError as error:
        refused = str(error)
    if refused is None:
        assert sl.Recipe.from_yaml(recipe.to_yaml()) == recipe
    else:
        assert 10 < len(refused) < 2000


def test_the_command_writes_a_recipe_with_what_is_to_be_looked_at(tmp_path, capsys):
    path = tmp_path / "old.yaml"
    path.write_text(UNIFORM)
    assert cli.main(["recipe", "convert", str(path)]) == 0
    text = capsys.readouterr().out
    assert text.startswith("# From PaddleSlim 1.x")
    assert "# - `pruned_params" in text
    assert sl.Recipe.from_yaml(text) == sl.convert_recipe(path).recipe
