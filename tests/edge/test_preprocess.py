from __future__ import annotations

import numpy as np
import pytest

from edge.preprocess import resize, to_batch


def gradient(side: int) -> np.ndarray:
    """Red grows to the right, green downwards, blue is constant."""
    ramp = np.linspace(0, 255, side).astype(np.uint8)
    return np.dstack(np.broadcast_arrays(ramp[None], ramp[:, None], np.uint8(7)))


def test_shrinking_averages_areas():
    checkerboard = (np.indices((64, 64)).sum(axis=0) % 2 * 254).astype(np.uint8)
    assert np.all(resize(np.dstack([checkerboard] * 3), 32) == 127)


def test_enlarging_interpolates_between_pixels():
    image = np.zeros((2, 2, 3), np.uint8)
    image[:, 1] = 200
    row = resize(image, 8)[0, :, 0].astype(int)
    assert row[0] == 0
    assert row[-1] == 200
    assert len(set(row)) > 2
    assert np.all(np.diff(row) >= 0)


def test_the_right_size_is_not_copied():
    image = gradient(96)
    assert resize(image, 96) is image


@pytest.mark.parametrize("side", [20, 95, 96, 97, 200, 448])
def test_orientation_and_channels_survive_every_size(side: int):
    image = resize(gradient(side), 96).astype(int)
    assert image.shape == (96, 96, 3)
    assert image[:, 80, 0].mean() > image[:, 10, 0].mean() + 100
    assert image[80, :, 1].mean() > image[10, :, 1].mean() + 100
    assert np.all(image[..., 2] == 7)


@pytest.mark.parametrize(
    ("image", "wanted"),
    [
        (np.zeros((10, 12, 3), np.uint8), "square"),
        (np.zeros((0, 0, 3), np.uint8), "at least 1 px"),
        (np.zeros((10, 10), np.uint8), "uint8"),
        (np.zeros((10, 10, 3), np.float32), "uint8"),
        (np.zeros((10, 10, 4), np.uint8), "uint8"),
    ],
)
def test_what_is_no_square_of_pixels_is_refused(image: np.ndarray, wanted: str):
    with pytest.raises(ValueError, match=wanted):
        resize(image, 96)


def test_a_batch_is_each_crop_resized_in_order():
    crops = [gradient(40), gradient(96)[::-1], gradient(200)[:, ::-1]]
    batch = to_batch(crops, 96)
    assert batch.dtype == np.uint8
    assert batch.flags.c_contiguous
    for one, crop in zip(batch, crops, strict=True):
        assert np.array_equal(one, resize(crop, 96))


def test_a_batch_shares_no_memory_with_its_crops():
    crop = gradient(96)
    assert not np.shares_memory(to_batch([crop], 96), crop)


def test_no_crops_make_an_empty_batch():
    assert to_batch([], 96).shape == (0, 96, 96, 3)
