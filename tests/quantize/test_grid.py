from __future__ import annotations

import numpy as np
import paddle
import pytest

from slimlab.quantize.grid import (
    LearnedStep,
    StraightThrough,
    largest,
    numbers_on_grid,
    on_grid,
    safe,
    top_of,
    whole_numbers,
)


def test_a_grid_of_three_bits_by_hand() -> None:
    # n = 3, scale 1.5: steps of 0.5 from -2.0 to 1.5; halves of a step go to the even number.
    x = paddle.to_tensor([-9.0, -1.6, -0.75, -0.25, 0.0, 0.25, 0.75, 1.3, 9.0])
    expected = [-2.0, -1.5, -1.0, 0.0, 0.0, 0.0, 1.0, 1.5, 1.5]
    assert on_grid(x, paddle.to_tensor([1.5]), None, 3).tolist() == expected
    whole = whole_numbers(x.numpy(), np.float32([1.5]), None, 3)
    assert whole.tolist() == [-4, -3, -2, 0, 0, 0, 2, 3, 3]


def test_each_channel_has_its_own_step() -> None:
    x = np.float32([[1.0, 0.26], [10.0, 2.6]])
    scale = np.float32([1.0, 10.0])
    found = on_grid(paddle.to_tensor(x), paddle.to_tensor(scale), 0, 2).numpy()
    assert found.tolist() == [[1.0, 0.0], [10.0, 0.0]]
    turned = on_grid(paddle.to_tensor(x.T.copy()), paddle.to_tensor(scale), 1, 2).numpy()
    assert turned.T.tolist() == found.tolist()


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_paddle_and_numpy_agree_bit_for_bit(bits: int, axis: int | None) -> None:
    x = np.random.default_rng(bits).normal(size=(6, 5, 3, 3)).astype(np.float32)
    scale = largest(paddle.to_tensor(x), axis)
    whole = whole_numbers(x, scale.numpy(), axis, bits)
    assert whole.max() <= top_of(bits)
    assert whole.min() >= -top_of(bits) - 1
    values = numbers_on_grid(whole, scale.numpy(), axis, bits)
    assert (on_grid(paddle.to_tensor(x), scale, axis, bits).numpy() == values).all()
    # What lies on the grid stays where it is: quantizing twice changes nothing.
    assert (whole_numbers(values, scale.numpy(), axis, bits) == whole).all()
    assert (on_grid(paddle.to_tensor(values), scale, axis, bits).numpy() == values).all()


@pytest.mark.parametrize(
    "values",
    [[0.0, 0.0], [1e-40, -1e-42], [3e38, 1.0], [np.inf, 1.0], [np.nan, 1.0], [5.0, 5.0], [1e-20]],
    ids=["zero", "denormal", "huge", "infinite", "nan", "constant", "tiny"],
)
def test_a_scale_is_always_usable(values: list[float]) -> None:
    for found in (
        largest(paddle.to_tensor(values), None).numpy(),
        safe(np.float32(np.abs(values).max())),
    ):
        tiny = np.finfo(np.float32).tiny
        assert np.isfinite(found).all()
        assert (found / np.float32(127) >= tiny).all()
        finite = paddle.to_tensor([0.0, 1.0, -2.0])
        made = on_grid(finite, paddle.to_tensor(found.reshape(1)), None, 8)
        assert np.isfinite(made.numpy()).all()


def test_the_gradient_passes_inside_the_range_and_stops_outside() -> None:
    x = paddle.to_tensor([-3.0, -1.9, -0.3, 0.2, 1.5, 1.6], stop_gradient=False)
    weights = paddle.to_tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    # n = 3: the range is -2.0 to 1.5.
    (StraightThrough.apply(x, paddle.to_tensor([1.5]), None, 3) * weights).sum().backward()
    assert x.grad.tolist() == [0.0, 2.0, 3.0, 4.0, 5.0, 0.0]


def test_the_gradient_of_one_scale_a_channel() -> None:
    x = paddle.to_tensor([[2.0, 2.0], [0.1, -9.0]], stop_gradient=False)
    scale = paddle.to_tensor([1.0, 4.0])
    StraightThrough.apply(x, scale, 1, 8).sum().backward()
    assert x.grad.tolist() == [[0.0, 1.0], [1.0, 0.0]]


def test_the_gradient_of_a_learned_scale_by_hand() -> None:
    # n = 3, scale 1.5, step 0.5. Inside: (rounded - x) / scale; above: 1; below: -4/3.
    values = [0.6, -0.2, 9.0, -9.0]
    x = paddle.to_tensor(values, stop_gradient=False)
    scale = paddle.to_tensor([1.5], stop_gradient=False)
    made = LearnedStep.apply(x, scale, None, 3)
    assert np.allclose(made.numpy(), [0.5, 0.0, 1.5, -2.0])
    (made * paddle.to_tensor([1.0, 1.0, 2.0, 1.0])).sum().backward()
    by_hand = (0.5 - 0.6) / 1.5 + (0.0 + 0.2) / 1.5 + 2 * 1 - 4 / 3
    assert scale.grad.item() == pytest.approx(by_hand / (4 * 3) ** 0.5, rel=1e-5)
    assert x.grad.tolist() == [1.0, 1.0, 0.0, 0.0]


def test_the_gradient_of_learned_scales_is_a_channels_own() -> None:
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(4, 3, 2)).astype(np.float32)
    scales = np.float32([0.5, 1.0, 2.0])
    x = paddle.to_tensor(numbers, stop_gradient=False)
    together = paddle.to_tensor(scales, stop_gradient=False)
    LearnedStep.apply(x, together, 1, 4).square().sum().backward()
    for channel, scale in enumerate(scales):
        alone = paddle.to_tensor([scale], stop_gradient=False)
        part = paddle.to_tensor(numbers[:, channel].copy(), stop_gradient=False)
        LearnedStep.apply(part, alone, None, 4).square().sum().backward()
        assert together.grad[channel].item() == pytest.approx(alone.grad.item(), rel=1e-4)


def test_a_scale_is_learned_of_what_has_no_gradient_itself() -> None:
    scale = paddle.to_tensor([1.5], stop_gradient=False)
    LearnedStep.apply(paddle.to_tensor([9.0]), scale, None, 3).sum().backward()
    assert scale.grad.item() == pytest.approx(1 / 3**0.5)
