"""Augmentation keeps shape and content, and moves images only as far as it says."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from slimlab.data import ShiftAndFlip


@settings(max_examples=40, deadline=None)
@given(shift=st.integers(0, 3), flip=st.booleans(), seed=st.integers(0, 999))
def test_every_result_is_a_shifted_or_mirrored_original(shift, flip, seed):
    rng = np.random.default_rng(seed)
    images = rng.random((5, 2, 6, 6), dtype=np.float32)
    before = images.copy()
    moved = ShiftAndFlip(shift, flip, fill=-1.0)(images, rng)
    assert moved.dtype == np.float32
    assert moved.shape == images.shape
    assert (images == before).all()
    padded = np.pad(images, ((0, 0), (0, 0), (3, 3), (3, 3)), constant_values=-1.0)
    for original, result in zip(padded, moved, strict=True):
        candidates = [
            original[:, 3 + a : 9 + a, 3 + b : 9 + b]
            for a in range(-shift, shift + 1)
            for b in range(-shift, shift + 1)
        ]
        if flip:
            candidates += [c[:, :, ::-1] for c in candidates]
        assert any((c == result).all() for c in candidates)


def test_same_generator_same_images_and_all_positions_occur():
    images = np.zeros((500, 1, 5, 5), np.float32)
    images[:, :, 2, 2] = 1
    change = ShiftAndFlip(1, flip=False)
    first = change(images, np.random.default_rng(1))
    assert (first == change(images, np.random.default_rng(1))).all()
    assert len({int(i.argmax()) for i in first}) == 9
