from __future__ import annotations

import numpy as np

from training.evaluation.small import shrink


def crop(side: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)


def test_the_face_gets_that_size_and_the_crop_its_margin():
    assert shrink(crop(200), 32, scale=1.5).shape == (48, 48, 3)


def test_a_face_that_is_smaller_already_stays():
    small = crop(20)
    assert np.array_equal(shrink(small, 32, scale=1.0), small)


def test_detail_is_averaged_and_not_picked():
    checks = np.indices((64, 64)).sum(axis=0) % 2 * 255
    grey = shrink(np.repeat(checks[..., None], 3, axis=2).astype(np.uint8), 32, scale=1.0)
    assert set(grey.ravel().tolist()) <= {127, 128}
