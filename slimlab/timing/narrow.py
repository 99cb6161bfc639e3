"""Floor 2. A table of times seen from a network that has been pruned: nothing is measured again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from slimlab.cost import Length
from slimlab.errors import PlanError
from slimlab.timing.table import TimeTable


def narrowed(times: TimeTable, groups: Mapping[str, int]) -> TimeTable:
    """The times of the network after pruning, from the same measurements.

    Parameters
    ----------
    times
        Of the network before pruning.
    groups
        Names of the groups that it still has, in its graph's order, to their channels now. Of
        a group that is not among them one channel is left, so that it can't be pruned.

    Raises
    ------
    PlanError
        For a group that this table does not know, or that has become wider.

    Examples
    --------
    >>> import slimlab as sl
    >>> from slimlab.timing import TimingSettings, narrowed
    >>> task = sl.load_task("digits")
    >>> model = sl.load_model("vgg", task)
    >>> graph = sl.trace(model, task.example)
    >>> few = TimingSettings(levels=2, runs=2, turns=1)
    >>> times = sl.measure_times(
    ...     model, graph, task.example, settings=few, cache=None, progress=False
    ... )
    >>> half = {group.name: group.width // 2 for group in graph.groups}
    >>> bool(abs(narrowed(times, half).predict({}) - times.predict(half)) < 1e-9)
    True
    """
    for name, count in groups.items():
        if count > times.groups.get(name, 0):
            msg = (
                f"Group {name!r} has {count} channels, and {times.groups.get(name, 'none')} in "
                "this table: it was measured on another network."
            )
            raise PlanError(msg, group=name, channels=count)
    names = list(times.groups)
    number = {name: n for n, name in enumerate(groups)}

    def moved(length: Length) -> Length:
        parts, constant = [], length.constant
        for group, each in length.per_group:
            if names[group] in number:
                parts.append((number[names[group]], each))
            else:
                constant += each
        return Length(constant, tuple(parts))

    layers = tuple(
        replace(one, inputs=moved(one.inputs), outputs=moved(one.outputs)) for one in times.layers
    )
    widths = {
        name: (count, *(k for k in times.widths[name] if k < count))
        for name, count in groups.items()
        if name in times.widths
    }
    return replace(times, layers=layers, widths=widths, groups=dict(groups), checks=())
