"""Boxes and the pictures cut along them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.geometry import areas, centres, cut_out, overlap, squares, suppress

WIDTH, HEIGHT = 40, 30


def boxes(*rows: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 4)


def gradient() -> np.ndarray:
    """A picture each of whose pixels says where it is: column, row."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([x, y, np.zeros_like(x)], axis=2).astype(np.uint8)


def test_a_box_turned_inside_out_has_no_area():
    assert areas(boxes((0, 0, 2, 3), (2, 3, 0, 0), (5, 0, 1, 9))).tolist() == [6, 0, 0]


def test_overlap_is_the_shared_part_of_the_smaller_box_of_every_pair():
    assert overlap(boxes((0, 0, 2, 2)), boxes((1, 0, 3, 2), (0, 0, 2, 2), (5, 5, 6, 6))).tolist() == [
        [0.5, 1.0, 0.0]
    ]


def test_overlap_is_1_where_one_box_holds_the_other():
    assert overlap(boxes((0, 0, 10, 10)), boxes((2, 2, 4, 4))).tolist() == [[1.0]]


def test_degenerate_boxes_overlap_nothing():
    point = boxes((1, 1, 1, 1))
    assert overlap(point, point).tolist() == [[0.0]]


def test_squares_keep_the_centre_and_take_the_longer_side():
    box = boxes((10, 20, 30, 30))
    assert squares(box, 1.5).tolist() == [[5, 10, 35, 40]]
    assert np.array_equal(centres(squares(box, 1.5)), centres(box))


def test_suppression_keeps_the_better_of_two_and_the_best_first():
    faces = boxes((0, 0, 10, 10), (1, 1, 9, 9), (50, 50, 60, 60))
    assert suppress(faces, np.array([0.6, 0.7, 0.9], np.float32), 0.5).tolist() == [2, 1]


def test_suppression_of_nothing():
    assert suppress(boxes(), np.zeros(0, np.float32), 0.5).tolist() == []


@given(
    left=st.integers(-90, 90),
    top=st.integers(-90, 90),
    side=st.integers(1, 60),
)
def test_a_square_is_cut_wherever_it_lies(left: int, top: int, side: int):
    cut = cut_out(gradient(), left, top, side)
    assert cut.shape == (side, side, 3)
    assert cut.flags.c_contiguous
    columns, rows = np.arange(left, left + side), np.arange(top, top + side)
    if (left < WIDTH and left + side > 0) and (top < HEIGHT and top + side > 0):
        # Inside as it is; outside the nearest pixel of the edge again.
        assert np.array_equal(cut[0, :, 0], np.clip(columns, 0, WIDTH - 1))
        assert np.array_equal(cut[:, 0, 1], np.clip(rows, 0, HEIGHT - 1))
    else:
        assert not cut.any()


@pytest.mark.parametrize("side", [10, HEIGHT])
def test_what_is_cut_out_does_not_hold_on_to_the_picture(side: int):
    image = np.ascontiguousarray(gradient()[:, :HEIGHT])
    cut = cut_out(image, 0, 0, side)
    assert np.array_equal(cut, image[:side, :side])
    assert not np.shares_memory(cut, image)
