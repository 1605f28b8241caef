"""Crops framed as the model was trained, their quality, and the best few of a visitor."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.vision.crops import BestCrops, Crop, cut_face, quality
from tests.fakes import EPOCH, straight_on

BOX = np.array([100, 60, 200, 160], np.float32)


def picture(height: int = 240, width: int = 320) -> np.ndarray:
    """BGR; blue is the column, green the row (both modulo 256), red is 7."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x % 256, y % 256, np.full_like(x, 7)], axis=2).astype(np.uint8)


class TestCutting:
    def test_frames_the_box_as_the_bundle_says(self):
        crop = cut_face(picture(), BOX, 1.2, most=500)
        assert crop.shape == (120, 120, 3)
        # RGB: row and column of the corner tell where it was cut.
        assert crop[0, 0].tolist() == [7, 50, 90]
        assert crop[-1, -1].tolist() == [7, 169, 209]

    def test_takes_the_longer_side_of_a_box(self):
        flat = np.array([100, 100, 200, 120], np.float32)
        crop = cut_face(picture(), flat, 1.0, most=500)
        assert crop.shape == (100, 100, 3)
        assert crop[0, 0].tolist() == [7, 60, 100]

    def test_shrinks_to_what_the_model_takes_and_never_enlarges(self):
        assert cut_face(picture(), BOX, 1.0, most=64).shape == (64, 64, 3)
        assert cut_face(picture(), BOX, 1.0, most=500).shape == (100, 100, 3)

    def test_repeats_the_edge_where_the_face_leaves_the_picture(self):
        crop = cut_face(picture(), np.array([-20, -20, 20, 20], np.float32), 1.0, most=500)
        assert crop.shape == (40, 40, 3)
        assert not crop[:21, :21, 1:].any()
        assert crop[-1, -1].tolist() == [7, 19, 19]

    @pytest.mark.parametrize("box", [(-90, -90, -50, -50), (400, 300, 440, 340), (5, 5, 5, 5)])
    def test_survives_a_box_that_shows_nothing(self, box: tuple[int, ...]):
        crop = cut_face(picture(), np.array(box, np.float32), 1.0, most=64)
        assert crop.shape[0] == crop.shape[1] >= 1

    def test_does_not_hold_on_to_the_frame(self):
        image = picture(100, 100)
        whole = np.array([0, 0, 100, 100], np.float32)
        assert not np.shares_memory(cut_face(image, whole, 1.0, most=100), image)


def face(side: float, *, level: int = 128, contrast: int = 60, blur: float = 0.0, nose: float = 0.5) -> float:
    """The quality of a chequered crop: `side` px wide, the nose this far across, 0..1."""
    rows, columns = np.mgrid[:96, :96]
    grey = np.where((rows // 6 + columns // 6) % 2, level + contrast, level - contrast)
    crop = np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    if blur:
        crop = cv2.GaussianBlur(crop, (0, 0), blur)
    box = np.array([0, 0, side, side], np.float32)
    keypoints = straight_on(box[None])[0]
    keypoints[2, 0] = nose * side
    return quality(crop, box, keypoints)


class TestQuality:
    def test_of_a_large_sharp_straight_well_lit_face_is_1(self):
        assert face(120) == pytest.approx(1)

    def test_falls_with_size_sharpness_pose_and_light(self):
        for better, worse in (
            [face(s) for s in (96, 48)],
            [face(48, blur=b) for b in (4, 8)],
            [face(96, nose=n) for n in (0.55, 0.65)],
            [face(96, nose=n) for n in (0.45, 0.35)],
            [face(96, level=v, contrast=30) for v in (60, 40)],
            [face(96, level=v, contrast=20) for v in (200, 225)],
        ):
            assert 0 < worse < better

    def test_of_a_profile_is_0(self):
        assert face(96, nose=0.85) == 0

    def test_of_eyes_in_one_place_is_0(self):
        crop, keypoints = np.zeros((50, 50, 3), np.uint8), np.zeros((6, 2), np.float32)
        assert quality(crop, BOX, keypoints) == 0

    def test_of_a_flat_tone_is_0(self):
        assert face(96, contrast=0) == 0

    @given(
        side=st.floats(0, 500), level=st.integers(0, 255), contrast=st.integers(0, 255), nose=st.floats(-2, 3)
    )
    def test_is_a_ratio(self, side: float, level: int, contrast: int, nose: float):
        assert 0 <= face(side, level=level, contrast=contrast, nose=nose) <= 1


def crop(seconds: float, worth: float) -> Crop:
    return Crop(np.zeros((1, 1, 3), np.uint8), worth, EPOCH + timedelta(seconds=seconds))


def kept(*offered: tuple[float, float], most: int = 3, spacing: float = 1.0) -> list[tuple[float, float]]:
    best = BestCrops(most, spacing)
    for seconds, worth in offered:
        best.offer(crop(seconds, worth))
    return [((s.taken_at - EPOCH).total_seconds(), s.quality) for s in best.best]


class TestBestCrops:
    def test_are_the_best_first(self):
        assert kept((0, 0.1), (2, 0.3), (4, 0.2)) == [(2, 0.3), (4, 0.2), (0, 0.1)]

    def test_give_way_to_better_ones(self):
        assert kept((0, 0.1), (2, 0.3), (4, 0.2), (6, 0.25)) == [(2, 0.3), (6, 0.25), (4, 0.2)]

    def test_do_not_give_way_to_worse_ones(self):
        assert kept((0, 0.2), (2, 0.3), (4, 0.4), (6, 0.1)) == [(4, 0.4), (2, 0.3), (0, 0.2)]

    def test_of_one_moment_are_one(self):
        assert kept((0, 0.2), (0.9, 0.3), (1.8, 0.25)) == [(0.9, 0.3)]
        assert kept((0, 0.2), (1.0, 0.3)) == [(1.0, 0.3), (0, 0.2)]

    def test_handed_out_are_a_list_of_their_own(self):
        best = BestCrops(3, 1.0)
        best.offer(crop(0, 0.5))
        best.best.clear()
        assert len(best.best) == 1

    def test_can_be_let_go(self):
        best = BestCrops(1, 1.0)
        best.offer(crop(0, 0.5))
        best.clear()
        assert (best.best, best.full) == ([], False)

    @given(
        offered=st.lists(st.tuples(st.floats(0, 10), st.floats(0, 1)), max_size=30),
        most=st.integers(1, 5),
        spacing=st.floats(0.01, 3),
    )
    def test_are_few_spread_and_hold_the_best_of_all(
        self, offered: list[tuple[float, float]], most: int, spacing: float
    ):
        crops = kept(*offered, most=most, spacing=spacing)
        assert len(crops) <= most
        assert bool(crops) == bool(offered)
        assert [worth for _, worth in crops] == sorted((worth for _, worth in crops), reverse=True)
        moments = sorted(seconds for seconds, _ in crops)
        assert all(b - a > spacing - 1e-5 for a, b in pairwise(moments))
        if offered:
            assert crops[0][1] == max(worth for _, worth in offered)
