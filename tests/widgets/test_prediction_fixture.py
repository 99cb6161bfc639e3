"""The browser's predictions against the core's: both sides read one committed file.

Here the file is held against the core; `widgets/js/test/cost.test.ts` holds it against the page.
To write it anew after a change of the core: `python tests/widgets/test_prediction_fixture.py`.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import paddle
from paddle import nn

import slimlab as sl
from slimlab.cost import Length
from slimlab.sensitivity import Fingerprint
from slimlab.timing import LayerTimes, TimeTable
from slimlab_widgets import views
from slimlab_widgets.timesview import times_view

FIXTURE = Path(__file__).parent / "fixtures" / "predictions.json"


class Toy(nn.Layer):
    """Convolution, depthwise, residual addition, flatten: every kind of factor in the cost."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2D(1, 10, 3, padding=1)
        self.depthwise = nn.Conv2D(10, 10, 3, padding=1, groups=10)
        self.inner = nn.Conv2D(10, 15, 1)
        self.back = nn.Conv2D(15, 10, 1)
        self.last = nn.Conv2D(10, 7, 3, padding=1)
        self.head = nn.Linear(7 * 16, 4)

    def forward(self, x):
        x = self.depthwise(self.stem(x))
        x = x + self.back(nn.functional.relu(self.inner(x)))
        return self.head(self.last(x).flatten(1))


def sensitivity(layers):
    rng = np.random.default_rng(5)
    grid = (0.1, 0.3, 0.5, 0.7, 0.9)
    cells = []
    for number, layer in enumerate(layers[:-1]):  # the last layer is not measured yet
        for ratio in grid[: 5 - number % 2]:
            drop = float(40 * ratio**2 * (number + 1) / len(layers) + rng.normal(0, 3))
            cells.append(sl.Cell(layer, ratio, 90 - drop, drop, drop - 1, drop + 1, 100))
    own = Fingerprint("m", "t")
    return sl.Sensitivity(tuple(cells), tuple(layers), grid, 90.0, "top1", "%", "l1_norm", 100, own)


def times(graph):
    """Tables of all shapes: both widths free, one of them, none; not every width measured."""
    rng = np.random.default_rng(7)
    widths = dict(zip(graph.cost.groups, graph.cost.widths, strict=True))
    whole = list(widths.values())
    layers = []
    for number, (name, width) in enumerate(widths.items()):
        before = number - 1
        read = (1, whole[before] // 2, whole[before]) if number else (3,)
        inputs = Length(0, ((before, 1),)) if number else Length(3)
        made = (1, 4, width)
        ms = np.sort(rng.uniform(0.1, 2.0, (len(read), len(made))), axis=None)
        outputs = Length(0, ((number, 1),))
        shape = (len(read), len(made))
        layers.append(LayerTimes(name, inputs, outputs, read, made, ms.reshape(shape)))
    joined = Length(2, ((0, 2), (1, 16)))
    layers.append(LayerTimes("head", joined, Length(4), (9, 99), (4,), np.array([[0.3], [0.7]])))
    kept = {name: (width, 1) for name, width in widths.items()}
    return TimeTable(tuple(layers), kept, widths, 0.25, 0.9, (), "clock", "machine")


def predictions():
    paddle.seed(0)
    graph = sl.trace(Toy(), paddle.zeros([1, 1, 4, 4]))
    scanned, timed = sensitivity(graph.layers), times(graph)
    rng = np.random.default_rng(6)
    picks = [{}, *({n: float(r) for n in graph.layers} for r in (0.05, 0.25, 0.5, 0.75, 0.95))]
    for _ in range(20):
        picks.append({n: round(float(rng.uniform(0, 0.95)), 2) for n in graph.layers})
    return {
        "cost": graph.cost.to_dict(),
        "curves": views.curves_view(scanned),
        "times": times_view(timed),
        "cases": [
            {"ratios": p, "preview": views.preview_view(sl.preview(graph, p, scanned, timed))}
            for p in picks
        ],
    }


def rounded(value):
    """Without the last digits, in which processors differ."""
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [rounded(one) for one in value]
    return round(value, 9) if isinstance(value, float) else value


def test_the_committed_file_is_what_the_core_gives():
    found = json.loads(json.dumps(predictions()))
    assert rounded(json.loads(FIXTURE.read_text())) == rounded(found)


if __name__ == "__main__":
    FIXTURE.write_text(json.dumps(predictions(), indent=1) + "\n")
