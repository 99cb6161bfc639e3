"""The strategy `Prune`: every method, steps, and that choosing sees no test image."""

from __future__ import annotations

import copy
import warnings
from dataclasses import replace

import numpy as np
import pytest
from compressing import TUNE, compress, network, recipe, same, task, weights

import slimlab as sl
from slimlab.search import step_shares

SCAN = {"ratios": [0.25, 0.5, 0.75]}


def prune(method, **more):
    return {"strategy": "prune", "method": method, **more}


def macs(model):
    return sl.profile(model, task().example).macs


def widths(model):
    return model[0].weight.shape[0], model[4].weight.shape[0]


def test_uniform_is_what_the_functions_give():
    found = compress(recipe(prune("uniform", macs=0.5, criterion="l2_norm"))).model
    model = network()
    graph = sl.trace(model, task().example)
    plan = sl.plan_pruning(model, graph, sl.uniform_ratios(graph, macs=0.5), "l2_norm")
    assert same(found, sl.prune(model, plan))


@pytest.mark.parametrize("method", ["sensitivity", "budget"])
def test_scanning_methods_are_what_the_functions_give(method):
    found = compress(recipe(prune(method, macs=0.5, scan=SCAN))).model
    model, data = network(), task()
    held = replace(data, test=data.calibration)
    graph = sl.trace(model, data.example)
    table = sl.scan_sensitivity(model, held, ratios=SCAN["ratios"], progress=False)
    pick = {
        "sensitivity": lambda: sl.ratios_within_drop(table, graph=graph, macs=0.5),
        "budget": lambda: sl.ratios_for_budget(graph, table, macs=0.5),
    }
    assert same(found, sl.prune(model, sl.plan_pruning(model, graph, pick[method]())))


def test_a_drop_instead_of_a_budget(vgg, digits):
    scan = {"ratios": [0.3, 0.6, 0.9], "images": 200}
    sizes = [
        sl.Compressor(recipe(prune("sensitivity", drop=drop, scan=scan)), vgg, digits)
        .run(progress=False)
        .trial.profile.macs
        for drop in (0.5, 40.0)
    ]
    assert sizes[1] < sizes[0] <= sl.profile(vgg, digits.example).macs


def test_given_ratios_with_a_scope_that_rounds():
    ratios = {"0": 0.5, "4": 0.3}
    assert widths(compress(recipe(prune("ratios", ratios=ratios))).model) == (4, 6)
    rounded = prune("ratios", ratios=ratios, scope={"multiple": 4})
    assert widths(compress(recipe(rounded)).model) == (4, 8), "6 is rounded to 8"
    with pytest.raises(sl.PlanError, match="'44'"):
        compress(recipe(prune("ratios", ratios={"44": 0.5})))


@pytest.mark.parametrize(
    ("strategy", "share"),
    [
        (prune("uniform", macs=0.6), 0.6),
        (prune("sensitivity", macs=0.6, scan=SCAN), 0.6),
        (prune("budget", macs=0.6, params=0.1, scan=SCAN), 0.6),
        (prune("auto", macs=0.6, macs_most=0.7, search={"trials": 3}), 0.6),
    ],
    ids=lambda value: value["method"] if isinstance(value, dict) else "",
)
def test_steps_remove_the_same_share_of_what_is_left(strategy, share):
    seen = []

    def watch(event):
        if event.kind == "strategy":
            seen.append(1 - macs(event.model) / whole)

    whole = macs(network())
    several = {**strategy, "steps": 3, "end_epoch": 3}
    found = compress(recipe(several), callbacks=[watch])
    # One channel of eight, in both layers, is a lot: each step is within that of its share.
    assert seen == pytest.approx(step_shares(share, 3), abs=0.16)
    assert all(gone >= aim - 1e-9 for gone, aim in zip(seen, step_shares(share, 3), strict=True))
    assert found.facts()["strategies"][2]["removed"]["macs"] == pytest.approx(seen[-1])


def test_steps_of_given_ratios_end_at_the_ratios():
    several = prune("ratios", ratios={"0": 0.75, "4": 0.5}, steps=2, end_epoch=2)
    seen = []
    compress(
        recipe(several),
        callbacks=[lambda e: seen.append(widths(e.model)) if e.kind == "strategy" else None],
    )
    assert seen == [(4, 6), (2, 4)], "half of the rest goes, then half again; 0.29 of 8, then 0.5"


def test_steps_of_an_accepted_drop_scan_the_network_of_then():
    """Each of two steps accepts half of the drop, of the network as it is at that time."""
    data, trained = task(), []
    held = replace(data, test=data.calibration)

    def watch(event):
        if event.kind == "epoch":
            trained.append(copy.deepcopy(event.model))

    strategy = prune("sensitivity", drop=20.0, scan=SCAN, steps=2, end_epoch=2)
    facts = compress(recipe(strategy), callbacks=[watch]).facts()["strategies"]
    for model, done in zip([network(), trained[0]], facts, strict=True):
        graph = sl.trace(model, data.example)
        table = sl.scan_sensitivity(model, held, ratios=SCAN["ratios"], progress=False)
        expected = sl.ratios_within_drop(table, 10.0, graph=graph, scope=sl.Scope())
        assert done["ratios"] == pytest.approx(dict(expected))
    assert facts[1]["removed"]["macs"] > facts[0]["removed"]["macs"] > 0


def test_steps_of_one_ratio():
    several = prune("uniform", ratio=0.75, steps=2, end_epoch=2)
    assert widths(compress(recipe(several)).model) == (2, 2)


class TestAuto:
    def found(self, **more):
        search = {"trials": 8, **more.pop("search", {})}
        return compress(recipe(prune("auto", macs=0.5, search=search, **more)))

    def test_stays_in_its_range_and_is_repeatable(self):
        one, two = self.found(macs_most=0.6), self.found(macs_most=0.6)
        assert same(one.model, two.model)
        assert 0.5 <= 1 - macs(one.model) / macs(network()) <= 0.6

    def test_trials_can_be_trained(self):
        found = self.found(macs_most=0.6, search={"epochs": 1, "trials": 2, "images": 64})
        assert 0.5 <= found.facts()["strategies"][0]["removed"]["macs"] <= 0.6

    def test_finds_what_is_better_than_uniform(self):
        # The first convolution is all that counts: its channels carry the classes.
        model, data = network(), task()
        model, _ = sl.fine_tune(model, data, epochs=6, learning_rate=0.02, progress=False)
        held = replace(data, test=data.calibration)

        def score(strategy):
            small = sl.Compressor(recipe(strategy), model, data).run(progress=False).model
            return sl.evaluate(sl.recalibrate_bn(small, data, images=128), held)["top1"]

        auto = prune("auto", macs=0.6, macs_most=0.75, search={"trials": 25})
        assert score(auto) >= score(prune("uniform", macs=0.6))

    def test_the_first_trials_are_the_ways_of_picking_and_the_best_of_them_is_where_it_begins(self):
        facts = self.found(macs_most=0.8, search={"trials": 4}, scan=SCAN).facts()["strategies"][0]
        tried = {one["way"]: one for one in facts["tried"]}
        assert set(tried) == {"uniform", "budget", "drop", "scores-isomorphic"}
        assert all(0.5 <= one["macs_removed"] <= 0.8 for one in tried.values())
        best = max(one["top1"] for one in tried.values())
        shares = [one["macs_removed"] for one in tried.values() if one["top1"] == best]
        assert facts["removed"]["macs"] in [pytest.approx(share) for share in shares]
        data = task()
        held = replace(data, test=data.calibration)
        table = sl.scan_sensitivity(network(), held, ratios=SCAN["ratios"], progress=False)
        graph = sl.trace(network(), data.example)
        ratios = sl.ratios_for_budget(graph, table, macs=0.5)
        gone = sl.preview(graph, ratios).macs_removed
        assert tried["budget"]["macs_removed"] == pytest.approx(gone)

    def test_one_trial_scans_nothing(self):
        facts = self.found(search={"trials": 1}, scan=SCAN).facts()["strategies"][0]
        assert [one["way"] for one in facts["tried"]] == ["uniform"]

    def test_a_range_that_no_width_hits_is_refused(self):
        with pytest.raises(sl.PlanError, match="macs_most"):
            self.found(macs_most=0.5)


class Forbidden:
    """A loader that says when it is read."""

    def __init__(self, loader, watch):
        self.loader, self.watch = loader, watch

    def __len__(self):
        return len(self.loader)

    def batches(self, batch_size=128, *, images=None, seed=None):
        if images != 1:  # the example's shape is no choice
            self.watch()
        return self.loader.batches(batch_size, images=images, seed=seed)

    def fingerprint(self):
        return self.loader.fingerprint()


@pytest.mark.parametrize("method", ["sensitivity", "budget", "auto"])
def test_choosing_sees_no_test_image(method):
    acting, read = [True], []
    data = task()
    watched = replace(
        data, test=Forbidden(data.test, lambda: read.append(1) if acting[-1] else None)
    )

    def watch(event):
        # From the start to the strategy's end there is nothing but choosing.
        acting.append(event.kind == "start")
        if event.kind == "start":
            read.clear()
        elif event.kind == "strategy":
            assert not read

    strategy = prune(method, macs=0.5, criterion="taylor", start_epoch=0)
    strategy |= {"search": {"trials": 3}} if method == "auto" else {"scan": SCAN}
    steps = sl.Compressor(recipe(strategy, TUNE), network(), watched, callbacks=[watch])
    steps.run(progress=False)
    assert True in acting


def test_a_scan_that_was_interrupted_goes_on_from_its_file(tmp_path):
    steps = recipe(prune("budget", macs=0.5, scan=SCAN))
    running = sl.Compressor(steps, network(), task(), folder=tmp_path).iter_run()
    for step in running:
        if step.label.startswith("prune: ") and "baseline" not in step.label:
            break
    running.close()
    scan = tmp_path / "scans" / "strategy-0-step-0.scan"
    kept = sl.load_scan(scan)
    assert len(kept.cells) > 0
    assert not kept.complete
    again = compress(steps, tmp_path)
    assert same(again.model, compress(steps).model)
    assert sl.load_scan(scan).complete


def test_recipes_for_one_model_share_a_scan(tmp_path):
    shared = {**SCAN, "file": str(tmp_path / "kept" / "network.scan")}
    first = compress(recipe(prune("budget", macs=0.3, scan=shared)), tmp_path / "one")
    assert not (tmp_path / "one" / "scans").exists()
    table = sl.load_scan(shared["file"])
    assert table.complete
    content = (tmp_path / "kept" / "network.scan").read_bytes()
    second = recipe(prune("budget", macs=0.6, scan=shared))
    labels = [step.label for step in sl.Compressor(second, network(), task()).iter_run()]
    assert (tmp_path / "kept" / "network.scan").read_bytes() == content
    alone = recipe(prune("budget", macs=0.6, scan=SCAN))
    assert len(labels) < len(list(sl.Compressor(alone, network(), task()).iter_run()))
    found = compress(second)
    assert found.acted[0].facts["ratios"] == compress(alone).acted[0].facts["ratios"]
    assert first.trial.profile.macs > found.trial.profile.macs
    other = network()
    other[0].weight.set_value(other[0].weight * 2)
    with pytest.raises(sl.SlimLabError, match="scan"):
        sl.Compressor(second, other, task()).run(progress=False)


def test_the_model_without_training_is_only_cut():
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        found = compress(recipe(prune("uniform", ratio=0.5)))
    assert len(found.history.records) == 1
    kept = weights(found.model)["9.bias"]
    assert np.array_equal(kept, weights(network())["9.bias"])
