from __future__ import annotations

import numpy as np
import pytest

from edge.capture.source import sampled


@pytest.mark.parametrize("shape", [(90, 160, 3), (91, 167, 3), (40, 23, 3), (9, 300, 3), (1, 1, 3)])
def test_a_sample_is_of_pixels_at_even_distances(shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(1).integers(0, 256, shape, np.uint8)[:, ::-1]
    for shorter in (1, 7, 20, 90):
        step = max(1, min(shape[:2]) // shorter)
        found = sampled(image, shorter)
        assert np.array_equal(found, image[step // 2 :: step, step // 2 :: step])
        assert found.flags.c_contiguous
        assert min(found.shape[:2]) >= min(shorter, *shape[:2])
