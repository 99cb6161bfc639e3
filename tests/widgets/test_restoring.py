"""Ratios, snapshots, settings and pruned models outlive the kernel, as scans do."""

from __future__ import annotations

import json

import pytest

import slimlab as sl
from slimlab_widgets.jobs import inline
from slimlab_widgets.workbench import Workbench


def make(case, folder, model=None) -> Workbench:
    """A workbench as a kernel makes it that has just started."""
    return Workbench(model or case.model, case.task, graph=case.graph, scans=folder, run=inline)


def click(bench, event, **facts):
    bench._handle_custom_msg({"event": event, **facts}, [])
    bench._publisher.flush()


def weights(model):
    return {name: tensor.numpy().tobytes() for name, tensor in model.state_dict().items()}


@pytest.fixture
def worked(case, tmp_path) -> Workbench:
    """Give a bench with a scan, picks back and forth, a snapshot and three models of all kinds."""
    bench = make(case, tmp_path)
    bench.scan(ratios=(0.25, 0.5, 0.75))
    click(bench, "uniform", value=0.25)
    click(bench, "prune", name="first")
    click(bench, "keep", name="mine")
    click(bench, "drop", value=4.0)
    click(bench, "ratios", ratios={"0": 0.5, "3": 0.5}, view="v", seq=1, stroke=1)
    click(bench, "prune", name="by hand")
    click(bench, "fine_tune", epochs=2, learning_rate=0.01, teacher=True)
    click(bench, "suggest_pairs")
    click(bench, "quantize", name="by hand", weight_bits=6)
    click(bench, "compare")
    click(bench, "choose", name="by hand")
    click(bench, "undo")
    assert bench.progress.status in {"idle", "done"}, bench.progress.message
    return bench


def test_all_that_lay_on_the_bench_is_offered_and_taken_up(case, tmp_path, worked):
    again = make(case, tmp_path)
    offer = again.offer_view
    assert offer["models"] == ["first", "by hand", "by hand int6"]
    assert (offer["measured"], offer["snapshots"]) == (6, 1)
    assert again.candidates == ()  # offered, not taken
    click(again, "use_scan")
    assert again.progress.message == "Took up 'first', 'by hand', 'by hand int6'."
    assert again.picks == worked.picks
    assert again.state.settings == worked.state.settings
    assert again.state.chosen == "by hand"
    assert again.offer_view == {}
    for mine, theirs in zip(again.candidates, worked.candidates, strict=True):
        assert weights(mine.model) == weights(theirs.model)
        assert (mine.deeds, mine.ratios) == (theirs.deeds, theirs.ratios)
        assert (mine.epochs, mine.score, mine.cut_drop) == (
            theirs.epochs,
            theirs.score,
            theirs.cut_drop,
        )
        assert mine.history == theirs.history
        assert mine.preview == theirs.preview
    assert again.code("by hand int6") == worked.code("by hand int6")
    assert again.comparison.to_frame().equals(worked.comparison.to_frame())


def test_what_was_taken_up_goes_on_as_it_would_have(case, tmp_path, worked):
    again = make(case, tmp_path)
    click(again, "use_scan")
    for bench in (worked, again):
        click(bench, "fine_tune", epochs=1, learning_rate=0.01, teacher=False)
        click(bench, "redo")
    assert weights(again.candidates[1].model) == weights(worked.candidates[1].model)
    assert again.ratios == worked.ratios
    third = make(case, tmp_path)  # and is kept again, in the same folder
    click(third, "use_scan")
    assert weights(third.candidates[1].model) == weights(again.candidates[1].model)


def test_a_model_that_was_trained_on_replaces_the_older_one_on_the_disk(tmp_path, worked):
    (folder,) = tmp_path.glob("*.bench")
    named = {one["folder"] for one in json.loads((folder / "bench.json").read_text())["candidates"]}
    assert {path.name for path in folder.iterdir()} == {"bench.json", *named}


def test_a_damaged_model_loses_no_other(case, tmp_path, worked):
    (folder,) = tmp_path.glob("*.bench")
    (damaged,) = folder.glob("first-*/model.safetensors")
    damaged.write_bytes(b"no tensors")
    again = make(case, tmp_path)
    click(again, "use_scan")
    assert again.progress.message == "Took up 'by hand', 'by hand int6'. Can't be loaded: 'first'."
    assert [c.name for c in again.candidates] == ["by hand", "by hand int6"]


@pytest.mark.parametrize("text", ["{}", "no notes", '{"picks": 3}'])
def test_notes_that_can_not_be_read_hide_no_scan(case, tmp_path, worked, text):
    (folder,) = tmp_path.glob("*.bench")
    (folder / "bench.json").write_text(text)
    again = make(case, tmp_path)
    assert again.offer_view["measured"] == 6
    assert "models" not in again.offer_view
    click(again, "use_scan")
    assert len(again.sensitivity.cells) == 6


def test_notes_of_another_version_are_refused_in_words(case, tmp_path, worked):
    (folder,) = tmp_path.glob("*.bench")
    notes = json.loads((folder / "bench.json").read_text())
    (folder / "bench.json").write_text(json.dumps({**notes, "picks": {"now": {}}}))
    again = make(case, tmp_path)
    click(again, "use_scan")
    assert "can't be read: KeyError" in again.progress.message
    assert len(again.sensitivity.cells) == 6  # the scan is there all the same


def test_measured_times_are_kept(case, tmp_path):
    first = make(case, tmp_path)
    first.measure_times()
    second = make(case, tmp_path)
    assert "measured" not in second.offer_view  # no scan
    click(second, "use_scan")
    assert second.state.times.to_dict() == first.state.times.to_dict()
    assert second.times_view["groups"] == [["0", 6], ["3", 8]]


def test_nothing_is_written_for_a_bench_that_was_only_looked_at(case, tmp_path):
    bench = make(case, tmp_path / "scans")
    click(bench, "settings", epochs=3)
    assert not (tmp_path / "scans").exists()
    assert make(case, tmp_path / "scans").offer_view == {}


def test_another_network_is_offered_nothing(case, tmp_path, worked):
    other, _ = sl.fine_tune(case.model, case.task, progress=False)
    assert make(case, tmp_path, other).offer_view == {}


def test_a_disk_that_can_not_be_written_is_told_and_stops_nothing(case, tmp_path, monkeypatch):
    def full(*_):
        msg = "No space left"
        raise OSError(msg)

    bench = make(case, tmp_path)
    monkeypatch.setattr("slimlab_widgets.keeper.write_file", full)
    click(bench, "uniform", value=0.5)
    assert "No space left" in bench.job_view["message"]
    assert dict(bench.ratios) == {"0": 0.5, "3": 0.5}


def test_a_scan_by_a_metric_of_ones_own_is_found_again(case, tmp_path):
    from dataclasses import replace

    def margin(logits, labels):
        del labels
        return logits.max(axis=1)

    own = sl.Metric("margin", margin, unit="")
    task = replace(case.task, metrics=(own, *case.task.metrics))
    first = Workbench(case.model, task, scans=tmp_path, run=inline)
    first.scan(ratios=(0.5,))
    assert first.progress.status == "done", first.progress.message
    assert Workbench(case.model, task, scans=tmp_path, run=inline).offer_view["measured"] == 2
