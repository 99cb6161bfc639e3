"""Floor 3. A scan whose cells are measured by Dask workers: processes here, or other machines.

The scheduler hands tasks to workers and hands them out again when a worker dies; what is known of
the scan stays in the process that asked for it, which writes every record itself. So the table is
that of a scan without workers. Knows no runtime and no metric.
"""

from __future__ import annotations

import secrets
import time
import warnings
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slimlab.errors import TaskError
from slimlab.loaders import ArrayLoader
from slimlab.scan.records import WHOLE, Key, Record
from slimlab.scan.scoring import Scoring
from slimlab.scan.setup import Setup
from slimlab.task import Task

AHEAD = 2  # tasks for each worker, so that none waits for the next one to be sent
# Dask gives an order up when four workers died with it in hand, be it only next in line; each of
# them may have been killed for reasons of its own.
TRIES = 3
PATIENCE = 0.5  # seconds between looks at a cluster from which nothing comes
DESERTED = 30.0  # seconds without any worker, after which that is said: one that died comes again


@dataclass(frozen=True, eq=False)
class Order:
    """Some cells to be measured on one chunk of images."""

    start: int
    images: NDArray[np.float32]
    labels: NDArray[np.int64]
    keys: tuple[Key, ...]
    tries: int = 1


class Crew:
    """The workers of a scan.

    Parameters
    ----------
    setup
        The scan.
    client
        A `distributed.Client`.

    Raises
    ------
    TaskError
        When it is something else, when its cluster has no worker, or when the scan is not one that
        runs on a fast runtime.
    """

    def __init__(self, setup: Setup, client: Any) -> None:
        import distributed

        if not isinstance(client, distributed.Client):
            msg = (
                f"client= is a {type(client).__name__}; it must be a distributed.Client, such as "
                "Client('tcp://scheduler:8786') or LocalCluster().get_client()."
            )
            raise TaskError(msg, found=type(client).__name__)
        if setup.meter.blueprint is None:
            msg = (
                "This scan runs in Paddle, which workers don't: leave out client=, or "
                "runtime='paddle'."
            )
            raise TaskError(msg)
        if not client.nthreads():
            msg = f"The cluster at {client.scheduler.address} has no worker: start one first."
            raise TaskError(msg, scheduler=client.scheduler.address)
        from slimlab.scan import worker

        self._client, self._work = client, worker.measure
        self._name = f"slimlab-scan-{secrets.token_hex(8)}"
        self._dtype = setup.board.dtype
        self._orders: dict[Any, Order] = {}
        self._left: float | None = None  # when it was seen that no worker is left
        self._told = False
        site = worker.Site(self._name, setup.meter.blueprint, without_data(setup.scoring))
        client.register_plugin(site)

    def __len__(self) -> int:
        """Workers that there are now."""
        return max(1, len(self._client.nthreads()))  # all may just have died, and come again

    @property
    def waiting(self) -> int:
        """Orders that have no answer yet."""
        return len(self._orders)

    def give(self, order: Order) -> None:
        """Have cells measured."""
        args = (self._name, order.start, order.images, order.labels, order.keys)
        future = self._client.submit(self._work, *args, pure=False, priority=-order.start)
        self._orders[future] = order

    def answers(self) -> Iterator[tuple[Record, ...]]:
        """Records of orders that are over, the whole network's first; waits, but not for long.

        Raises
        ------
        TaskError
            When workers die of an order again and again.
        """
        import distributed

        try:
            asked = {"timeout": PATIENCE, "return_when": "FIRST_COMPLETED"}
            over = set(distributed.wait(list(self._orders), **asked).done)
        except distributed.TimeoutError:
            self._look()
            return
        except distributed.CancelledError:
            over = {future for future in self._orders if future.cancelled()}
        self._left = None
        for future in over:
            order = self._orders.pop(future)
            if future.cancelled():  # the cluster was restarted
                self.give(order)
            else:
                yield self._records(order, future)

    def close(self) -> None:
        """Take back what is not measured yet, and let the workers forget the scan."""
        self._client.cancel(list(self._orders))
        self._orders.clear()
        self._client.unregister_worker_plugin(self._name)

    def _look(self) -> None:
        """Say once that no worker is left, when none has come for a while."""
        if self._client.nthreads():
            self._left = None
            return
        now = time.monotonic()
        if self._left is None:
            self._left = now
        if now - self._left >= DESERTED and not self._told:
            self._told = True
            address = self._client.scheduler.address
            msg = (
                f"The cluster at {address} has no worker any more, and the scan waits: start one, "
                "and it goes on; stop it, and it keeps what is measured."
            )
            warnings.warn(msg, stacklevel=2)

    def _records(self, order: Order, future: Any) -> tuple[Record, ...]:
        import distributed

        try:
            before, after = future.result()
        except distributed.KilledWorker as error:
            if order.tries < TRIES:
                self.give(replace(order, tries=order.tries + 1))
                return ()
            layer = order.keys[0][0]
            msg = (
                f"Workers died again and again while they measured {layer!r}: {error} Give each "
                "of them more memory, or the scan less with memory=."
            )
            raise TaskError(msg, layer=layer) from error
        scores = zip((WHOLE, *order.keys), (before, *after), strict=True)
        return tuple(Record(key, self._dtype, order.start, values) for key, values in scores)


def measured_by(client: Any, setup: Setup) -> Generator[Record | None, None, None]:
    """Have all measured that is wanted, record by record; None while nothing comes.

    With `precision=` or `decide=`, what the next chunk is measured for depends on this one, so that
    chunks come one after the other and each is shared by all workers. Otherwise only the first is,
    since its cells are the first picture; later ones go to one worker each as long as there are
    many.
    """
    crew = Crew(setup, client)
    in_turn = setup.wants.stops_early
    try:
        for start, images, labels in setup.chunks():
            stop = start + len(images)
            hands = AHEAD * len(crew)
            left = -(-(setup.wants.images - start) // setup.batch)
            parts = hands if in_turn or start == 0 else -(-hands // left)
            for keys in shared(setup.wanting(start, stop), parts):
                crew.give(Order(start, images, labels.numpy(), keys))
            while crew.waiting > (0 if in_turn else hands):
                yield from _new(setup, crew.answers())
        while crew.waiting:
            yield from _new(setup, crew.answers())
    finally:
        crew.close()


def _new(setup: Setup, answers: Iterator[tuple[Record, ...]]) -> Iterator[Record | None]:
    """Records of which nothing is known yet; None when there is no answer."""
    some = False
    for records in answers:
        some = True
        for record in records:
            stop = record.start + len(record.scores)
            if record.key != WHOLE or not setup.board.has(WHOLE, record.start, stop):
                yield record
    if not some:
        yield None


def shared(keys: Sequence[Key], parts: int) -> list[tuple[Key, ...]]:
    """Deal cells out; those of a layer stay together as long as there are layers enough."""
    layers = list(dict.fromkeys(layer for layer, _ in keys))
    if parts > len(layers):
        dealt = [tuple(keys[n::parts]) for n in range(parts)]
    else:
        hands = [set(layers[n::parts]) for n in range(parts)]
        dealt = [tuple(key for key in keys if key[0] in hand) for hand in hands]
    return [part for part in dealt if part]


def without_data(scoring: Scoring) -> Scoring:
    """What scores images, for another process: of the task only its name and classes."""
    task = scoring.task
    nothing = ArrayLoader(np.zeros([1, 1, 1, 1], np.float32), np.zeros([1], np.int64))
    bare = Task(task.name, nothing, nothing, nothing, task.num_classes)
    return replace(scoring, task=bare)
