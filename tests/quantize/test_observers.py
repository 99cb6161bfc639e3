from __future__ import annotations

import numpy as np
import pytest

import slimlab as sl
from slimlab.quantize.config import OBSERVERS
from slimlab.quantize.observers import make_observer


def scale_of(name: str, *batches: np.ndarray, bits: int = 8, **settings: float) -> float:
    observer = make_observer(sl.QuantConfig(observer=name, **settings), bits)
    for batch in batches:
        observer.see(np.asarray(batch, np.float32))
    return observer.scale()


def test_by_hand() -> None:
    batches = np.float32([1, -2, 0.5]), np.float32([6, 0, -1])
    assert scale_of("abs_max", *batches) == 6
    assert scale_of("average", *batches) == 4
    # The medians of the magnitudes are 1 and 1.
    assert scale_of("percentile", *batches, percentile=50) == 1
    # Three of six magnitudes are at most 1, and bins are 6 / 2048 wide.
    assert scale_of("histogram", *batches, percentile=50) == pytest.approx(1, abs=6 / 1024)
    assert scale_of("histogram", *batches, percentile=100) == pytest.approx(6, rel=1e-3)


def test_a_growing_histogram_loses_nothing() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=4000).astype(np.float32)
    small_first = np.sort(np.abs(values))
    whole = make_observer(sl.QuantConfig(observer="mse"), 8)
    parts = make_observer(sl.QuantConfig(observer="mse"), 8)
    whole.see(values)
    for part in np.split(small_first, 8):
        parts.see(part)
    assert parts.counts.sum() == whole.counts.sum() == 4000  # type: ignore[attr-defined]
    assert parts.scale() == pytest.approx(whole.scale(), rel=0.05)


@pytest.mark.parametrize("bits", [3, 4, 8])
def test_the_squared_error_is_least(bits: int) -> None:
    values = np.random.default_rng(1).laplace(size=20000).astype(np.float32)
    top = 2 ** (bits - 1) - 1

    def error(scale: float) -> float:
        rounded = np.clip(np.rint(values / scale * top), -top - 1, top) * scale / top
        return float(((rounded - values) ** 2).mean())

    found = error(scale_of("mse", values, bits=bits))
    best = min(error(scale) for scale in np.linspace(0.02, 1, 200) * np.abs(values).max())
    assert found < best * 1.1


@pytest.mark.parametrize("bits", [4, 8])
def test_divergence_does_not_clip_a_channel_that_is_larger_than_the_others(bits: int) -> None:
    # One of 32 channels is ten times as large. Fewer values than are worth a level are clipped.
    rng = np.random.default_rng(4)
    channels = np.maximum(rng.standard_normal([32, 20000]), 0).astype(np.float32)
    channels[0] *= 10
    top = 2 ** (bits - 1) - 1
    found = scale_of("kl", channels, bits=bits)

    def error(scale: float) -> float:
        rounded = np.minimum(np.rint(channels / scale * top), top) * scale / top
        return float(((rounded - channels) ** 2).mean())

    assert error(found) <= error(float(channels.max())) * 1.01
    if bits == 8:
        assert found > 0.5 * channels.max()


@pytest.mark.parametrize("name", ["percentile", "histogram", "kl", "mse"])
def test_an_outlier_does_not_set_the_scale(name: str) -> None:
    values = np.random.default_rng(2).normal(size=50000).astype(np.float32)
    values[0] = 30
    found = scale_of(name, values, bits=4)
    assert 1 < found < 20


@pytest.mark.parametrize("name", OBSERVERS)
@pytest.mark.parametrize(
    "batch",
    [[], [0.0, 0.0], [np.nan], [np.inf, 1.0], [1e-42], [3e38, 3e38], [7.0, 7.0]],
    ids=["empty", "zeros", "nan", "infinite", "denormal", "huge", "constant"],
)
def test_whatever_is_seen_the_scale_can_be_used(name: str, batch: list[float]) -> None:
    found = np.float32(scale_of(name, np.float32(batch)))
    assert np.isfinite(found)
    assert found / np.float32(127) >= np.finfo(np.float32).tiny


@pytest.mark.parametrize("name", OBSERVERS)
def test_a_constant_keeps_its_value(name: str) -> None:
    found = scale_of(name, np.full(100, 7, np.float32))
    assert abs(min(round(7 / found * 127), 127) * found / 127 - 7) < 0.1


def test_an_observer_that_does_not_exist() -> None:
    with pytest.raises(sl.PlanError, match="no observer 'entropy'"):
        sl.QuantConfig(observer="entropy")  # type: ignore[arg-type]
