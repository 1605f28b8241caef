from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from edge.capture import PictureWatch
from edge.types import CameraState, Image
from tests.edge.capture.fakes import grey
from tests.fakes import EPOCH

UP, FROZEN, DARK = CameraState.UP, CameraState.FROZEN, CameraState.DARK
RNG = np.random.default_rng(3)


def scene(level: int = 120, noise: int = 40) -> Image:
    return np.clip(RNG.normal(level, noise, (90, 160, 3)), 0, 255).astype(np.uint8)


def states(pictures: list[Image], frozen_after: float = 3, dark_after: float = 2) -> list[CameraState]:
    """The state after each picture, one a second."""
    watch = PictureWatch(frozen_after, dark_after)
    return [watch.state_of(image, EPOCH + timedelta(seconds=n)) for n, image in enumerate(pictures)]


def test_changing_pictures_are_up() -> None:
    assert states([scene() for _ in range(8)]) == [UP] * 8


def test_identical_pictures_are_frozen_until_the_first_other_one() -> None:
    image = scene()
    assert states([image] * 5 + [scene(), image]) == [UP, UP, UP, FROZEN, FROZEN, UP, UP]


def test_pictures_that_alternate_are_not_frozen() -> None:
    assert states([scene(), scene()] * 5) == [UP] * 10


@pytest.mark.parametrize("level", [0, 8, 15])
def test_black_pictures_with_noise_are_dark(level: int) -> None:
    assert states([scene(level, noise=1) for _ in range(4)] + [scene()]) == [UP, UP, DARK, DARK, UP]


@pytest.mark.parametrize("tone", [(200, 0, 0), (128, 128, 128), (255, 255, 255)])
def test_one_flat_tone_is_dark_whatever_its_colour(tone: tuple[int, int, int]) -> None:
    card = np.full((90, 160, 3), tone, np.uint8)
    assert states([card] * 4) == [UP, UP, DARK, DARK]


def test_dark_says_more_than_frozen() -> None:
    assert states([grey(0)] * 6)[-1] is DARK


def test_a_dim_scene_is_not_dark() -> None:
    assert states([scene(25, noise=10) for _ in range(6)]) == [UP] * 6


def test_a_camera_that_turns_to_infrared_stays_up() -> None:
    """Black for a moment while its filter moves, then grey, with more noise than colour."""
    night = [np.repeat(scene(80, noise=15)[..., :1], 3, axis=2) for _ in range(5)]
    assert states([scene(), scene(), grey(0), *night]) == [UP] * 8


def test_a_small_change_thaws() -> None:
    image = np.ascontiguousarray(np.tile(scene(), (8, 8, 1)))
    moved = image.copy()
    moved[300:320, 500:520] += 9
    assert states([image] * 4 + [moved])[-2:] == [FROZEN, UP]


def test_a_new_opening_begins_anew() -> None:
    image, watch = scene(), PictureWatch(3, 2)
    watch.state_of(image, EPOCH)
    watch.restart()
    assert watch.state_of(image, EPOCH + timedelta(seconds=60)) is UP


def test_the_shape_may_change() -> None:
    assert states([scene(), np.ascontiguousarray(scene()[:45]), scene()]) == [UP] * 3
