"""Floor 2. How long layers take by their widths on this machine, and what a network of them takes.

Knows shapes, runtimes and clocks; knows no accuracy and picks nothing.
"""

from __future__ import annotations

from slimlab.timing.cache import TimeCache, default_cache, machine
from slimlab.timing.clock import Clock, RuntimeClock
from slimlab.timing.layers import LayerShape, TimedLayer, timed_layers
from slimlab.timing.measure import iter_measure_times, measure_times
from slimlab.timing.narrow import narrowed
from slimlab.timing.settings import TimingSettings
from slimlab.timing.table import Check, LayerTimes, TimeTable

__all__ = [
    "Check",
    "Clock",
    "LayerShape",
    "LayerTimes",
    "RuntimeClock",
    "TimeCache",
    "TimeTable",
    "TimedLayer",
    "TimingSettings",
    "default_cache",
    "iter_measure_times",
    "machine",
    "measure_times",
    "narrowed",
    "timed_layers",
]
