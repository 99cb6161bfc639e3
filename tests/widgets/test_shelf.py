"""Scans outlive the kernel: kept in a folder, offered again, gone on with."""

from __future__ import annotations

import copy

from slimlab_widgets.jobs import inline
from slimlab_widgets.workbench import Workbench


def make(case, folder, model=None) -> Workbench:
    """A workbench as a kernel makes it that has just started."""
    return Workbench(model or case.model, case.task, graph=case.graph, scans=folder, run=inline)


def stopped_scan(case, folder) -> Workbench:
    """A workbench whose scan was stopped after its first cells."""
    first = make(case, folder)

    def stop(change):
        if change["new"].get("measured", 0) >= 2:
            first.stop()

    first._publisher._every = 0.0
    first.observe(stop, "curves_view")
    first.scan(ratios=(0.25, 0.5, 0.75))
    assert first.progress.status == "stopped"
    return first


def click(bench, event):
    bench._handle_custom_msg({"event": event}, [])
    bench._publisher.flush()


def test_a_complete_scan_is_offered_to_the_next_kernel_and_used(case, tmp_path):
    first = make(case, tmp_path / "scans")
    assert first.offer_view == {}
    first.scan(ratios=(0.25, 0.5, 0.75))
    second = make(case, tmp_path / "scans")
    assert second.sensitivity is None  # offered, not taken
    offer = second.offer_view
    assert (offer["measured"], offer["planned"], offer["complete"]) == (6, 6, True)
    click(second, "use_scan")
    assert second.sensitivity.cells == first.sensitivity.cells
    assert second.offer_view == {}
    assert second.state.settings.ratios == "0.25, 0.5, 0.75"


def test_a_scan_that_was_cut_off_is_gone_on_with(case, tmp_path):
    first = stopped_scan(case, tmp_path)
    known = len(first.sensitivity.cells)
    second = make(case, tmp_path)
    assert second.offer_view["complete"] is False
    click(second, "use_scan")
    assert len(second.sensitivity.cells) == known
    click(second, "resume")
    assert second.sensitivity.cells == case.sensitivity.cells
    assert len(list(tmp_path.glob("*.scan"))) == 1  # in the same file
    third = make(case, tmp_path)
    assert third.offer_view["complete"] is True


def test_not_now_keeps_the_file(case, tmp_path):
    stopped_scan(case, tmp_path)
    second = make(case, tmp_path)
    click(second, "leave_scan")
    assert second.offer_view == {}
    assert make(case, tmp_path).offer_view != {}


def test_a_scan_of_other_weights_is_not_offered(case, tmp_path):
    stopped_scan(case, tmp_path)
    other = copy.deepcopy(case.model)
    weight = other.parameters()[0]
    weight.set_value(weight + 0.01)
    assert make(case, tmp_path, other).offer_view == {}


def test_a_damaged_file_hides_no_good_one(case, tmp_path):
    stopped_scan(case, tmp_path)
    (good,) = tmp_path.glob("*.scan")
    (tmp_path / good.name.replace(".scan", "-9.scan")).write_bytes(b"no scan at all")
    assert make(case, tmp_path).offer_view != {}


def test_a_folder_that_can_not_be_written_stops_nothing(case, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    bench = make(case, tmp_path / "file" / "scans")
    bench.scan(ratios=(0.5,))
    assert bench.progress.status == "done"


def test_using_a_scan_that_is_not_there_says_so(case, tmp_path):
    bench = make(case, tmp_path)
    click(bench, "use_scan")
    assert "no scan of this network on the disk" in bench.progress.message
