"""Plain data with a few odd places: for all that reads what others may have written."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st


def places(value, path=()):
    """Every place in plain data."""
    found = [path] if path else []
    if isinstance(value, dict):
        found += [p for k, v in value.items() for p in places(v, (*path, k))]
    if isinstance(value, list):
        found += [p for i, v in enumerate(value) for p in places(v, (*path, i))]
    return found


def parent(data, path):
    for key in path[:-1]:
        data = data[key]
    return data


odd = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=True), st.text(max_size=8),
    st.sampled_from([[], {}, [[]], {"": 1}, 10**30, -1, 0, 1e308, 5e-324, "l2", "prune", "x" * 600,
                     [0, 1], [[0, 1]], {"name": "vgg"}, "((", "\ud7ff", ["a", "b"], [None]]),
)  # fmt: skip


@st.composite
def mutations(draw: Any, original: Any) -> Any:
    """Give data with a few keys dropped, renamed, doubled, moved, or of other values."""
    data = copy.deepcopy(original)
    for _ in range(draw(st.integers(1, 3))):
        here = places(data)
        if not here:
            break
        path = draw(st.sampled_from(here))
        holder, key = parent(data, path), path[-1]
        kind = draw(st.sampled_from(["drop", "rename", "replace", "replace", "graft"]))
        if kind == "drop":
            del holder[key]
        elif kind == "rename" and isinstance(holder, dict):
            new = key[:-1] if draw(st.booleans()) else draw(st.text(max_size=6))
            holder[new] = holder.pop(key)
        elif kind == "graft":
            holder[key] = copy.deepcopy(parent(data, draw(st.sampled_from(here))[:1])).copy()
        else:
            holder[key] = copy.deepcopy(draw(odd))
    return data
