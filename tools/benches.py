"""Cells for notebooks of tests and benchmarks: networks with a workbench on them."""

from __future__ import annotations

# Drops of a known shape, so that nothing has to be measured: early layers lose more than late ones.
MEASURED = """
import math
from slimlab.scan.setup import fingerprint
from slimlab.sensitivity import Fingerprint

def measured(model, graph, ratios, baseline=96.4):
    cells = []
    for n, layer in enumerate(graph.layers):
        worst = 70 * (1 - n / len(graph.layers)) + 6 + 5 * math.sin(3 * n)
        for ratio in ratios:
            drop = worst * ratio ** 3
            cells.append(sl.Cell(layer, ratio, baseline - drop, drop, drop - 1.5, drop + 1.5, 359))
    return sl.Sensitivity(
        cells=tuple(cells), layers=graph.layers, ratios=tuple(ratios), baseline=baseline,
        metric="top1", unit="%", criterion="l1_norm", images=359,
        fingerprint=Fingerprint(fingerprint(model), task.fingerprint()),
    )
"""
# The network of the quickstart.
SMALL = f"""
import slimlab as sl, slimlab_widgets as slw
{MEASURED}
task = sl.load_task("digits")
model = sl.load_model("resnet20", task)
graph = sl.trace(model, task.example)
scan = measured(model, graph, [n / 10 for n in range(1, 10)])
bench = slw.Workbench(model, task, graph=graph, sensitivity=scan)
bench
"""
CLASS = """
import slimlab as sl, slimlab_widgets as slw
from paddle import nn

class Deep(nn.Layer):
    def __init__(self, layers):
        super().__init__()
        widths = [1] + [16] * layers
        pairs = [[nn.Conv2D(a, b, 3, padding=1), nn.ReLU()] for a, b in zip(widths, widths[1:])]
        self.body = nn.Sequential(*sum(pairs, []))
        self.head = nn.Sequential(nn.AdaptiveAvgPool2D(1), nn.Flatten(), nn.Linear(16, 10))

    def forward(self, x):
        return self.head(self.body(x))

task = sl.load_task("digits")
"""


def deep(layers: int, *, scanned: bool) -> str:
    """A cell with a network of so many prunable layers, scanned or not.

    Examples
    --------
    >>> from benches import deep
    >>> "model = Deep(50)" in deep(50, scanned=True)
    True
    """
    if not scanned:
        return f"{CLASS}\nbench = slw.Workbench(Deep({layers}), task)\nbench\n"
    return f"""{CLASS}{MEASURED}
model = Deep({layers})
graph = sl.trace(model, task.example)
scan = measured(model, graph, [n / 10 for n in range(1, 10)])
bench = slw.Workbench(model, task, graph=graph, sensitivity=scan)
bench
"""
