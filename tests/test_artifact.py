"""Saved here, loaded elsewhere: bit-equal, without pickle, and nothing damaged gets through."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import paddle
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from topologies import TOPOLOGIES, example

import slimlab as sl

LOAD_ELSEWHERE = """
import sys
def refuse(event, args):
    if event == "pickle.find_class":
        raise RuntimeError(f"a pickle was opened: {args}")
import numpy as np, slimlab as sl
sys.addaudithook(refuse)
model = sl.load(sys.argv[1])
import paddle
x = paddle.to_tensor(np.load(sys.argv[2]))
with paddle.no_grad():
    np.save(sys.argv[3], model(x).numpy())
"""


@pytest.fixture(scope="module")
def small(digits: sl.Task, vgg: paddle.nn.Layer, vgg_graph: sl.Graph) -> paddle.nn.Layer:
    plan = sl.plan_pruning(vgg, vgg_graph, dict.fromkeys(vgg_graph.layers, 0.4))
    tuned, _ = sl.fine_tune(sl.prune(vgg, plan), digits, epochs=1, progress=False)
    return tuned


def test_pruned_and_fine_tuned_it_loads_bit_equal_in_a_fresh_process(
    small: paddle.nn.Layer, digits: sl.Task, tmp_path: Path
) -> None:
    folder = sl.save(small, tmp_path / "small")
    assert sorted(p.name for p in folder.iterdir()) == ["model.safetensors", "slimlab.json"]
    x, _ = next(iter(digits.test.batches(64)))
    np.save(tmp_path / "x.npy", x.numpy())
    subprocess.run(
        [sys.executable, "-c", LOAD_ELSEWHERE, folder, tmp_path / "x.npy", tmp_path / "y.npy"],
        check=True,
        timeout=300,
    )
    small.eval()
    with paddle.no_grad():
        expected = small(x).numpy()
    assert np.load(tmp_path / "y.npy").tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_a_network_of_ones_own_loads_into_its_constructor(name: str, tmp_path: Path) -> None:
    model = TOPOLOGIES[name]()
    model.eval()
    graph = sl.trace(model, example())
    small = sl.prune(model, sl.plan_pruning(model, graph, dict.fromkeys(graph.layers, 0.5)))
    sl.save(small, tmp_path / "m")
    again = sl.load(tmp_path / "m", model=TOPOLOGIES[name]())
    x = example(1, batch=2)
    assert bool((small(x) == again(x)).all())
    with pytest.raises(sl.ArtifactError, match=r"network of your own.*sl\.load\(folder, model="):
        sl.load(tmp_path / "m")


def test_loaded_it_can_be_pruned_saved_and_loaded_again(
    small: paddle.nn.Layer, digits: sl.Task, tmp_path: Path
) -> None:
    loaded = sl.load(sl.save(small, tmp_path / "one"))
    graph = sl.trace(loaded, digits.example)
    smaller = sl.prune(loaded, sl.plan_pruning(loaded, graph, dict.fromkeys(graph.layers, 0.5)))
    again = sl.load(sl.save(smaller, tmp_path / "two"))
    assert bool((smaller(digits.example) == again(digits.example)).all())
    assert sl.profile(again, digits.example).params < graph.params


def test_another_constructor_is_refused_with_the_first_difference(
    small: paddle.nn.Layer, digits: sl.Task, tmp_path: Path
) -> None:
    folder = sl.save(small, tmp_path / "m")
    with pytest.raises(sl.ArtifactError, match="first difference is in its layers"):
        sl.load(folder, model=sl.load_model("resnet20", digits))
    wider = sl.load_model("vgg", digits, pretrained=False, width=16)
    with pytest.raises(sl.ArtifactError, match=r"first difference is in its tensors.*weight"):
        sl.load(folder, model=wider)
    model = TOPOLOGIES["chain"]()
    sl.save(model, tmp_path / "toy")
    with pytest.raises(sl.ArtifactError, match=r"a\.2 ReLU there and a\.2 Hardswish here"):
        sl.load(tmp_path / "toy", model=TOPOLOGIES["hardswish"]())


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)
@given(data=st.data())
def test_anything_damaged_is_a_sentence(
    data: st.DataObject, small: paddle.nn.Layer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = sl.save(small, tmp_path_factory.mktemp("a") / "m")
    path = data.draw(st.sampled_from(sorted(folder.iterdir())))
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    how = data.draw(st.sampled_from(["cut", "flip", "gone"]))
    if how == "cut":
        path.write_bytes(content[:at])
    elif how == "flip":
        content[at] ^= 1 << data.draw(st.integers(0, 7))
        path.write_bytes(content)
    else:
        path.unlink()
    with pytest.raises(sl.ArtifactError) as caught:
        sl.load(folder)
    assert len(str(caught.value)) > 20


def test_an_edited_manifest_is_refused(small: paddle.nn.Layer, tmp_path: Path) -> None:
    folder = sl.save(small, tmp_path / "m")
    path = folder / "slimlab.json"
    manifest = json.loads(path.read_text())
    manifest["origin"]["kwargs"]["width"] = 64
    path.write_text(json.dumps(manifest))
    with pytest.raises(sl.ArtifactError, match="edited after it was written"):
        sl.load(folder)


def test_a_file_cut_in_half_is_named(small: paddle.nn.Layer, tmp_path: Path) -> None:
    folder = sl.save(small, tmp_path / "m")
    path = folder / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(sl.ArtifactError, match=r"model\.safetensors is damaged: it has .* of"):
        sl.load(folder)


def test_saving_twice_replaces_and_foreign_files_are_safe(
    small: paddle.nn.Layer, vgg: paddle.nn.Layer, digits: sl.Task, tmp_path: Path
) -> None:
    sl.save(vgg, tmp_path / "m")
    sl.save(small, tmp_path / "m")
    loaded = sl.load(tmp_path / "m")
    assert sl.profile(loaded, digits.example).params < sl.profile(vgg, digits.example).params
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    with pytest.raises(sl.ArtifactError, match="not SlimLab's"):
        sl.save(small, mine)
    with pytest.raises(sl.ArtifactError, match="is a file"):
        sl.save(small, mine / "thesis.txt")
    assert (mine / "thesis.txt").read_text() == "years of work"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m", "mine"]


def test_a_model_of_paddles_own_comes_back_by_name(tmp_path: Path) -> None:
    model = sl.load_model("squeezenet1_0", num_classes=4)
    again = sl.load(sl.save(model, tmp_path / "m"))
    x = paddle.randn([1, 3, 32, 32])
    assert bool((model(x) == again(x)).all())
