"""The boxes of a face network put together: as a plain weighted mean of each group."""

from __future__ import annotations

import numpy as np

from edge.vision.detect.boxes import _mean


def test_the_mean_of_a_group_is_numpys_to_the_last_bit() -> None:
    rng = np.random.default_rng(0)
    for number in range(1, 120):
        points = rng.uniform(0, 1, (number, 8, 2)).astype(np.float32)
        weights = rng.uniform(0.05, 1, number).astype(np.float32)
        expected = np.average(points, axis=0, weights=weights)
        np.testing.assert_array_equal(_mean(points, weights), expected, strict=True)
