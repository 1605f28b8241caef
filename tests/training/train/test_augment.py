from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge.preprocess import resize
from training.train.augment import augment, blend
from training.train.config import AugmentSettings

OFF: dict[str, Any] = dict.fromkeys(AugmentSettings.model_fields, 0.0) | {"smallest": 24}


def only(**on: float) -> AugmentSettings:
    return AugmentSettings(**{**OFF, **on})


@pytest.fixture
def crop() -> np.ndarray:
    """Dark on the left, bright on the right, with fine stripes."""
    ramp = np.linspace(40, 200, 96)[None, :, None] + 20 * (np.arange(96)[:, None, None] % 2)
    return np.broadcast_to(ramp, (96, 96, 3)).astype(np.uint8)


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def sharpness(image: np.ndarray) -> float:
    return float(np.abs(np.diff(image.astype(float), axis=0)).mean())


def test_all_off_is_the_daemons_own_resizing(crop):
    assert np.array_equal(augment(crop, only(), 64, random()), resize(crop, 64))


def test_gives_pixels_of_the_wanted_size_and_leaves_the_crop_alone(crop):
    before = crop.copy()
    for seed in range(30):
        image = augment(crop, AugmentSettings(), 80, random(seed))
        assert image.shape == (80, 80, 3)
        assert image.dtype == np.uint8
    assert np.array_equal(crop, before)


def test_the_same_seed_gives_the_same_pixels_and_another_does_not(crop):
    made = [augment(crop, AugmentSettings(), 64, random(seed)) for seed in (1, 1, 2)]
    assert np.array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])


def test_reads_a_read_only_crop(crop):
    crop.flags.writeable = False
    before = crop.copy()
    augment(crop, AugmentSettings(erase=1.0), 64, random())
    assert np.array_equal(crop, before)


def test_flip_mirrors(crop):
    assert np.array_equal(augment(crop, only(flip=1.0), 96, random()), crop[:, ::-1])


def test_turning_keeps_the_middle_and_moves_the_corners(crop):
    image = augment(crop, only(rotate=30.0), 96, random(1)).astype(float)
    assert abs(image[44:52, 44:52].mean() - crop[44:52, 44:52].mean()) < 8
    assert abs(image[:8, :8].mean() - crop[:8, :8].mean()) > 8


def test_shifting_repeats_the_edge_as_a_box_does():
    white = np.full((64, 64, 3), 255, np.uint8)
    assert augment(white, only(shift=0.3, zoom=0.3, rotate=20.0), 64, random()).min() == 255


def test_a_sharpened_face_is_sharper_and_as_bright(crop):
    images = [augment(crop, only(sharpen=1.0), 96, random(seed)) for seed in range(8)]
    assert np.mean([sharpness(image) for image in images]) > 1.2 * sharpness(crop)
    assert np.mean(images) == pytest.approx(crop.mean(), abs=1)


def test_a_wall_replaces_what_surrounds_the_face_and_leaves_the_face(crop):
    images = np.stack([augment(crop, only(wall=1.0), crop.shape[0], random(seed)) for seed in range(8)])
    middle = slice(crop.shape[0] * 2 // 5, crop.shape[0] * 3 // 5)
    assert np.abs(images[:, middle, middle].astype(int) - crop[middle, middle]).max() <= 1
    corners = images[:, 0, 0].astype(int)
    assert np.ptp(corners, axis=0).min() > 60  # walls of many colours


@pytest.mark.parametrize("on", [{"small": 1.0}, {"blur": 1.0}])
def test_a_far_or_blurred_face_is_less_sharp(crop, on):
    assert np.mean([sharpness(augment(crop, only(**on), 96, random(s))) for s in range(8)]) < 0.8 * sharpness(
        crop
    )


def test_light_moves_the_mean_and_grey_takes_the_colour(crop):
    bright = [augment(crop, only(light=0.3), 96, random(s)).mean() for s in range(8)]
    assert np.std(bright) > 5
    tinted = crop.copy()
    tinted[..., 0] = 0
    grey = augment(tinted, only(grey=1.0), 96, random())
    assert (grey.max(-1) == grey.min(-1)).all()


def test_compressing_adds_noise(crop):
    image = augment(crop, only(compress=1.0), 96, random())
    assert 0 < np.abs(image.astype(int) - crop).mean() < 20


def test_a_patch_covers_a_part_in_one_colour(crop):
    covered = (augment(crop, only(erase=1.0), 96, random(3)) != crop).any(-1)
    assert 0.005 < covered.mean() < 0.25


def test_a_blend_holds_its_share_of_each():
    black, white = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 200, np.uint8)
    assert (blend(black, white, 0.25) == 50).all()
