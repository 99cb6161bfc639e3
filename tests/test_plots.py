"""Pictures hold what the tables hold. How they look was looked at."""

from __future__ import annotations

import sys
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from clocks import StairClock
from matplotlib.figure import Figure
from tables import table, trial
from topologies import TOPOLOGIES, example

import slimlab as sl
from slimlab.train import Record


def is_a_picture(figure: Figure) -> bool:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=40)
    return buffer.getvalue().startswith(b"\x89PNG")


def test_curves_show_each_layer_and_the_chosen_ratio() -> None:
    scan = table({"a": [1.0, 3.0], "b": [0.0, 20.0]}, (0.2, 0.4))
    figure = sl.plots.sensitivity_curves(scan, {"b": 0.3})
    axes = figure.axes[0]
    lines = {line.get_label(): line for line in axes.lines}
    np.testing.assert_allclose(lines["a"].get_ydata(), [90, 89, 87], atol=1e-6)
    np.testing.assert_allclose(lines["b"].get_xdata(), [0, 0.2, 0.4])
    chosen = [line for line in axes.lines if line.get_marker() == "D"]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in chosen] == [
        (0.3, pytest.approx(80))
    ]
    assert is_a_picture(figure)


def test_a_unit_stands_in_brackets_without_the_space_that_parts_it_from_numbers() -> None:
    scan = replace(table({"a": [1.0]}, (0.5,)), metric="kl", unit=" nats")
    assert sl.plots.sensitivity_curves(scan).axes[0].get_ylabel() == "kl (nats) on test images"


def test_many_layers_are_not_all_coloured() -> None:
    drops = {f"layer{n}": [n / 10, n / 2] for n in range(50)}
    figure = sl.plots.sensitivity_curves(table(drops, (0.2, 0.4)))
    named = [t.get_text() for t in figure.legends[0].get_texts()]
    assert named == [f"layer{n}" for n in range(44, 50)]
    assert "44 more in grey" in figure.legends[0].get_title().get_text()


def test_a_drop_not_told_from_zero_is_hollow() -> None:
    scan = table({"a": [0.5, 5.0]}, (0.2, 0.4))  # intervals of one point either way
    points = [x for x in sl.plots.sensitivity_curves(scan).axes[0].lines if x.get_marker() == "o"]
    assert [p.get_markerfacecolor() == "white" for p in points] == [True, False]


def test_a_preview_says_so_until_the_last_cell_is_exact() -> None:
    exact = table({"a": [1.0, 3.0]}, (0.2, 0.4))
    rough = [replace(cell, dtype="bfloat16") for cell in exact.cells]
    for cells, words in (
        (exact.cells, "100 images; hollow"),
        ((rough[0], exact.cells[1]), "; partly preview in bfloat16\nhollow"),
        (tuple(rough), "; preview in bfloat16\nhollow"),
    ):
        title = sl.plots.sensitivity_curves(replace(exact, cells=cells)).axes[0].get_title()
        assert words in title


def test_the_staircase_shows_every_width_and_where_pruning_buys_nothing() -> None:
    model, x = TOPOLOGIES["chain"](), example()
    few = sl.TimingSettings(batch=1, levels=3, last=0.75, grain=1)
    clock = StairClock(step=2, odd=4)  # of 8, 6, 4 and 2 channels, 6 and 2 take three times as long
    times = sl.measure_times(
        model, sl.trace(model, x), x, settings=few, cache=None, clock=clock, progress=False
    )
    stairs = times.staircase("a.0")
    figure = sl.plots.time_staircase(times, "a.0")
    points = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert [p.get_xdata()[0] for p in points] == stairs["kept"].tolist() == [2, 4, 6, 8]
    assert [p.get_ydata()[0] for p in points] == stairs["ms"].tolist()
    hollow = [p.get_xdata()[0] for p in points if p.get_markerfacecolor() == "white"]
    assert hollow == [k for k, ms in zip(stairs["kept"], stairs["ms"], strict=True)
                      if (stairs["ms"][stairs["kept"] > k] <= ms).any()]  # fmt: skip
    assert 6 in hollow
    assert is_a_picture(figure)
    with pytest.raises(sl.PlanError, match="were not measured"):
        sl.plots.time_staircase(times, "fc")


def test_empty_results_say_so() -> None:
    empty = replace(table({"a": [1.0]}, (0.2,)), cells=())
    for figure in (sl.plots.sensitivity_curves(empty), sl.plots.training_history(sl.History())):
        assert "yet" in figure.axes[0].texts[0].get_text()
        assert is_a_picture(figure)


def test_widths_before_and_after() -> None:
    graph = sl.trace(TOPOLOGIES["chain"](), example())
    figure = sl.plots.pruned_widths(graph, {"a.0": 0.5})
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert heights == [8, 12, 4, 12]
    assert is_a_picture(figure)


def test_history_shows_loss_and_metric() -> None:
    records = (
        Record(0, 0.0, None, 0.1, 80.0),
        Record(1, 0.5, 2.0, 0.1),
        Record(2, 1, 1.0, 0.1, 85.0),
    )
    figure = sl.plots.training_history(sl.History(records), "top1 (%)")
    loss, metric = figure.axes
    assert list(loss.lines[0].get_ydata()) == [2.0, 1.0]
    assert list(metric.lines[0].get_xdata()) == [0, 2]
    assert is_a_picture(figure)


@pytest.mark.parametrize("against", ["macs", "params", "bytes"])
def test_tradeoff_names_every_trial(against: str) -> None:
    comparison = sl.compare([trial("baseline", 90, 100, 100), trial("small", 80, 10, 10)])
    figure = sl.plots.tradeoff(comparison, against)
    assert [t.get_text() for t in figure.axes[0].texts] == ["baseline", "small"]
    assert is_a_picture(figure)


def test_pyplot_is_not_touched() -> None:
    assert (
        "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
    )


def test_intervals_of_a_ratio_are_drawn_layer_by_layer() -> None:
    scan = table({"a": [0.5, 3.0], "b": [0.0, 20.0]}, (0.2, 0.4))  # ± 1 point
    axes = sl.plots.drop_intervals({"few": scan, "all": scan}, 0.4).axes[0]
    spans = [tuple(line.get_xdata()) for line in axes.lines if len(line.get_xdata()) == 2][1:]
    assert spans == [(2.0, 4.0), (19.0, 21.0)] * 2
    assert [t.get_text() for t in axes.get_yticklabels()] == ["a", "b"]
    points = [x for x in sl.plots.drop_intervals(scan, 0.2).axes[0].lines if x.get_marker() == "o"]
    assert [p.get_markerfacecolor() == "white" for p in points] == [True, True]


def test_a_dollar_sign_in_a_name_starts_no_formula() -> None:
    broken = r"a$\frac{$"  # raises where matplotlib reads it as a formula
    scan = table({broken: [1.0], "b$x$": [2.0]}, (0.5,))
    assert is_a_picture(sl.plots.sensitivity_curves(scan))
    assert is_a_picture(sl.plots.drop_intervals({broken: scan}, 0.5))
    trials = [trial(broken, 90, 10, 10), trial("$x$", 80, 9, 9)]
    assert is_a_picture(sl.plots.tradeoff(sl.compare(trials)))
    history = sl.History((Record(1, 0.5, 1.0, 0.1, 80.0),))
    assert is_a_picture(sl.plots.training_history(history, broken))


def test_a_notebook_shows_a_picture_by_itself() -> None:
    from IPython.core.formatters import DisplayFormatter

    figure = sl.plots.training_history(sl.History())
    data, _ = DisplayFormatter().format(figure)
    assert data["image/png"].startswith(b"\x89PNG")


def test_names_of_near_points_stand_apart() -> None:
    near = [("first", 96.4, 321, 104), ("second", 96.9, 322, 95), ("third", 96.7, 321, 99)]
    trials = [trial("unpruned", 98.0, 635, 286), *(trial(*facts) for facts in near)]
    for against in ("macs", "bytes"):
        figure = sl.plots.tradeoff(sl.compare(trials), against)
        boxes = [text.get_window_extent() for text in figure.axes[0].texts]
        assert [t.get_text() for t in figure.axes[0].texts] == [t.name for t in trials]
        assert not any(a.overlaps(b) for n, a in enumerate(boxes) for b in boxes[:n])


def test_picked_ratios_are_drawn_for_each_pick_and_layer() -> None:
    figure = sl.plots.picked_ratios({"mine": {"a": 0.5}, "yours": {"a": 0.25, "b": 0.75}})
    drawn = {line.get_label(): list(line.get_xdata()) for line in figure.axes[0].lines}
    assert drawn == {"mine": [0.5, 0.0], "yours": [0.25, 0.75]}
    assert is_a_picture(figure)
    assert "Nothing is pruned" in [t.get_text() for t in sl.plots.picked_ratios({}).axes[0].texts]


def test_a_long_name_leaves_room_for_the_data() -> None:
    long = "a-very-" + "very-" * 40 + "long-name"
    scan = table({long: [1.0], long + "-2": [2.0]}, (0.5,))
    for figure in (
        sl.plots.sensitivity_curves(scan),
        sl.plots.drop_intervals({long: scan}, 0.5),
        sl.plots.tradeoff(sl.compare([trial(long, 90, 10, 10), trial("b", 80, 9, 9)])),
        sl.plots.picked_ratios({long: {long: 0.5}}),
    ):
        figure.draw_without_rendering()
        width, height = figure.axes[0].get_window_extent().size
        assert width > 150
        assert height > 30
