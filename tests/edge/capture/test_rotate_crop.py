from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from edge.capture.rotate_crop import View

WHOLE = (0.0, 0.0, 1.0, 1.0)


def numbered(height: int, width: int) -> np.ndarray:
    """Every pixel's blue is its column, its green its row."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([columns, rows, rows * 0], axis=2).astype(np.uint8)


@pytest.mark.parametrize(
    ("rotation", "turns", "shape"), [(0, 0, (4, 8)), (90, -1, (8, 4)), (180, 2, (4, 8)), (270, 1, (8, 4))]
)
def test_turns_clockwise(rotation: Literal[0, 90, 180, 270], turns: int, shape: tuple[int, int]) -> None:
    image = numbered(4, 8)
    turned = View(rotation, WHOLE)(image)
    assert turned.shape == (*shape, 3)
    assert turned.flags.c_contiguous
    np.testing.assert_array_equal(turned, np.rot90(image, turns))


def test_cuts_the_region_out_of_the_turned_picture() -> None:
    part = View(90, (0.5, 0.0, 1.0, 0.25))(numbered(100, 200))
    assert part.shape == (50, 50, 3)
    assert part.flags.c_contiguous
    np.testing.assert_array_equal(part, np.rot90(numbered(100, 200), -1)[:50, 50:])


def test_a_region_is_never_empty() -> None:
    assert View(0, (0.999, 0.999, 1.0, 1.0))(numbered(3, 5)).shape == (1, 1, 3)


def test_a_whole_upright_picture_is_not_copied() -> None:
    image = numbered(4, 8)
    assert np.shares_memory(View(0, WHOLE)(image), image)
