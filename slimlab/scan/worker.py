"""Floor 3. What a Dask worker keeps of a scan and does for it. Imports `distributed`, so that it is
itself imported only when a cluster is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from threading import Lock
from typing import Any

import numpy as np
import paddle
from distributed import get_worker
from distributed.diagnostics.plugin import WorkerPlugin
from numpy.typing import NDArray

from slimlab.scan.blueprint import Blueprint
from slimlab.scan.meters import Chunk
from slimlab.scan.records import Key, Scores
from slimlab.scan.renewed import meter_of
from slimlab.scan.scoring import Scoring

Measured = tuple[Scores, list[Scores]]


class Site(WorkerPlugin):
    """A scan on one worker: the network and how images are scored, sent once.

    The scheduler keeps it and gives it to every worker that comes later too, so that a worker that
    dies takes nothing with it. Segments are compiled when the first cell needs them.

    Parameters
    ----------
    name
        Of the scan.
    blueprint
        The network and what is removed from it.
    scoring
        The metric, without data.
    """

    idempotent = True

    def __init__(self, name: str, blueprint: Blueprint, scoring: Scoring) -> None:
        self.name, self._blueprint, self._scoring = name, blueprint, scoring

    def setup(self, worker: Any) -> None:
        """Begin on a worker: it computes on as many threads as it was started with."""
        threads = int(worker.state.nthreads)
        self._lock = Lock()
        self._meter = meter_of(replace(self._blueprint, threads=threads))

    def teardown(self, worker: object) -> None:
        """Give the memory back."""
        del self._meter, self._blueprint

    def measure(
        self, start: int, images: NDArray[np.float32], labels: NDArray[np.int64], keys: list[Key]
    ) -> Measured:
        """Scores of the whole network, and of each cell, on a chunk of images."""
        tensor, chunk = paddle.to_tensor(labels), Chunk(start, images)
        with self._lock:  # a cell uses all threads of the worker
            whole = self._meter.whole(chunk)
            before = self._scoring.before(whole, tensor)
            after = [
                self._scoring.after(self._meter.pruned(chunk, *key), tensor, whole) for key in keys
            ]
        return before, after


def measure(
    name: str,
    start: int,
    images: NDArray[np.float32],
    labels: NDArray[np.int64],
    keys: Sequence[Key],
) -> Measured:
    """Measure cells on the worker that this runs on; `name` is that of its `Site`."""
    site: Site = get_worker().plugins[name]
    return site.measure(start, images, labels, list(keys))
