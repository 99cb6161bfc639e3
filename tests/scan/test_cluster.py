"""A scan on Dask workers gives the table of a scan without them, whatever happens to a worker."""

from __future__ import annotations

import itertools
import os
import random
import signal
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import distributed
import paddle
import pytest
from hypothesis import given
from hypothesis import strategies as st

import slimlab as sl
from slimlab.scan import cluster, setup
from slimlab.scan.cluster import shared

ASKED: dict[str, Any] = {"ratios": [0.4, 0.8], "images": 150}
STEPS = 10 * 2 * 7  # chunks of 300 images, ratios, layers


@pytest.fixture(scope="module", autouse=True)
def small_chunks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setup, "MOST", 32)  # five chunks
        yield


def local_cluster(workers: int) -> distributed.LocalCluster:
    where = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    return distributed.LocalCluster(n_workers=workers, threads_per_worker=1, **where)


@pytest.fixture(scope="module")
def client() -> Iterator[distributed.Client]:
    """Give a cluster of two processes of this machine."""
    with (
        local_cluster(2) as here,
        here.get_client() as client,
    ):
        yield client


def no_scan_is_left(client: distributed.Client) -> bool:
    """Whether neither the scheduler nor a worker keeps anything of a scan."""
    kept = client.run(lambda dask_worker: [n for n in dask_worker.plugins if "slimlab" in n])
    return not any(kept.values())


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"metric": "kl"},
        {"metric": "loss", "images": 70},
        {"precision": 6.0, "images": 300},
        {"recalibrate_bn": 64, "images": 60},
    ],
    ids=str,
)
def test_the_table_is_that_of_one_process(
    client: distributed.Client, vgg: paddle.nn.Layer, digits: sl.Task, more: dict[str, Any]
) -> None:
    asked = {**ASKED, **more}
    alone = sl.scan_sensitivity(vgg, digits, progress=False, **asked)
    steps = list(sl.iter_scan_sensitivity(vgg, digits, client=client, **asked))
    assert steps[-1].item == alone
    assert steps[-1].done == steps[-1].total
    assert all(a.done <= b.done for a, b in itertools.pairwise(steps))
    assert no_scan_is_left(client)


def started(dask_worker: distributed.Nanny) -> bool:
    """Whether the process that looks after a worker has seen it at work."""
    return bool(dask_worker.status.name == "running")


@pytest.mark.parametrize("kills", [2, pytest.param(6, marks=pytest.mark.slow)])
def test_killed_workers_cells_are_measured_again(
    client: distributed.Client, vgg: paddle.nn.Layer, digits: sl.Task, tmp_path: Path, kills: int
) -> None:
    path = tmp_path / "a.scan"
    asked = {**ASKED, "images": 300}
    alone = sl.scan_sensitivity(vgg, digits, progress=False, **asked)
    # In the first half: workers are done before the last answers are read.
    moments = sorted(random.Random(0).sample(range(1, STEPS // 2), kills))
    killed, last, done = set(), None, []
    for step in sl.iter_scan_sensitivity(vgg, digits, client=client, path=path, **asked):
        last = step
        if not done or step.done > done[-1]:  # it got on, and is not only waiting for workers
            done.append(step.done)
            if len(killed) == kills or len(done) < moments[len(killed)]:
                continue
            # Dask starts no worker again that dies while it is being started.
            alive = client.run(started, nanny=True, on_error="ignore")
            busy = [name for name, keys in client.processing().items() if keys and alive.get(name)]
            if not busy:
                continue
            # One that was killed just now may still be on the scheduler's list, and can't answer.
            found = client.run(os.getpid, workers=busy[:1], on_error="ignore")
            for pid in set(found.values()) - killed:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
    assert len(killed) == kills, "the scan was over before its workers could be killed"
    assert last is not None
    assert last.item == alone
    assert sl.load_scan(path) == alone
    client.wait_for_workers(2)
    assert not killed.intersection(client.run(os.getpid).values())
    assert no_scan_is_left(client)


def test_it_says_that_no_worker_is_left_and_goes_on_when_one_comes(
    vgg: paddle.nn.Layer, digits: sl.Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "DESERTED", 0.0)
    alone = sl.scan_sensitivity(vgg, digits, progress=False, **ASKED)
    with local_cluster(1) as here, here.get_client() as client:
        steps = sl.iter_scan_sensitivity(vgg, digits, client=client, **ASKED)
        while not next(steps).done:
            pass
        here.scale(0)
        while client.nthreads():
            time.sleep(0.05)
        with pytest.warns(UserWarning, match=r"no worker any more.*goes on.*keeps what is") as said:
            next(step for step in steps if said.list)
        here.scale(1)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # it says so once
            last = list(steps)[-1]
        assert last.item == alone


def test_stopped_it_keeps_what_has_come_and_goes_on(
    client: distributed.Client, vgg: paddle.nn.Layer, digits: sl.Task, tmp_path: Path
) -> None:
    path = tmp_path / "a.scan"
    steps = sl.iter_scan_sensitivity(vgg, digits, client=client, path=path, **ASKED)
    while next(steps).cells < 3:
        pass
    part = sl.finish_early(steps)
    assert not part.exact
    assert sl.load_scan(path) == part
    assert no_scan_is_left(client)
    alone = sl.scan_sensitivity(vgg, digits, progress=False, **ASKED)
    assert sl.scan_sensitivity(vgg, digits, path=path, progress=False, **ASKED) == alone


def test_a_users_metric_goes_along(
    client: distributed.Client, vgg: paddle.nn.Layer, digits: sl.Task
) -> None:
    factor = 3.0
    mine = sl.Metric("mine", lambda logits, _: factor * logits.max(axis=1), unit="", scale=1.0)
    task = replace(digits, metrics=(mine,))
    asked = {"ratios": [0.8], "images": 40, "progress": False}
    alone = sl.scan_sensitivity(vgg, task, **asked)
    assert sl.scan_sensitivity(vgg, task, client=client, **asked) == alone
    broken = sl.Metric("broken", lambda logits, _: logits.max(axis=1) * float("nan"))
    with pytest.raises(sl.TaskError, match="Metric 'broken' gave nan"):
        sl.scan_sensitivity(vgg, replace(digits, metrics=(broken,)), client=client, **asked)
    assert no_scan_is_left(client)


def test_what_can_not_be_spread_is_a_sentence(
    client: distributed.Client, vgg: paddle.nn.Layer, digits: sl.Task
) -> None:
    asked = {"progress": False, **ASKED}
    with pytest.raises(sl.TaskError, match=r"client= is a str; it must be a distributed\.Client"):
        sl.scan_sensitivity(vgg, digits, client="tcp://127.0.0.1:8786", **asked)
    with pytest.raises(sl.TaskError, match="runs in Paddle, which workers don't"):
        sl.scan_sensitivity(vgg, digits, client=client, runtime="paddle", **asked)
    with (
        local_cluster(0) as empty,
        empty.get_client() as alone,
        pytest.raises(sl.TaskError, match="has no worker: start one first"),
    ):
        sl.scan_sensitivity(vgg, digits, client=alone, **asked)


@given(layers=st.lists(st.integers(1, 5), min_size=1, max_size=20), parts=st.integers(1, 100))
def test_cells_are_dealt_out_once_each(layers: list[int], parts: int) -> None:
    keys = [(f"layer{n}", r / 10) for n, count in enumerate(layers) for r in range(count)]
    dealt = shared(keys, parts)
    assert sorted(key for part in dealt for key in part) == sorted(keys)
    assert len(dealt) == min(parts, len(keys))
    if parts <= len(layers):
        owners = [{layer for layer, _ in part} for part in dealt]
        assert sum(map(len, owners)) == len(layers), "a layer's segment is compiled once"


def test_nothing_is_left_out_while_there_is_no_worker(
    client: distributed.Client,
    vgg: paddle.nn.Layer,
    digits: sl.Task,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All may have died at once and be on their way back when a chunk is dealt out."""
    alone = sl.scan_sensitivity(vgg, digits, progress=False, **ASKED)
    steps = sl.iter_scan_sensitivity(vgg, digits, client=client, **ASKED)
    while next(steps).done == 0:
        pass
    monkeypatch.setattr(client, "nthreads", dict)
    assert list(steps)[-1].item == alone
