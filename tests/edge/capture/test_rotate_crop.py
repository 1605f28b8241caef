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


def test_ignored_polygons_are_black_and_the_source_s_picture_is_left_alone() -> None:
    image = np.full((100, 200, 3), 200, np.uint8)
    left, middle = ([(0, 0), (0.5, 0), (0.5, 1), (0, 1)], [(0.25, 0), (0.75, 0), (0.75, 0.5), (0.25, 0.5)])
    shown = View(0, WHOLE, [left, middle])(image)
    assert shown[:, :99].max() == 0 and shown[:49, 101:149].max() == 0  # also where both are
    assert shown[52:, 103:].min() == shown[:, 153:].min() == 200
    assert image.min() == 200


def test_an_ignored_polygon_is_of_the_turned_picture_before_the_region_is_cut_out() -> None:
    image = np.full((100, 200, 3), 200, np.uint8)
    lower_half = [(0, 0.5), (1, 0.5), (1, 1), (0, 1)]
    shown = View(90, (0.0, 0.25, 1.0, 0.75), [lower_half])(image)
    assert shown.shape == (100, 100, 3)
    assert shown[:49].min() == 200 and shown[51:].max() == 0
