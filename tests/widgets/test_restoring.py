"""Ratios, snapshots, settings and pruned models outlive the kernel, as scans do."""

from __future__ import annotations

import json

import pytest

import slimlab as sl
from slimlab_widgets.claims import LOCK, OWNER
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
    """Give a bench with a scan, picks back and forth, a snapshot and three models of all kinds.

    Its kernel is gone: others may have its folder.
    """
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
    bench._keeper.release()
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
    assert len(list(tmp_path.glob("*.bench"))) == 2  # again's is that of the first kernel
    again._keeper.release()
    third = make(case, tmp_path)
    click(third, "use_scan")
    assert weights(third.candidates[1].model) == weights(again.candidates[1].model)


def test_a_model_that_was_trained_on_replaces_the_older_one_on_the_disk(tmp_path, worked):
    (folder,) = tmp_path.glob("*.bench")
    named = {one["folder"] for one in json.loads((folder / "bench.json").read_text())["candidates"]}
    assert {path.name for path in folder.iterdir()} == {"bench.json", OWNER, LOCK, *named}


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


def files(folder):
    """Every file of a folder with its content; who holds it does not count."""
    found = {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    return {name: content for name, content in found.items() if name.name not in {OWNER, LOCK}}


@pytest.fixture
def pruned(case, tmp_path) -> Workbench:
    """Give a bench with two models, made in no time; its kernel is gone."""
    bench = make(case, tmp_path)
    for ratio, name in ((0.25, "first"), (0.5, "second")):
        click(bench, "uniform", value=ratio)
        click(bench, "prune", name=name)
    bench._keeper.release()
    return bench


def test_exports_come_back_where_their_files_are_there(case, tmp_path, pruned):
    for name in ("first", "second"):
        click(pruned, "export", name=name, format="onnx")
    pruned._keeper.release()
    again = make(case, tmp_path)
    assert again.offer_view["exports"] == 2
    click(again, "use_scan")
    assert again.exports_view == pruned.exports_view
    assert again.state.exports == pruned.state.exports
    again._keeper.release()

    (pruned.state.exports["first", "onnx"].folder / "model.onnx").write_bytes(b"cut short")
    third = make(case, tmp_path)
    click(third, "use_scan")
    assert [row["name"] for row in third.exports_view["rows"]] == ["second"]
    assert "Exported files are gone: first, onnx." in third.progress.message


def test_notes_of_a_version_without_exports_are_read(case, tmp_path, pruned):
    (folder,) = tmp_path.glob("*.bench")
    notes = json.loads((folder / "bench.json").read_text())
    del notes["exports"]
    (folder / "bench.json").write_text(json.dumps(notes))
    again = make(case, tmp_path)
    click(again, "use_scan")
    assert len(again.candidates) == 2
    assert again.exports_view["rows"] == []


def test_two_benches_that_live_have_a_folder_each(case, tmp_path, pruned):
    first = make(case, tmp_path)
    click(first, "use_scan")
    second = make(case, tmp_path)
    assert second.offer_view["owner"] == "another workbench of this kernel"
    click(second, "use_scan")
    assert "is open in another workbench of this kernel: this bench is a copy." in (
        second.progress.message
    )
    assert [c.name for c in second.candidates] == [c.name for c in first.candidates]
    mine, copy = sorted(tmp_path.glob("*.bench"), key=lambda path: path.stat().st_ctime)
    before = files(mine)
    click(second, "prune", name="only here")
    click(second, "fine_tune", name="first", epochs=1)
    assert files(mine) == before
    after = files(copy)
    click(first, "prune", name="only there")
    assert files(copy) == after
    for bench in (first, second):
        bench._keeper.release()
    for bench, name in ((second, "only here"), (first, "only there")):
        names = [one["name"] for one in json.loads(notes_of(bench, mine, copy))["candidates"]]
        assert names == ["first", "second", name]


def notes_of(bench, *folders):
    """The notes that name the last model of a bench."""
    name = bench.candidates[-1].name
    texts = [(folder / "bench.json").read_text() for folder in folders]
    (found,) = [text for text in texts if f'"{name}"' in text]
    return found


def test_nothing_is_written_while_models_are_loaded(case, tmp_path, pruned, monkeypatch):
    (folder,) = tmp_path.glob("*.bench")
    before = files(folder)
    again = make(case, tmp_path)
    load, seen = again._keeper._load, []

    def slow(place):
        again._write_down()  # a hand that rested meanwhile
        seen.append(files(folder) == before)
        return load(place)

    monkeypatch.setattr(again._keeper, "_load", slow)
    click(again, "use_scan")
    assert seen == [True, True]
    assert list(tmp_path.glob("*.bench")) == [folder]  # and it goes on there


def test_a_bench_whose_loading_was_stopped_is_left_as_it_was(case, tmp_path, pruned, monkeypatch):
    (folder,) = tmp_path.glob("*.bench")
    before = files(folder)
    again = make(case, tmp_path)
    load = again._keeper._load

    def stop(place):
        again.stop()
        return load(place)

    monkeypatch.setattr(again._keeper, "_load", stop)
    click(again, "use_scan")
    assert again.progress.status == "stopped"
    assert again.candidates == ()
    assert again.picks == pruned.picks
    click(again, "prune", name="new")
    assert files(folder) == before
    other = make(case, tmp_path)  # the new one is the newest; the old one is there all the same
    assert other.offer_view["models"] == ["new"]


def test_what_can_not_be_loaded_stays_where_it_is(case, tmp_path, pruned):
    (folder,) = tmp_path.glob("*.bench")
    (damaged,) = folder.glob("first-*/model.safetensors")
    whole = damaged.read_bytes()
    damaged.write_bytes(b"no tensors")
    before = files(folder)
    again = make(case, tmp_path)
    click(again, "use_scan")
    click(again, "prune", name="new")
    assert files(folder) == before
    damaged.write_bytes(whole)
    (folder / "bench.json").touch()
    third = make(case, tmp_path)
    click(third, "use_scan")
    assert [c.name for c in third.candidates] == ["first", "second"]


def test_a_model_that_its_owner_replaced_meanwhile_is_found(case, tmp_path, pruned):
    owner = make(case, tmp_path)
    click(owner, "use_scan")
    other = make(case, tmp_path)
    left, held = other._keeper.open(other.state.offer.left)
    assert held is not None
    click(owner, "fine_tune", name="first", epochs=1)  # its older model goes from the disk
    *_, last = drained(other._keeper.take_up(left))
    assert last.lost == ()
    assert weights(last.candidates[0].model) == weights(owner.candidates[0].model)


def drained(steps):
    """The steps, and the result last."""
    yield (yield from steps)
