"""Cuts: another place is one; light, exposure, noise and whoever stands before the camera are none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import cv2
import numpy as np
import pytest

from edge.types import Image
from edge.vision.cuts import Cuts
from tests.fakes import EPOCH

SHAPE = (360, 640)


def place(seed: int) -> Image:
    """A room: rectangles of many grey levels."""
    rng = np.random.default_rng(seed)
    image = np.full((*SHAPE, 3), 120, np.uint8)
    for x, y, w, h, level in zip(*(rng.integers(low, high, 90) for low, high in SPANS), strict=True):
        cv2.rectangle(image, (x, y), (x + w, y + h), (int(level),) * 3, -1)
    return image


SPANS = [(0, 640), (0, 360), (20, 120), (20, 120), (20, 235)]


def brighter(image: Image, by: float) -> Image:
    return np.clip(image * by, 0, 255).astype(np.uint8)


def lamp(image: Image) -> Image:
    """A light goes on at the right."""
    return np.clip(image * np.linspace(0.4, 2, SHAPE[1])[:, None], 0, 255).astype(np.uint8)


def noisy(image: Image) -> Image:
    return np.clip(image + np.random.default_rng(9).normal(0, 12, image.shape), 0, 255).astype(np.uint8)


def infrared(image: Image) -> Image:
    """The camera's own lamp lights the middle, and its sensor is noisy."""
    across, down = (np.hanning(length + 2)[1:-1] for length in SHAPE[::-1])
    return noisy(np.clip(image * (0.5 + down[:, None] * across)[..., None], 0, 255).astype(np.uint8))


def person_before(image: Image) -> Image:
    """Somebody in a striped shirt covers four fifths of the picture."""
    near = image.copy()
    near[:, 64:576] = (np.arange(512) // 24 % 2 * 150 + 40)[:, None]
    return near


def walkers(*lefts: int) -> list[Image]:
    """Two people in checked shirts, large before a plain wall, at these places."""
    frames = []
    for left in lefts:
        frame = np.full((*SHAPE, 3), 140, np.uint8)
        for seed, x in ((1, left), (2, 480 - left)):
            frame[90:, x : x + 160] = place(seed)[90:, :160]
        frames.append(frame)
    return frames


def overexposed(image: Image) -> Image:
    """The sun shines in from above: the upper part is white, without an edge to the rest."""
    return np.clip(image + np.linspace(600, -300, SHAPE[0]).clip(0)[:, None, None], 0, 255).astype(np.uint8)


def black(image: Image) -> Image:
    return np.zeros_like(image)


def cuts(*frames: Image, step: float = 0.4) -> list[bool]:
    """Whether each is a cut, `step` seconds after the one before."""
    watch = Cuts()
    return [watch.is_cut(frame, EPOCH + timedelta(seconds=step * n)) for n, frame in enumerate(frames)]


def test_the_first_frame_is_none():
    assert cuts(place(0), place(0)) == [False, False]


@pytest.mark.parametrize("seed", range(1, 6))
def test_another_place_is_a_cut_and_so_is_the_way_back(seed: int):
    assert cuts(place(0), *[place(seed)] * 3, place(0)) == [False, True, False, False, True]


def test_a_black_picture_between_two_places_hides_no_cut():
    assert cuts(place(0), black(place(0)), place(1)) == [False, False, True]


@pytest.mark.parametrize(
    "change",
    [lambda i: brighter(i, 1.8), lambda i: brighter(i, 0.3), lamp, noisy, infrared, person_before, black],
    ids=["brighter", "darker", "a lamp", "noise", "infrared", "a person", "black"],
)
def test_the_same_place_in_another_state_is_none(change: Callable[[Image], Image]):
    assert cuts(place(0), change(place(0)), place(0)) == [False] * 3


def test_large_people_who_walk_before_a_plain_wall_at_three_frames_a_second_are_none():
    assert cuts(*walkers(0, 90, 180, 270, 360, 450), step=1 / 3) == [False] * 6


@pytest.mark.parametrize("light", [1.0, 0.4])
def test_two_places_in_the_dark_are_a_cut(light: float):
    assert cuts(brighter(place(0), light), brighter(place(1), light)) == [False, True]


@pytest.mark.parametrize("seed", range(1, 5))
def test_clipped_light_hides_no_cut(seed: int):
    assert cuts(overexposed(place(0)), overexposed(place(seed))) == [False, True]


@pytest.mark.parametrize("shape", [(1080, 1920, 3), (240, 320, 3), (32, 24, 3), (2, 2, 3)])
def test_pictures_of_any_size_are_taken(shape: tuple[int, int, int]):
    image = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    assert not Cuts().is_cut(image, EPOCH)


def test_a_picture_that_differs_from_frame_to_frame_is_cut_once_a_second_at_most():
    frames = [place(n) for n in range(11)]
    assert cuts(*frames, step=0.2) == [False, True, *[False] * 4, True, *[False] * 4]


def test_frames_that_are_far_apart_are_not_compared():
    assert cuts(place(0), place(1), place(2), step=1.0) == [False] * 3


def test_a_clock_that_is_set_back_is_no_cut():
    watch = Cuts()
    assert not watch.is_cut(place(0), EPOCH)
    assert not watch.is_cut(place(1), EPOCH - timedelta(seconds=60))
