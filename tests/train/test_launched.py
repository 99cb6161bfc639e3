"""Workers of `paddle.distributed` (gloo) train what forked ones train, bit for bit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from compressing import same

import slimlab as sl
from slimlab import cli

RECIPE = """
version: 1
name: shared
model: {name: vgg}
task: {name: digits}
batch_size: 128
checkpoint: {steps: 2}
strategies:
  - {strategy: prune, method: sensitivity, macs: 0.4, scan: {images: 128, ratios: [0.3, 0.6]}}
  - {strategy: distill, end_epoch: 1, losses: [{loss: soft_label}], teachers: {a: {original: true}}}
  - {strategy: quantize, start_epoch: 1, end_epoch: 2}
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "shared.yaml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def forked():
    return sl.Compressor(sl.Recipe.from_yaml(RECIPE), workers=2).run(progress=False)


def test_the_same_bits_as_forked_workers(recipe, forked, tmp_path):
    run = ["run", str(recipe), "--quiet", "--checkpoint-dir", str(tmp_path / "run")]
    assert cli.main([*run, "--workers", "2", "--exchange", "paddle"]) == 0
    found = sl.load(tmp_path / "run" / "result" / "model")
    assert same(found, forked.model)
    history = (tmp_path / "run" / "result" / "report" / "history.csv").read_text()
    assert history == forked.history.to_frame().to_csv(index=False)
    assert len(list((tmp_path / "run" / "checkpoints").iterdir())) == 3
    assert (tmp_path / "run" / "workers" / "workerlog.1").exists()


@pytest.mark.slow
def test_a_killed_worker_ends_all_and_the_run_goes_on(recipe, forked, tmp_path):
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "slimlab.cli", "run", str(recipe), "--quiet"]
    command += ["--checkpoint-dir", str(folder), "--workers", "2", "--exchange", "paddle"]
    for victim in ("worker", "launcher"):
        with subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}) as child:
            known = len(list((folder / "checkpoints").glob("*")))
            while len(list((folder / "checkpoints").glob("[0-9]*"))) <= min(known, 2):
                time.sleep(0.1)
                assert child.poll() is None
            others = psutil.Process(child.pid).children(recursive=True)
            workers = [p for p in others if "slimlab.cli" in p.cmdline() and "launch" not in str(p)]
            launcher = [p for p in others if "paddle.distributed.launch" in p.cmdline()]
            chosen = {"worker": workers[-1], "launcher": launcher[0]}[victim]
            chosen.send_signal(signal.SIGKILL)
            assert child.wait() != 0
        while any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in others):
            time.sleep(0.1)
    assert subprocess.call(command) == 0
    assert same(sl.load(folder / "result" / "model"), forked.model)
