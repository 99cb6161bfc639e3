from __future__ import annotations

from types import SimpleNamespace

import paddle
import pytest

import slimlab as sl
from slimlab.errors import PlanError, SlimLabError
from slimlab_widgets.settings import parse_ratios
from slimlab_widgets.workbench import Workbench


def click(bench, event, **facts):
    """Send what the browser sends."""
    bench._handle_custom_msg({"event": event, **facts}, [])


def logits(model, task):
    model.eval()
    with paddle.no_grad():
        return model(next(iter(task.test.batches(16)))[0]).numpy()


def test_a_new_bench_shows_the_layers_and_nothing_measured(bench, case):
    assert bench.graph_view["totals"]["macs"] == case.graph.macs
    assert [row["layer"] for row in bench.graph_view["layers"]] == list(
        case.graph.profile.to_frame()["layer"]
    )
    assert bench.curves_view == {}
    assert bench.picked_view["ratios"] == {}
    assert bench.job_view["status"] == "idle"
    assert bench.settings_view["images"] == len(case.task.test)


def test_scan_measures_all_cells_and_shows_them(bench, case):
    bench.scan(ratios=(0.25, 0.5, 0.75))
    assert bench.progress.status == "done"
    assert bench.sensitivity.complete
    assert bench.sensitivity.cells == case.sensitivity.cells
    assert bench.curves_view["measured"] == 6
    assert bench.job_view["message"].startswith("Scanned 6 cells.")


def test_stop_keeps_cells_and_resume_measures_the_rest(bench, case):
    def stop_after_two(change):
        if change["new"].get("measured", 0) >= 2:
            bench.stop()

    bench._publisher._every = 0.0
    bench.observe(stop_after_two, "curves_view")
    click(bench, "scan", images=None, ratios="0.25, 0.5, 0.75", criterion="l1_norm")
    assert bench.progress.status == "stopped"
    assert 2 <= len(bench.sensitivity.cells) < 6
    assert "Resume" in bench.job_view["message"]
    kept = bench.sensitivity.cells
    bench.unobserve(stop_after_two, "curves_view")
    click(bench, "resume")
    assert bench.sensitivity.complete
    assert bench.sensitivity.cells[: len(kept)] == kept
    assert bench.sensitivity.cells == case.sensitivity.cells


def test_stop_before_the_baseline_leaves_nothing_half_known(bench):
    def stop(change):
        if change["new"]["status"] == "running":
            bench.stop()

    bench._publisher._every = 0.0
    bench.observe(stop, "job_view")
    bench.scan(ratios="0.5")
    assert bench.progress.status == "stopped"
    assert bench.sensitivity is None
    assert bench.curves_view == {}


def test_ratios_from_the_browser_are_confirmed_with_their_origin(scanned, case):
    click(scanned, "ratios", ratios={"0": 0.5}, view="v", seq=7)
    scanned._publisher.flush()
    assert scanned.ratios == sl.Ratios({"0": 0.5})
    shown = scanned.picked_view
    assert (shown["view"], shown["seq"], shown["name"]) == ("v", 7, "picked")
    expected = sl.preview(case.graph, {"0": 0.5}, case.sensitivity)
    assert shown["preview"]["macs"] == expected.macs
    assert shown["preview"]["drop"] == expected.drop


def test_ratios_are_settable_from_code(scanned):
    revision = scanned.state.revision
    scanned.ratios = {"0": 0.25}
    assert dict(scanned.ratios) == {"0": 0.25}
    assert scanned.state.revision == revision + 1
    with pytest.raises(PlanError, match="'nothing'"):
        scanned.ratios = {"nothing": 0.25}
    assert dict(scanned.ratios) == {"0": 0.25}


def test_uniform_and_drop_are_the_cores_answers(scanned, case):
    click(scanned, "uniform", value=0.5)
    assert scanned.ratios == sl.uniform_ratios(case.graph, ratio=0.5)
    assert scanned.picks.now.name == "uniform 0.50"
    click(scanned, "drop", value=5.0)
    found = sl.ratios_within_drop(case.sensitivity, drop=5.0)
    assert {n: found[n] for n in scanned.ratios} == dict(scanned.ratios)
    assert sl.preview(case.graph, found).widths == sl.preview(case.graph, scanned.ratios).widths
    click(scanned, "clear", value=0)
    assert not any(scanned.ratios.values())


def test_clicks_are_undone_and_redone_and_kept(scanned):
    click(scanned, "uniform", value=0.5)
    click(scanned, "ratios", ratios={"0": 0.25}, view="v", seq=1, stroke=1)
    click(scanned, "ratios", ratios={"0": 0.5}, view="v", seq=2, stroke=2)
    click(scanned, "ratios", ratios={"0": 0.75}, view="v", seq=3, stroke=2)
    click(scanned, "undo")
    # The two last moves were one stroke.
    assert dict(scanned.ratios) == {"0": 0.25}
    click(scanned, "undo")
    assert dict(scanned.ratios) == {"0": 0.5, "3": 0.5}
    click(scanned, "keep", name="half")
    click(scanned, "redo")
    click(scanned, "redo")
    assert dict(scanned.ratios) == {"0": 0.75}
    click(scanned, "take", name="half")
    scanned._publisher.flush()
    assert scanned.picked_view["name"] == "half"
    assert scanned.picks_view["undo"] == "picked"
    (row,) = scanned.picks_view["snapshots"]
    assert (row["name"], row["macs"]) == ("half", sl.preview(scanned.graph, scanned.ratios).macs)
    click(scanned, "forget", name="half")
    scanned._publisher.flush()
    assert scanned.picks_view["snapshots"] == []


def test_a_bench_with_a_scan_says_what_it_was_made_with(case):
    known = case.sensitivity
    bench = Workbench(case.model, case.task, graph=case.graph, sensitivity=known, scans=None)
    said = bench.settings_view
    assert parse_ratios(said["ratios"]) == known.ratios
    assert (said["images"], said["criterion"]) == (known.images, known.criterion)


def test_the_saved_picture_waits_while_a_hand_is_at_work(case):
    bench = Workbench(
        case.model, case.task, graph=case.graph, sensitivity=case.sensitivity, scans=None
    )
    drawn, now = [], [0.0]
    bench._quiet._seconds, bench._quiet._clock = 50.0, lambda: now[0]
    bench._display = SimpleNamespace(update=lambda *_, **__: drawn.append(dict(bench.ratios)))
    for seq in range(1, 4):
        click(bench, "ratios", ratios={"0": seq / 10}, view="v", seq=seq)
    assert drawn == []
    # A hand comes back while the picture is drawn: it waits for that one too.
    figures = bench.figures
    bench.figures = lambda: (click(bench, "touch"), figures())[1]
    now[0] = 51.0
    bench._quiet.look()
    assert drawn == []
    bench.figures = figures
    now[0] = 102.0
    bench._quiet.look()
    assert drawn == [{"0": pytest.approx(0.3)}]
    bench._quiet._timer.cancel()


def test_prune_gives_the_same_model_as_code(scanned, case):
    scanned.pick_uniform(0.5)
    click(scanned, "prune", name="")
    (candidate,) = scanned.candidates
    plan = sl.plan_pruning(case.model, case.graph, sl.uniform_ratios(case.graph, ratio=0.5))
    by_hand = sl.prune(case.model, plan)
    assert (logits(candidate.model, case.task) == logits(by_hand, case.task)).all()
    assert candidate.name == "uniform 0.50"
    assert scanned.candidates_view["chosen"] == "uniform 0.50"
    click(scanned, "prune", name="")
    assert [c.name for c in scanned.candidates] == ["uniform 0.50", "uniform 0.50 (2)"]


def test_fine_tune_trains_a_candidate_and_leaves_the_model_alone(scanned, case):
    before = logits(case.model, case.task)
    scanned.pick_uniform(0.5)
    scanned.prune("half")
    click(scanned, "fine_tune", epochs=2, learning_rate=0.01, teacher=True)
    assert scanned.progress.status == "done"
    (candidate,) = scanned.candidates
    assert candidate.epochs == 2
    assert candidate.score is not None
    assert scanned.run_view["name"] == "half"
    assert len(scanned.run_view["loss"]) == scanned.run_view["steps"]
    assert (logits(case.model, case.task) == before).all()


def test_a_stopped_fine_tuning_keeps_the_model_so_far(stopped):
    assert 0 < stopped.candidates[0].epochs < 50
    assert stopped.job_view["message"].startswith("Stopped; kept")


def test_compare_measures_the_baseline_and_each_candidate_once(scanned):
    scanned.pick_uniform(0.5)
    scanned.prune()
    click(scanned, "compare")
    assert [row["name"] for row in scanned.comparison_view["rows"]] == ["baseline", "uniform 0.50"]
    baseline, first = scanned.trials
    assert scanned.candidates[0].score == first.value
    scanned.ratios = {"0": 0.5}
    scanned.prune()
    scanned.compare()
    assert [t.name for t in scanned.trials] == ["baseline", "uniform 0.50", "picked"]
    assert scanned.trials[0] is baseline
    assert scanned.trials[1] is first
    scanned.fine_tune("picked")
    assert [t.name for t in scanned.trials] == ["baseline", "uniform 0.50"]


def test_save_writes_what_load_reads(scanned, case, tmp_path):
    scanned.pick_uniform(0.5)
    scanned.prune()
    folder = tmp_path / "saved"
    click(scanned, "save", name="uniform 0.50", folder=str(folder))
    assert scanned.progress.message.startswith("Saved 'uniform 0.50' to ")
    fresh = type(case.model)(*[layer for _, layer in case.model.named_children()])
    loaded = sl.load(folder, model=fresh)
    pruned = scanned.candidates[0].model
    assert (logits(loaded, case.task) == logits(pruned, case.task)).all()


@pytest.mark.parametrize(
    ("event", "facts", "sentence"),
    [
        ("scan", {"images": 10, "ratios": "1.2", "criterion": "l1_norm"}, "are not pruning ratios"),
        (
            "scan",
            {"images": 0, "ratios": "0.5", "criterion": "l1_norm"},
            "used for images",
        ),
        ("scan", {"images": 8, "ratios": "0.5", "criterion": "l9"}, "l9"),
        ("resume", {}, "no scan to resume"),
        ("drop", {"value": 1.0}, "needs a sensitivity"),
        ("uniform", {"value": 1.2}, "outside [0, 1)"),
        ("prune", {"name": ""}, "nothing to prune"),
        ("fine_tune", {"epochs": 1}, "no pruned model"),
        ("save", {"name": "", "folder": "x"}, "no pruned model"),
        ("choose", {"name": "x"}, "no pruned model"),
        ("ratios", {"ratios": {"x": 0.5}, "view": "v", "seq": 1}, "'x'"),
    ],
)
def test_what_goes_wrong_is_a_sentence_in_the_status_line(bench, event, facts, sentence):
    click(bench, event, **facts)
    bench._publisher.flush()
    assert bench.job_view["status"] == "error"
    assert sentence in bench.job_view["message"]
    assert bench.job_view["details"] == ""


def test_a_surprise_shows_its_traceback(bench):
    click(bench, "uniform", wrong=1)
    bench._publisher.flush()
    assert "TypeError" in bench.job_view["message"]
    assert "Traceback" in bench.job_view["details"]


def test_a_wrong_click_while_a_job_runs_stays_readable(bench):
    def wrong(change):
        if change["new"].get("measured") == 1:
            click(bench, "uniform", value=1.5)

    bench._publisher._every = 0.0
    bench.observe(wrong, "curves_view")
    bench.scan(ratios="0.5")
    assert bench.progress.status == "done"
    assert "1.5" in bench.job_view["warning"]


def test_a_picture_that_fails_does_not_hide_the_result(bench, monkeypatch):
    def broken(_wanted):
        msg = "no ink"
        raise OSError(msg)

    monkeypatch.setattr(bench, "refresh_static", broken)
    bench.scan(ratios="0.5")
    assert bench.sensitivity.complete
    assert "no ink" in bench.progress.message
    assert bench.wait(0)


def test_methods_raise_where_clicks_show(bench):
    with pytest.raises(SlimLabError, match="no scan to resume"):
        bench.resume()


def test_the_cell_returns_at_once_and_wait_waits(case):
    bench = Workbench(case.model, case.task, graph=case.graph, scans=None)
    bench.scan(ratios="0.5")
    with pytest.raises(SlimLabError, match="still running"):
        bench.scan(ratios="0.5")
    assert bench.wait(30)
    assert bench.sensitivity.complete
    assert bench.progress.status == "done"


def test_the_picture_and_the_words_follow_the_state(scanned):
    data, metadata = scanned._repr_mimebundle_()
    assert data["image/png"].startswith("iVBOR")
    assert "application/vnd.jupyter.widget-view+json" in data
    assert "SlimLab workbench" in data["text/plain"]
    assert metadata["image/png"]["alt"] == data["text/plain"]
    scanned.pick_uniform(0.5)
    assert scanned._repr_mimebundle_()[0]["image/png"] != data["image/png"]
    scanned.prune()
    scanned.fine_tune()
    scanned.compare()
    assert "uniform 0.50" in scanned.summary()
    assert len(scanned.figures()) == 4
