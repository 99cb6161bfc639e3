"""Scans that are stopped, widened, narrowed and merged: always the table of one go."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import paddle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import slimlab as sl
from slimlab.scan import setup
from slimlab.scan.records import Records, identity_of

RATIOS = (0.4, 0.8)
IMAGES = 150
PARTS = ("first", "last", "low", "few")


@pytest.fixture(scope="module", autouse=True)
def small_chunks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setup, "MOST", 64)  # three chunks
        yield


@pytest.fixture(scope="module")
def part(vgg: paddle.nn.Layer, digits: sl.Task, vgg_graph: sl.Graph) -> Any:
    """Scan some layers of the network, by their numbers."""

    def scan(path: Path | None = None, layers: range | None = None, **asked: Any) -> sl.Sensitivity:
        chosen = None
        if layers is not None:
            names = "|".join(vgg_graph.layers[n].replace(".", r"\.") for n in layers)
            chosen = sl.Scope(include=f"^({names})$")
        given = {"ratios": RATIOS, "images": IMAGES, "scope": chosen, "progress": False, **asked}
        return sl.scan_sensitivity(vgg, digits, path=path, **given)

    return scan


@pytest.fixture(scope="module")
def whole(part: Any) -> sl.Sensitivity:
    """Give the table of an uninterrupted scan."""
    scan: sl.Sensitivity = part()
    assert scan.exact
    return scan


@settings(max_examples=4, deadline=None)
@given(stops=st.lists(st.integers(0, 50), min_size=1, max_size=2))
def test_stopped_anywhere_and_gone_on_with(
    vgg: paddle.nn.Layer, digits: sl.Task, part: Any, whole: sl.Sensitivity, stops: list[int]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.scan"
        seen = 0
        for stop in stops:
            steps = sl.iter_scan_sensitivity(vgg, digits, ratios=RATIOS, images=IMAGES, path=path)
            *_, last = itertools.islice(steps, stop + 1)
            assert last.done >= seen, "what is known is not measured again"
            seen = last.done
            kept = sl.load_scan(path)
            assert last.item is not None
            assert kept.cells == last.item.cells
            assert kept.baseline == pytest.approx(last.item.baseline, abs=0, nan_ok=True)
            steps.close()  # as hard as it gets without a kill
        assert part(path) == whole
        assert sl.load_scan(path) == whole
        assert [p.name for p in Path(folder).iterdir()] == ["a.scan"]


def test_a_finished_scan_measures_nothing_again(
    tmp_path: Path, vgg: paddle.nn.Layer, digits: sl.Task, part: Any, whole: sl.Sensitivity
) -> None:
    path = tmp_path / "a.scan"
    part(path)
    steps = list(sl.iter_scan_sensitivity(vgg, digits, ratios=RATIOS, images=IMAGES, path=path))
    assert [(step.done, step.item) for step in steps] == [(steps[0].total, whole)]
    known = list(sl.iter_scan_sensitivity(vgg, digits, ratios=RATIOS, images=IMAGES, known=whole))
    assert [(step.done, step.item) for step in known] == [(known[0].total, whole)]


@pytest.mark.parametrize(
    "first",
    [
        {"images": 100},
        {"ratios": [0.8]},
        {"layers": range(2)},
        {"layers": range(3, 5), "ratios": [0.4], "images": 70},
        {"precision": 8.0},
        {"seconds": 0},
        {"memory": 2**20, "images": 90},  # other chunks
        {"runtime": "paddle", "images": 64},
    ],
    ids=str,
)
def test_more_is_asked_for_later(
    tmp_path: Path, part: Any, whole: sl.Sensitivity, first: dict[str, Any]
) -> None:
    path = tmp_path / "a.scan"
    part(path, **first)
    assert part(path) == whole
    assert sl.load_scan(path) == whole


def test_less_is_asked_for_later_and_the_file_keeps_the_rest(
    tmp_path: Path, part: Any, whole: sl.Sensitivity
) -> None:
    path = tmp_path / "a.scan"
    part(path)
    few = {"ratios": [0.4], "layers": range(2), "images": 100}
    assert part(path, **few) == part(**few)
    # Chunks end elsewhere now, and a new ratio needs the whole network's scores once more.
    part(path, ratios=[0.6], images=100, memory=2**20)
    again = sl.load_scan(path)
    assert (again.images, again.ratios) == (IMAGES, (0.4, 0.6, 0.8))
    assert again.baseline == whole.baseline
    assert tuple(cell for cell in again.cells if cell.ratio != 0.6) == whole.cells


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"metric": "loss"}, "metric"),
        ({"metric": "kl"}, "metric"),
        ({"criterion": "l2_norm"}, "criterion"),
    ],
)
def test_a_file_of_other_settings_is_refused(
    tmp_path: Path, part: Any, other: dict[str, str], named: str
) -> None:
    path = tmp_path / "a.scan"
    part(path, images=64)
    before = path.read_bytes()
    with pytest.raises(sl.ArtifactError, match=f"its {named} differs"):
        part(path, images=64, **other)
    assert path.read_bytes() == before


def test_a_file_of_other_data_is_refused(
    tmp_path: Path, vgg: paddle.nn.Layer, digits: sl.Task, part: Any
) -> None:
    path = tmp_path / "a.scan"
    part(path, images=64)
    before = path.read_bytes()
    others = replace(digits, test=digits.calibration)
    with pytest.raises(sl.ArtifactError, match="its task's data differs"):
        sl.scan_sensitivity(vgg, others, path=path, progress=False)
    assert path.read_bytes() == before


# -------------------------------------------------------------------------------------- merging


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory, part: Any) -> dict[str, Path]:
    """Files of parts that together hold all, some of it twice."""
    folder = tmp_path_factory.mktemp("parts")
    paths = {name: folder / f"{name}.scan" for name in PARTS}
    part(paths["first"], layers=range(4))
    part(paths["last"], layers=range(3, 7))
    part(paths["low"], ratios=[0.4])
    part(paths["few"], images=100)
    return paths


@pytest.mark.parametrize(
    "order", list(itertools.permutations(["first", "last", "low", "few"]))[::5]
)
def test_parts_in_any_order_give_the_whole(
    tmp_path: Path, parts: dict[str, Path], whole: sl.Sensitivity, order: tuple[str, ...]
) -> None:
    before = {name: path.read_bytes() for name, path in parts.items()}
    into = tmp_path / "whole.scan"
    merged = sl.merge_scans([parts[name] for name in order], into)
    assert sl.load_scan(into) == merged
    assert set(merged.cells) == set(whole.cells)
    assert (merged.baseline, merged.ratios, merged.images) == (whole.baseline, RATIOS, IMAGES)
    if order[0] != "last":  # layers come in the order of the parts
        assert merged == whole
    assert {name: path.read_bytes() for name, path in parts.items()} == before


def test_merging_adds_to_a_file_and_a_scan_goes_on_from_it(
    tmp_path: Path, parts: dict[str, Path], part: Any, whole: sl.Sensitivity
) -> None:
    into = tmp_path / "whole.scan"
    half = sl.merge_scans([parts["first"]], into)
    assert half == sl.load_scan(parts["first"])
    assert sl.merge_scans([parts["last"]], into).exact
    assert sl.merge_scans([into, into], into).exact, "a file into itself changes nothing"
    assert part(into) == whole


def test_a_foreign_part_is_refused_and_nothing_is_written(
    tmp_path: Path, parts: dict[str, Path], part: Any
) -> None:
    foreign, into = tmp_path / "kl.scan", tmp_path / "deep" / "whole.scan"
    part(foreign, metric="kl", images=64)
    silent = tmp_path / "silent.scan"  # killed before it said what it measures
    Records(identity_of(parts["first"]), silent).close()
    damaged = tmp_path / "damaged.scan"
    damaged.write_bytes(parts["first"].read_bytes()[:9000])
    for wrong, named in (
        (foreign, "its metric differs"),
        (silent, "does not say what it measured"),
        (damaged, "is damaged"),
        (tmp_path / "nowhere.scan", "There is no scan"),
    ):
        for paths in ([parts["first"], wrong], [wrong, parts["first"]]):
            with pytest.raises(sl.ArtifactError, match=named):
                sl.merge_scans(paths, into)
            assert not into.parent.exists()
    before = foreign.read_bytes()
    with pytest.raises(sl.ArtifactError, match="its metric differs"):
        sl.merge_scans([parts["first"]], foreign)
    assert foreign.read_bytes() == before


def test_into_a_file_that_was_killed_at_once(tmp_path: Path, parts: dict[str, Path]) -> None:
    into = tmp_path / "silent.scan"
    Records(identity_of(parts["low"]), into).close()
    assert sl.merge_scans([parts["low"]], into) == sl.load_scan(parts["low"])
