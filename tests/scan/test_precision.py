"""Precision: how many images are enough, and in which type of number they are computed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import paddle
import pytest

import slimlab as sl
from slimlab.intervals import paired_interval
from slimlab.runtimes import RUNTIMES, fastest
from slimlab.scan import setup
from slimlab.scan.board import LEAST, RELATIVE
from slimlab.scan.records import WHOLE, Records, identity_of

ASKED = {"ratios": [0.4, 0.8], "images": 150, "progress": False}
HAS_BFLOAT16 = "bfloat16" in RUNTIMES["openvino"].dtypes
bfloat16 = pytest.mark.skipif(not HAS_BFLOAT16, reason="this processor does not compute bfloat16")


@pytest.fixture(scope="module", autouse=True)
def small_chunks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setup, "MOST", 32)
        yield


# ---------------------------------------------------------------------------- images enough


@pytest.mark.parametrize("precision", [2.0, 6.0])
def test_cells_stop_when_they_are_precise_and_not_before(
    vgg: paddle.nn.Layer, digits: sl.Task, precision: float
) -> None:
    steps = list(sl.iter_scan_sensitivity(vgg, digits, ratios=[0.1, 0.5, 0.9], precision=precision))
    for before, after in itertools.pairwise(step.item for step in steps):
        assert before is not None
        assert after is not None
        seen = {(cell.layer, cell.ratio): cell for cell in before.cells}
        for cell in after.cells:
            earlier = seen.get((cell.layer, cell.ratio))
            if earlier is None or earlier.images == cell.images:
                continue
            half = max(earlier.high - earlier.drop, earlier.drop - earlier.low)
            enough = half <= max(precision, RELATIVE * abs(earlier.drop))
            assert earlier.images < LEAST or not enough, "a precise cell was measured on"
    assert steps[-1].done == steps[-1].total, "the bar of a scan that is over is full"
    assert all(before.total >= after.total for before, after in itertools.pairwise(steps))
    assert all(step.done < step.total for step in steps[:-1])
    table = steps[-1].item
    assert table is not None
    assert table.complete
    for cell in table.cells:
        half = max(cell.high - cell.drop, cell.drop - cell.low)
        assert half <= max(precision, RELATIVE * abs(cell.drop)) or cell.images == table.images
        assert cell.images <= table.images
    assert len({cell.images for cell in table.cells}) > 1


def test_a_wider_promise_needs_fewer_images(vgg: paddle.nn.Layer, digits: sl.Task) -> None:
    def measured(precision: float | None) -> int:
        asked = {"ratios": [0.3, 0.9], "precision": precision, "progress": False}
        return sum(cell.images for cell in sl.scan_sensitivity(vgg, digits, **asked).cells)

    wide, narrow, none, all_of_them = (measured(p) for p in (20.0, 4.0, 0.0, None))
    assert wide < narrow < none <= all_of_them


def test_images_go_where_the_pick_depends_on_them(vgg: paddle.nn.Layer, digits: sl.Task) -> None:
    asked = {"ratios": [0.2, 0.4, 0.6, 0.8], "progress": False}
    whole = sl.scan_sensitivity(vgg, digits, **asked)
    quick = sl.scan_sensitivity(vgg, digits, decide=5.0, **asked)
    assert quick.complete
    assert sum(cell.images for cell in quick.cells) < 0.8 * sum(c.images for c in whole.cells)
    for cell in quick.cells:
        assert cell.images == whole.images or not cell.low <= 5.0 <= cell.high
    picks = [sl.ratios_within_drop(table, drop=5.0) for table in (whole, quick)]
    for layer in whole.layers:
        assert abs(picks[0].get(layer, 0.0) - picks[1].get(layer, 0.0)) <= 0.2


def test_no_time_gives_the_first_cell_and_the_file_keeps_it(
    vgg: paddle.nn.Layer, digits: sl.Task, tmp_path: Path
) -> None:
    path = tmp_path / "a.scan"
    first = sl.scan_sensitivity(vgg, digits, seconds=0, path=path, **ASKED)
    assert [cell.images for cell in first.cells] == [30]  # five chunks of 150 images
    assert sl.load_scan(path) == first
    second = sl.scan_sensitivity(vgg, digits, seconds=0, path=path, **ASKED)
    assert len(second.cells) == 2, "each go gets on, however short"


@pytest.mark.slow  # a scan of ten thousand images
def test_intervals_hold_the_drop_on_all_images(fashion_mnist_folder: Path, tmp_path: Path) -> None:
    """Of 200 random subsets of 500 images, 95 % are promised; measured scores, not made ones."""
    task = sl.load_task("fashion-mnist")
    path = tmp_path / "fashion.scan"
    model = sl.load_model("vgg", task)
    sl.scan_sensitivity(model, task, ratios=[0.3, 0.7], path=path, progress=False)
    records = Records(identity_of(path), path, write=False)
    whole = records.scores(WHOLE, "float32")
    rng = np.random.default_rng(0)
    subsets = [rng.choice(len(whole), 500, replace=False) for _ in range(200)]
    held = []
    for key, dtype in records.known():
        if key == WHOLE:
            continue
        pruned = records.scores(key, dtype)
        drop = (whole - pruned).mean()
        intervals = [paired_interval(whole[s], pruned[s])[1:] for s in subsets]
        held.append(np.mean([low <= drop <= high for low, high in intervals]))
    assert len(held) == 14
    assert 0.93 <= np.mean(held) <= 0.99
    assert min(held) > 0.9  # 200 subsets: three standard errors below 95 %


# ------------------------------------------------------------------------ types of numbers


@pytest.fixture(scope="module")
def exact(vgg: paddle.nn.Layer, digits: sl.Task) -> sl.Sensitivity:
    """Give the table of the slow reference."""
    return sl.scan_sensitivity(vgg, digits, runtime="paddle", **ASKED)


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_every_runtime_gives_the_reference(
    vgg: paddle.nn.Layer, digits: sl.Task, exact: sl.Sensitivity, runtime: str
) -> None:
    scan = sl.scan_sensitivity(vgg, digits, runtime=runtime, **ASKED)
    assert scan.runtime == runtime
    assert exact.runtime == "paddle"
    assert scan.cells == exact.cells
    assert scan.baseline == exact.baseline


def test_a_scan_with_little_memory_gives_the_same(
    vgg: paddle.nn.Layer, digits: sl.Task, exact: sl.Sensitivity
) -> None:
    small = sl.scan_sensitivity(vgg, digits, memory=2**20, **ASKED)
    assert small.runtime == "openvino"
    assert [(c.drop, c.images) for c in small.cells] == [(c.drop, c.images) for c in exact.cells]


@pytest.fixture(scope="module")
def preview(vgg: paddle.nn.Layer, digits: sl.Task) -> sl.Sensitivity:
    """Give a table in bfloat16."""
    return sl.scan_sensitivity(vgg, digits, dtype="bfloat16", **ASKED)


@bfloat16
def test_a_preview_is_marked(preview: sl.Sensitivity, exact: sl.Sensitivity) -> None:
    assert preview.complete
    assert not preview.exact
    assert {cell.dtype for cell in preview.cells} == {"bfloat16"}
    assert set(preview.to_frame()["dtype"]) == {"bfloat16"}
    assert "dtype" not in exact.to_frame()
    assert preview.runtime == "openvino"
    for rough, cell in zip(preview.cells, exact.cells, strict=True):
        assert rough.drop == pytest.approx(cell.drop, abs=4.0), "a preview looks like the scan"


@bfloat16
def test_a_preview_is_refined_by_known(
    vgg: paddle.nn.Layer, digits: sl.Task, preview: sl.Sensitivity, exact: sl.Sensitivity
) -> None:
    steps = sl.iter_scan_sensitivity(vgg, digits, known=preview, ratios=[0.4, 0.8], images=150)
    first = next(steps)
    assert first.done == 0
    assert first.item is not None
    assert first.item.cells == preview.cells, "shown until there is better"
    assert first.item.baseline == preview.baseline
    steps.close()
    assert sl.scan_sensitivity(vgg, digits, known=preview, **ASKED).cells == exact.cells


@bfloat16
def test_a_preview_is_refined_in_its_file(
    vgg: paddle.nn.Layer, digits: sl.Task, exact: sl.Sensitivity, tmp_path: Path
) -> None:
    path = tmp_path / "a.scan"
    asked = {**ASKED, "path": path}
    sl.scan_sensitivity(vgg, digits, dtype="bfloat16", **asked)
    some = sl.scan_sensitivity(vgg, digits, precision=7.0, **asked)
    assert {cell.dtype for cell in some.cells} == {"float32"}
    assert min(cell.images for cell in some.cells) < 150, "precision holds for what is refined"
    assert sl.load_scan(path) == some
    refined = sl.scan_sensitivity(vgg, digits, **asked)
    assert refined.exact
    assert refined.cells == exact.cells
    assert "dtype" not in refined.to_frame()
    steps = list(sl.iter_scan_sensitivity(vgg, digits, dtype="bfloat16", path=path, images=150,
                                          ratios=[0.4, 0.8]))  # fmt: skip
    assert len(steps) == 1, "float32 is there: a preview has nothing to add"
    assert steps[0].done == steps[0].total


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"runtime": "openvin"}, r"No runtime 'openvin'. Did you mean 'openvino'\?"),
        ({"runtime": "padle"}, r"No runtime 'padle'. Did you mean 'paddle'\?"),
        ({"runtime": "tensorrt"}, "Known: 'paddle', 'onnxruntime', 'openvino'"),
        ({"dtype": "float8"}, "No runtime computes in 'float8' on this machine"),
        ({"runtime": "onnxruntime", "dtype": "bfloat16"}, "onnxruntime has float32. Use float32"),
        ({"runtime": "paddle", "dtype": "bfloat16"}, "'paddle' computes in float32 and not in"),
        ({"runtime": "paddle", "dtype": "float64"}, "and not in 'float64'"),
    ],
    ids=str,
)
def test_a_runtime_or_type_that_is_not_there_is_a_sentence(
    vgg: paddle.nn.Layer, digits: sl.Task, asked: dict[str, str], told: str
) -> None:
    with pytest.raises(sl.TaskError, match=told):
        sl.scan_sensitivity(vgg, digits, progress=False, **asked)


def test_the_fastest_of_those_that_can() -> None:
    assert fastest().name == "onnxruntime"
    assert fastest(names=["openvino"]).name == "openvino"
    if HAS_BFLOAT16:
        assert fastest("bfloat16").name == "openvino"
    with pytest.raises(sl.TaskError, match=r"No runtime 'x'\. Known: 'onnxruntime', 'openvino'"):
        fastest(names=["x"])
