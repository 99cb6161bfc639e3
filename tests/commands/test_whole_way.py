"""From a terminal: prune, distil, quantize; a crash; then compare, scan, export and verify."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from compressing import same

import slimlab as sl

RECIPE = """
version: 1
name: whole way
model: {name: vgg}
task: {name: digits}
batch_size: 64
checkpoint: {steps: 2}
strategies:
  - {strategy: prune, method: sensitivity, macs: 0.4, scan: {images: 128, ratios: [0.3, 0.6]}}
  - strategy: distill
    end_epoch: 2
    teachers: {before: {original: true}}
    losses: [{loss: soft_label, student_temperature: 4.0, teacher_temperature: 4.0}]
    training: {learning_rate: 1e-3}
  - {strategy: quantize, start_epoch: 2, end_epoch: 3, training: {learning_rate: 1e-4}}
export: [onnx-int8]
"""
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def slimlab(*arguments: object, code: int = 0) -> tuple[str, str]:
    """Run a command to its end, and give what it wrote."""
    command = [sys.executable, "-m", "slimlab.cli", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout, done.stderr


def kill_in_the_middle(*arguments: object, folder: Path) -> None:
    """Kill a run with SIGKILL when it has written a few checkpoints of its training."""
    command = [sys.executable, "-m", "slimlab.cli", *map(str, arguments)]
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env=ENVIRONMENT, **pipes) as child:
        while len(list((folder / "checkpoints").glob("[0-9]*"))) < 3:
            assert child.poll() is None
            time.sleep(0.05)
        child.send_signal(signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_model_goes_the_whole_way(workers, tmp_path):
    recipe, folder = tmp_path / "mine.yaml", tmp_path / "run"
    recipe.write_text(RECIPE)
    run = ["run", recipe, "--checkpoint-dir", folder, "--workers", workers]
    kill_in_the_middle(*run, folder=folder)
    said, bar = slimlab(*run)
    epochs = [int(n) for n in re.findall(r"^Epoch (\d),", said, re.MULTILINE)]
    assert epochs in ([1, 2, 3], [2, 3]), "what lies behind is not trained again"
    assert re.search(r"whole way: 100%.*54/54", bar), "a bar that comes to its end"
    whole = sl.Compressor(sl.Recipe.from_yaml(RECIPE), output=tmp_path / "whole", workers=workers)
    expected = whole.run(progress=False)
    model = folder / "result" / "model"
    assert same(sl.load(model), expected.model)

    table, _ = slimlab("compare", "vgg", model, "--task", "digits", "--quiet")
    assert f"{expected.trial.scores['top1']:.2f}" in table
    assert str(expected.trial.profile.macs) in table
    scan = ["scan", "vgg", "--task", "digits", "--ratios", "0.5", "--images", "128"]
    table, bar = slimlab(*scan, "--file", tmp_path / "a.scan", "--csv", tmp_path / "a.csv")
    assert "100%" in bar
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 1 + len(table.splitlines()) - 2
    files = tmp_path / "files"
    said, bar = slimlab("export", model, files, "--task", "digits", "--format", "onnx-int8")
    assert "onnx-int8: " in bar, "how far it gets before the last line depends on the machine"
    assert (files / "model.onnx").read_bytes() == (
        folder / "result" / "onnx-int8" / "model.onnx"
    ).read_bytes()
    said, _ = slimlab("verify", files, model, "--task", "digits", "--quiet")
    assert "computes what the model computes" in said
    said, _ = slimlab("verify", files, "vgg", "--task", "digits", "--quiet", code=1)
    assert "does not compute" in said
    _, refused = slimlab("export", "vgg", files / "x", "--format", "onix", code=1)
    assert "'onnx'" in refused
