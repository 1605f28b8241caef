"""Tiles cover every pixel, hold small faces whole, and are looked at where something is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.detect.scan import EDGE
from edge.detect.tiles import OVERLAP, Motion, holding, plan_tiles

SIZES = st.tuples(st.integers(200, 4000), st.integers(200, 4000), st.integers(192, 1200))


def test_a_picture_that_is_small_for_its_tiles_needs_none():
    assert plan_tiles(1920, 1080, 0).shape == (0, 4)
    assert plan_tiles(809, 500, 540).shape == (0, 4)
    assert len(plan_tiles(810, 500, 540)) > 0


def test_full_hd_takes_fifteen():
    assert len(plan_tiles(1920, 1080, 540)) == 15


@given(size=SIZES)
def test_tiles_lie_in_the_picture_and_cover_every_pixel(size: tuple[int, int, int]):
    width, height, tile = size
    tiles = plan_tiles(width, height, tile).astype(int)
    if not len(tiles):
        return
    assert (tiles[:, :2] >= 0).all()
    assert (tiles[:, 2] <= width).all()
    assert (tiles[:, 3] <= height).all()
    covered = np.zeros((height, width), np.bool_)
    for left, top, right, bottom in tiles:
        assert right - left == min(tile, width)
        assert bottom - top == min(tile, height)
        covered[top:bottom, left:right] = True
    assert covered.all()


@given(size=SIZES, x=st.floats(0, 1), y=st.floats(0, 1))
def test_a_face_up_to_the_overlap_is_whole_in_a_tile_and_in_the_one_that_holds_it(
    size: tuple[int, int, int], x: float, y: float
):
    width, height, tile = size
    tiles = plan_tiles(width, height, tile)
    # A pixel for rounded tiles, and what the scanner takes for cut at either side.
    side = min(OVERLAP * tile - 1 - 2 * EDGE, width, height)
    left, top = x * (width - side), y * (height - side)
    face = np.array([[left, top, left + side, top + side]], np.float32)
    if not len(tiles):
        return
    inner = np.array([tiles[:, 0] > 0, tiles[:, 1] > 0, tiles[:, 2] < width, tiles[:, 3] < height]).T * EDGE
    room = np.concatenate([face[:, :2] - tiles[:, :2], tiles[:, 2:] - face[:, 2:]], axis=1) - inner
    whole = (room >= -1e-3).all(axis=1)
    assert whole.any()
    assert whole[holding(tiles, face)].all()


def test_no_boxes_are_held_by_no_tile():
    tiles = plan_tiles(1920, 1080, 540)
    assert not holding(tiles, np.zeros((0, 4), np.float32)).any()
    assert holding(tiles[:0], np.zeros((3, 4), np.float32)).shape == (0,)


class TestMotion:
    TILES = plan_tiles(960, 540, 270)

    def noise(self, seed: int) -> np.ndarray:
        return np.random.default_rng(seed).normal(120, 4, (540, 960, 3)).clip(0, 255).astype(np.uint8)

    def test_is_everywhere_at_first_and_nowhere_in_noise(self):
        motion = Motion()
        assert motion.moving(self.noise(1), self.TILES).all()
        assert not motion.moving(self.noise(2), self.TILES).any()

    def test_is_in_the_tiles_where_something_came(self):
        motion, image = Motion(), self.noise(1)
        motion.moving(image, self.TILES)
        image[20:120, 20:80] = 220
        moving = motion.moving(image, self.TILES)
        assert moving[0]
        left, top = self.TILES[:, 0], self.TILES[:, 1]
        assert not moving[(left > 80) | (top > 120)].any()

    def test_starts_anew_with_another_size(self):
        motion = Motion()
        motion.moving(self.noise(1), self.TILES)
        assert motion.moving(self.noise(1)[:, :900], self.TILES).all()

    @pytest.mark.parametrize("shape", [(1, 1920, 3), (8, 1920, 3), (1920, 8, 3)])
    def test_is_looked_for_in_a_strip_too(self, shape: tuple[int, ...]):
        motion = Motion()
        tiles = plan_tiles(shape[1], shape[0], 540)
        for level in (0, 200):
            assert motion.moving(np.full(shape, level, np.uint8), tiles).all()
