"""Tiles cover every pixel, hold small faces whole, and are looked at where something is."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.vision.detect.scan import EDGE
from edge.vision.detect.tiles import LARGER, OVERLAP, Changes, halves, holding, plan_tiles, tile_side

SIZES = st.tuples(st.integers(200, 4000), st.integers(200, 4000), st.integers(192, 1200))


def test_a_picture_that_is_small_for_its_tiles_needs_none():
    assert plan_tiles(1920, 1080, 0).shape == (0, 4)
    assert plan_tiles(809, 500, 540).shape == (0, 4)
    assert len(plan_tiles(810, 500, 540)) > 0


@pytest.mark.parametrize(("size", "boxes"), [
    ((640, 360), [[0, 0, 400, 360], [240, 0, 640, 360]]),
    ((360, 640), [[0, 0, 360, 400], [0, 240, 360, 640]]),
])  # fmt: skip
def test_halves_cover_the_picture_and_share_a_quarter(size: tuple[int, int], boxes: list[list[int]]):
    assert halves(*size).tolist() == boxes


@pytest.mark.parametrize(
    ("size", "tile", "count", "side"),
    [
        ((1920, 1080), 480, 15, 480),
        ((1920, 1080), 540, 8, 618),
        ((1280, 720), 540, 6, 540),
        ((960, 540), 540, 2, 549),
        ((1080, 1920), 540, 8, 618),
    ],
)
def test_as_few_tiles_as_a_fifth_more_of_a_side_allows_and_as_small_as_these_can_be(
    size: tuple[int, int], tile: int, count: int, side: int
):
    tiles = plan_tiles(*size, tile)
    assert len(tiles) == count
    assert (tiles[:, 2] - tiles[:, 0]).max() == side


@pytest.mark.parametrize(
    ("setting", "min_face", "side"), [("auto", 16, 540), ("auto", 32, 1080), (540, 16, 540), (0, 16, 0)]
)
def test_the_smallest_face_decides_how_large_a_tile_is(
    setting: int | Literal["auto"], min_face: int, side: int
):
    assert tile_side(setting, min_face) == side


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
    side = (tiles[:, 2:] - tiles[:, :2]).max()
    assert side <= math.ceil(LARGER * tile)
    for left, top, right, bottom in tiles:
        assert right - left == min(side, width)
        assert bottom - top == min(side, height)
        covered[top:bottom, left:right] = True
    assert covered.all()


@given(size=SIZES, x=st.floats(0, 1), y=st.floats(0, 1))
def test_a_face_up_to_the_overlap_is_whole_in_a_tile_and_in_the_one_that_holds_it(
    size: tuple[int, int, int], x: float, y: float
):
    width, height, tile = size
    tiles = plan_tiles(width, height, tile)
    # A pixel for rounded tiles, and what the scanner takes for cut at either side.
    if not len(tiles):
        return
    side = min(OVERLAP * float((tiles[:, 2:] - tiles[:, :2]).max()) - 1 - 2 * EDGE, width, height)
    left, top = x * (width - side), y * (height - side)
    face = np.array([[left, top, left + side, top + side]], np.float32)
    inner = np.array([tiles[:, 0] > 0, tiles[:, 1] > 0, tiles[:, 2] < width, tiles[:, 3] < height]).T * EDGE
    room = np.concatenate([face[:, :2] - tiles[:, :2], tiles[:, 2:] - face[:, 2:]], axis=1) - inner
    whole = np.asarray((room >= -1e-3).all(axis=1))
    assert whole.any()
    assert whole[holding(tiles, face)].all()


def test_no_boxes_are_held_by_no_tile():
    tiles = plan_tiles(1920, 1080, 540)
    assert not holding(tiles, np.zeros((0, 4), np.float32)).any()
    assert holding(tiles[:0], np.zeros((3, 4), np.float32)).shape == (0,)


class TestChanges:
    TILES = plan_tiles(960, 540, 270)

    def noise(self, seed: int, width: int = 960, height: int = 540) -> np.ndarray:
        noise = np.random.default_rng(seed).normal(120, 5, (height, width, 3))
        return noise.clip(0, 255).astype(np.uint8)

    def searched(self, image: np.ndarray) -> Changes:
        """All tiles were searched in this picture."""
        changes = Changes(self.TILES, image.shape[1], image.shape[0])
        assert (changes.show(image) == 1).all()
        for tile in range(len(self.TILES)):
            changes.searched(tile)
        return changes

    def test_are_nowhere_in_noise(self):
        assert not self.searched(self.noise(1)).show(self.noise(2)).any()

    def test_are_in_the_tiles_where_something_came_as_large_as_it_is(self):
        image = self.noise(1)
        changes = self.searched(image)
        image[20:120, 20:80] = 220
        share = changes.show(image)
        assert share[0] == pytest.approx(100 * 60 / float(self.TILES[0, 2]) ** 2, rel=0.15)
        left, top = self.TILES[:, 0], self.TILES[:, 1]
        assert not share[(left > 80) | (top > 120)].any()

    @pytest.mark.parametrize("size", [(852, 480), (704, 576), (721, 577), (961, 541)])
    def test_are_as_large_in_a_picture_that_is_no_multiple_of_the_grey_one(self, size: tuple[int, int]):
        view = np.array([[0, 0, *size]], np.float32)
        changes, image = Changes(view, *size), self.noise(1, *size)
        changes.show(image)
        changes.searched(0)
        assert not changes.show(self.noise(2, *size)).any()
        image[20:120, 20:80] = 220
        assert changes.show(image)[0] == pytest.approx(100 * 60 / (size[0] * size[1]), rel=0.2)

    def test_last_until_the_tile_is_searched(self):
        changes = self.searched(np.zeros((540, 960, 3), np.uint8))
        bright = np.full((540, 960, 3), 200, np.uint8)
        assert (changes.show(bright) == 1).all()
        changes.searched(3)
        assert np.flatnonzero(changes.show(bright) == 0).tolist() == [3]

    @pytest.mark.parametrize("shape", [(1, 1920, 3), (1, 1900, 3), (8, 1920, 3), (1920, 8, 3), (3, 3, 3)])
    def test_are_looked_for_in_a_strip_too(self, shape: tuple[int, ...]):
        views = np.array([[0, 0, shape[1], shape[0]]], np.float32)
        changes = Changes(views, shape[1], shape[0])
        changes.show(np.zeros(shape, np.uint8))
        changes.searched(0)
        assert changes.show(np.zeros(shape, np.uint8)).tolist() == [0]
        assert changes.show(np.full(shape, 200, np.uint8)).tolist() == [1]
