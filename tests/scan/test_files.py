"""What a scan keeps on disk: gone on with, merged, damaged, foreign."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import paddle
import pytest

import slimlab as sl
from slimlab.scan import setup
from slimlab.scan.records import Records

ASKED = {"ratios": [0.4, 0.8], "images": 150, "progress": False}


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "MOST", 64)  # three chunks


@pytest.fixture(scope="module")
def uninterrupted(vgg: paddle.nn.Layer, digits: sl.Task) -> sl.Sensitivity:
    return sl.scan_sensitivity(vgg, digits, **ASKED)


@pytest.mark.parametrize("steps", [0, 1, 3, 17, 30])
def test_gone_on_with_equals_uninterrupted(
    tmp_path: Path,
    vgg: paddle.nn.Layer,
    digits: sl.Task,
    uninterrupted: sl.Sensitivity,
    steps: int,
) -> None:
    path = tmp_path / "a.scan"
    asked = {n: v for n, v in ASKED.items() if n != "progress"}
    running = sl.iter_scan_sensitivity(vgg, digits, path=path, **asked)
    last = next(running)
    for _ in range(steps):
        last = next(running)
    part = sl.finish_early(running)
    assert part == last.item
    assert sl.load_scan(path).cells == part.cells, "what was announced is on disk"
    assert not part.exact
    assert sl.scan_sensitivity(vgg, digits, path=path, **ASKED) == uninterrupted
    assert sl.load_scan(path) == uninterrupted


def test_more_images_later_equals_all_at_once(
    tmp_path: Path, vgg: paddle.nn.Layer, digits: sl.Task, uninterrupted: sl.Sensitivity
) -> None:
    path = tmp_path / "a.scan"
    sl.scan_sensitivity(vgg, digits, path=path, **{**ASKED, "images": 64})
    assert sl.scan_sensitivity(vgg, digits, path=path, **ASKED) == uninterrupted


def test_parts_merge(
    tmp_path: Path, vgg: paddle.nn.Layer, digits: sl.Task, uninterrupted: sl.Sensitivity
) -> None:
    parts = [tmp_path / "a.scan", tmp_path / "b.scan"]
    for part, ratio in zip(parts, ASKED["ratios"], strict=True):
        sl.scan_sensitivity(vgg, digits, path=part, **{**ASKED, "ratios": [ratio]})
    assert sl.merge_scans(parts, tmp_path / "all.scan") == uninterrupted
    other = tmp_path / "c.scan"
    sl.scan_sensitivity(vgg, digits, path=other, metric="loss", **{**ASKED, "images": 64})
    with pytest.raises(sl.ArtifactError, match="its metric differs"):
        sl.merge_scans([parts[0], other], tmp_path / "none.scan")
    assert not (tmp_path / "none.scan").exists()


def test_another_models_file_is_refused(
    tmp_path: Path, vgg: paddle.nn.Layer, digits: sl.Task
) -> None:
    path = tmp_path / "a.scan"
    first = sl.scan_sensitivity(vgg, digits, path=path, **{**ASKED, "images": 64})
    other = sl.load_model("vgg", digits, pretrained=False)
    with pytest.raises(sl.ArtifactError, match="its model's weights differs"):
        sl.scan_sensitivity(other, digits, path=path, **ASKED)
    assert sl.load_scan(path) == first


def test_damaged_and_foreign_files_are_sentences(
    tmp_path: Path, vgg: paddle.nn.Layer, digits: sl.Task
) -> None:
    path = tmp_path / "a.scan"
    sl.scan_sensitivity(vgg, digits, path=path, **{**ASKED, "images": 64})
    whole = path.read_bytes()
    for name, content in {
        "cut": whole[: len(whole) // 2],
        "text": b"layer,ratio\n" * 200,
        "pickle": b"\x80\x04\x95",
        "flipped": whole[:-900] + bytes(b ^ 0xFF for b in whole[-900:]),
    }.items():
        path.write_bytes(content)
        with pytest.raises(sl.ArtifactError):
            sl.load_scan(path)
        with pytest.raises(sl.ArtifactError):
            sl.scan_sensitivity(vgg, digits, path=path, **ASKED)
        assert path.read_bytes() == content, f"{name}: a damaged file is left as it is"
    with pytest.raises(sl.ArtifactError, match="There is no scan"):
        sl.load_scan(tmp_path / "nowhere.scan")


def test_precision_and_seconds_stop_early(vgg: paddle.nn.Layer, digits: sl.Task) -> None:
    grid = {"ratios": [0.1, 0.9], "progress": False}
    scan = sl.scan_sensitivity(vgg, digits, precision=3.0, **grid)
    assert scan.complete
    assert not scan.exact
    for cell in scan.cells:
        half = max(cell.high - cell.drop, cell.drop - cell.low)
        assert cell.images == len(digits.test) or half <= max(3.0, abs(cell.drop) / 4)
    assert len({cell.images for cell in scan.cells}) > 1
    assert len(sl.scan_sensitivity(vgg, digits, seconds=0, **grid).cells) == 1


def test_kl_is_the_divergence_of_the_cut_model(
    vgg: paddle.nn.Layer, digits: sl.Task, vgg_graph: sl.Graph
) -> None:
    layer = vgg_graph.layers[0]
    scope = sl.Scope(include=f"^{layer}$")
    scan = sl.scan_sensitivity(vgg, digits, metric="kl", scope=scope, **ASKED)
    x, _ = next(iter(digits.test.batches(150)))
    for cell in scan.cells:
        small = sl.prune(vgg, sl.plan_pruning(vgg, vgg_graph, {layer: cell.ratio}))
        p, q = (paddle.nn.functional.softmax(m(x), axis=1).numpy() for m in (vgg, small))
        expected = (p * (paddle.to_tensor(p).log() - paddle.to_tensor(q).log()).numpy()).sum(1)
        assert cell.drop == pytest.approx(float(expected.mean()), rel=1e-3, abs=1e-6)
    assert scan.baseline == 0
    assert scan.unit == " nats"


KILLED = """
import os, sys
import numpy as np
from slimlab.scan.records import Record, Records
records = Records({"model": "m"}, sys.argv[1])
records.add([Record(("conv", 0.5), "float32", 0, np.ones(5, np.float32))])
os._exit(9)
"""


def test_what_a_killed_scan_left_belongs_together(tmp_path: Path) -> None:
    """Its last records lie in the file beside it that ends in -wal; to read writes neither."""
    path, elsewhere = tmp_path / "a.scan", tmp_path / "elsewhere"
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    beside = path.with_name("a.scan-wal")
    before = path.read_bytes(), beside.read_bytes()
    path.with_name("a.scan-shm").unlink()  # only an index: who reads makes it again
    elsewhere.mkdir()
    alone = elsewhere / "alone.scan"
    shutil.copy(path, alone)
    for file in (path, beside):
        shutil.copy(file, elsewhere)
    for place in (path, elsewhere / "a.scan"):
        read = Records({"model": "m"}, place, write=False)
        assert read.scores(("conv", 0.5), "float32").tolist() == [1.0] * 5
    assert (path.read_bytes(), beside.read_bytes()) == before
    assert path.with_name("a.scan-shm").exists()
    assert not Records({"model": "m"}, alone, write=False).known(), "it is behind, but not broken"
    with Records({"model": "m"}, path) as opened:
        assert len(opened.known()) == 1
    assert not beside.exists(), "who writes puts it into the file"
