"""Which pictures have no colour, and the tone that they get."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge.vision.toning import is_grey, toned


def noise(channels: int, seed: int = 0) -> np.ndarray:
    """A picture of blurred noise, uint8 (240, 320, channels)."""
    rough = np.random.default_rng(seed).integers(0, 256, (240, 320, channels)).astype(np.uint8)
    return cv2.GaussianBlur(rough, (0, 0), 1.5).reshape(240, 320, channels)


def grey() -> np.ndarray:
    return np.repeat(noise(1), 3, axis=2)


def test_a_picture_with_equal_channels_is_grey():
    assert is_grey(grey())


@pytest.mark.parametrize("quality", [20, 50, 95])
def test_it_stays_grey_when_it_is_compressed(quality: int):
    _, encoded = cv2.imencode(".jpg", grey(), [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert is_grey(np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8))


def test_the_time_in_yellow_in_a_corner_is_no_colour_of_the_picture():
    image = grey()
    cv2.putText(image, "2026-11-30 21:15", (5, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 255, 255), 2)
    assert is_grey(image)


def test_a_picture_with_colour_is_not_grey():
    assert not is_grey(noise(3))


@pytest.mark.parametrize("light", [0.5, 0.25])
def test_neither_is_it_in_little_light(light: float):
    image = grey().astype(float)
    image[60:180, 40:280] *= (0.8, 1.0, 1.15)
    assert not is_grey(image.clip(0, 255).astype(np.uint8))
    assert not is_grey((light * image).astype(np.uint8))


@pytest.mark.parametrize("quality", [20, 50, 95])
def test_a_dark_grey_picture_stays_grey_when_it_is_compressed(quality: int):
    _, encoded = cv2.imencode(".jpg", grey() // 5, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert is_grey(np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8))


def test_neither_is_a_grey_shop_with_a_coloured_shelf():
    image = grey()
    image[100:160, 40:120, 2] = 255 - image[100:160, 40:120, 2] // 2
    assert not is_grey(image)


@pytest.mark.parametrize("shape", [(1, 1, 3), (7, 5, 3)])
def test_a_picture_too_small_to_be_looked_at_is_not_grey(shape: tuple[int, ...]):
    assert not is_grey(np.zeros(shape, np.uint8))


def test_a_toned_picture_is_as_bright_as_it_was():
    levels = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    luma = cv2.cvtColor(toned(levels), cv2.COLOR_BGR2GRAY)[0].astype(int)
    assert np.abs(luma - np.arange(256)).max() <= 1


def test_black_and_white_keep_their_tone_and_the_middle_gets_that_of_skin():
    black, middle, white = toned(np.array([[[0] * 3, [128] * 3, [255] * 3]], np.uint8))[0].astype(int)
    assert black.tolist() == [0, 0, 0]
    assert white.tolist() == [255, 255, 255]
    blue, green, red = middle
    assert red - green > 15
    assert green - blue > 15


def test_a_view_of_a_picture_can_be_toned_as_well_as_a_whole_one():
    image = grey()
    part = image[40:200, 60:220]
    assert (toned(part) == toned(image)[40:200, 60:220]).all()
