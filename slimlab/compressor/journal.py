"""Floor 4. A history as arrays, so that checkpoints of long runs stay small and quick to write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from slimlab.train import History, Record
from slimlab.train.snapshot import Arrays

COLUMNS = ("step", "epoch", "loss", "learning_rate", "metric")


def history_arrays(history: History) -> tuple[list[list[str]], Arrays]:
    """Give a history as JSON and arrays.

    Returns
    -------
    kinds, arrays
        Each set of names that a record's parts have; a column for each field (NaN for None), the
        index of each record's set of names, and all parts one after the other.

    Examples
    --------
    >>> import slimlab as sl
    >>> from slimlab.compressor.journal import history_arrays, history_from
    >>> from slimlab.train import Record
    >>> history = sl.History((Record(1, 0.5, 2.0, 0.1, parts=(("task", 2.0),)),))
    >>> history_from(*history_arrays(history)) == history
    True
    """
    kinds: dict[tuple[str, ...], int] = {}
    kind = [kinds.setdefault(tuple(n for n, _ in r.parts), len(kinds)) for r in history.records]
    arrays: Arrays = {
        name: np.array(
            [np.nan if (v := getattr(r, name)) is None else v for r in history.records],
            dtype=np.int64 if name == "step" else np.float64,
        )
        for name in COLUMNS
    }
    arrays["kind"] = np.array(kind, dtype=np.int64)
    arrays["parts"] = np.array([v for r in history.records for _, v in r.parts], dtype=np.float64)
    return [list(names) for names in kinds], arrays


def history_from(kinds: Sequence[Sequence[str]], arrays: Mapping[str, Any]) -> History:
    """Read what `history_arrays` gave.

    Raises
    ------
    TypeError, ValueError
        When `kinds` are no lists of names, or not those of the records.
    """
    if not all(isinstance(names, list) and all(map(_is_name, names)) for names in kinds):
        msg = "the parts of the losses are no lists of names"
        raise TypeError(msg)
    columns = [arrays[name].tolist() for name in COLUMNS]
    values, records, used = arrays["parts"].tolist(), [], 0
    for step, epoch, loss, rate, metric, kind in zip(
        *columns, arrays["kind"].tolist(), strict=True
    ):
        names = kinds[kind]
        parts = tuple(zip(names, values[used : used + len(names)], strict=True))
        used += len(names)
        records.append(Record(step, epoch, _or_none(loss), rate, _or_none(metric), parts))
    if used != len(values) or set(arrays["kind"].tolist()) != set(range(len(kinds))):
        msg = "the parts of the losses are not those of the records"
        raise ValueError(msg)
    return History(tuple(records))


def _is_name(value: object) -> bool:
    return isinstance(value, str)


def _or_none(number: float) -> float | None:
    return None if np.isnan(number) else number
