"""After pruning a network of one's own is an ordinary one: saved, reloaded, copied, exported."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest
from contract import difference, shrink, train
from topologies import randomise_statistics

import slimlab as sl

# What a user's own file could look like: nothing of it is known here.
SOURCE = """
import paddle
from paddle import nn


class Block(nn.Layer):
    def __init__(self, into, out):
        super().__init__()
        self.conv = nn.Conv2D(into, out, 3, padding=1)
        self.norm = nn.BatchNorm2D(out)
        self.gate = nn.Linear(out, out)

    def forward(self, x):
        y = nn.functional.relu(self.norm(self.conv(x)))
        b, c = y.shape[:2]
        gate = nn.functional.sigmoid(self.gate(y.mean([2, 3]))).reshape([b, c, 1, 1])
        return paddle.concat([y * gate, x], axis=1)


class Net(nn.Layer):
    def __init__(self, width=12, classes=4):
        super().__init__()
        self.first = nn.Conv2D(3, 8, 3, padding=1)
        self.blocks = nn.Sequential(Block(8, width), Block(8 + width, 10))
        self.head = nn.Linear(18 + width, classes)

    def forward(self, x):
        return {"scores": self.head(self.blocks(self.first(x)).mean([2, 3]))}
"""
ELSEWHERE = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np, paddle
import slimlab as sl
import slimlab.grouping, slimlab.trace

def refuse(*args, **kwargs):
    raise RuntimeError("reloading must need neither a trace nor a scan")

sl.trace = slimlab.grouping.trace = slimlab.grouping.trace_program = refuse
slimlab.trace.trace_program = sl.scan_sensitivity = refuse
from mine import Net

model = sl.load(sys.argv[2], model=Net())
x = paddle.to_tensor(np.load(sys.argv[3]))
with paddle.no_grad():
    np.save(sys.argv[4], model(x)["scores"].numpy())
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give the module that a user wrote, importable under its own name."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "mine.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path / "code"))
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    import mine  # type: ignore[import-not-found]

    return mine


def pruned(mine: Any) -> tuple[paddle.nn.Layer, paddle.Tensor]:
    model, x = randomise_statistics(mine.Net()), paddle.randn([1, 3, 8, 8])
    _, small = shrink(model, x, seed=3)
    return small, x


def test_it_reloads_in_a_fresh_process_without_trace_or_scan(mine: Any, tmp_path: Path) -> None:
    small, x = pruned(mine)
    folder = sl.save(small, tmp_path / "small")
    np.save(tmp_path / "x.npy", x.numpy())
    places = [tmp_path / "code", folder, tmp_path / "x.npy", tmp_path / "y.npy"]
    subprocess.run([sys.executable, "-c", ELSEWHERE, *places], check=True, timeout=300)
    with paddle.no_grad():
        assert np.load(tmp_path / "y.npy").tobytes() == small(x)["scores"].numpy().tobytes()


def test_another_constructor_or_an_edited_file_is_refused_by_name(
    mine: Any, tmp_path: Path
) -> None:
    small, _ = pruned(mine)
    folder = sl.save(small, tmp_path / "small")
    with pytest.raises(sl.ArtifactError, match=r"first difference .*blocks\.0\.conv\.weight"):
        sl.load(folder, model=mine.Net(width=16))
    with pytest.raises(sl.ArtifactError, match=r"first difference .*head\.weight"):
        sl.load(folder, model=mine.Net(classes=5))
    edited = SOURCE.replace("nn.BatchNorm2D(out)", "nn.InstanceNorm2D(out)")
    (tmp_path / "code" / "edited.py").write_text(edited, encoding="utf-8")
    import edited as changed  # type: ignore[import-not-found]

    with pytest.raises(sl.ArtifactError, match=r"blocks\.0\.norm BatchNorm2D there"):
        sl.load(folder, model=changed.Net())


def test_a_deep_copy_is_a_network_of_its_own(mine: Any) -> None:
    small, x = pruned(mine)
    twin = copy.deepcopy(small)
    assert difference(small, twin, x) == 0
    before = small(x)["scores"].numpy().copy()
    train(twin, x)
    assert (small(x)["scores"].numpy() == before).all()
    assert difference(small, twin, x) > 0
    shapes = {n: list(t.shape) for n, t in small.state_dict().items()}
    assert shapes == {n: list(t.shape) for n, t in twin.state_dict().items()}


def test_pruned_again_saved_and_exported(mine: Any, tmp_path: Path) -> None:
    small, x = pruned(mine)
    _, smaller = shrink(small, x, seed=4)
    again = sl.load(sl.save(smaller, tmp_path / "smaller"), model=mine.Net())
    assert difference(smaller, again, x) == 0
    spec = paddle.static.InputSpec(x.shape, x.dtype)
    static = paddle.jit.to_static(again, full_graph=True, input_spec=[spec])
    paddle.jit.save(static, str(tmp_path / "exported"))
    exported = paddle.jit.load(str(tmp_path / "exported"))
    with paddle.no_grad():
        (found,) = paddle.utils.flatten(exported(x))
    assert np.abs(found.numpy() - smaller(x)["scores"].numpy()).max() < 1e-5
