"""Which pictures count as the same photo."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge.types import Image
from tests.training.dataset.folders import noise, portrait
from training.dataset.copies import difference_hash, members, mirrored_hash, near_groups


def groups(*images: Image) -> list[int]:
    hashes = np.stack([difference_hash(image) for image in images])
    return near_groups(hashes, np.stack([mirrored_hash(image) for image in images])).tolist()


def compressed(image: Image, quality: int) -> Image:
    content = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR), np.uint8)


@pytest.mark.parametrize(
    "change",
    [
        lambda image: compressed(image, 30),
        lambda image: cv2.resize(image, (90, 90), interpolation=cv2.INTER_AREA),
        lambda image: cv2.flip(image, 1),
        lambda image: np.clip(image * 0.7 + 20, 0, 255).astype(np.uint8),
        lambda image: cv2.GaussianBlur(image, (0, 0), 3),
    ],
    ids=["recompressed", "smaller", "mirrored", "dimmer", "blurred"],
)
def test_a_changed_copy_is_the_same_photo(change):
    original = portrait(0)
    first, copy, other = groups(original, change(original), portrait(1))
    assert first == copy != other


def test_different_people_are_different_photos():
    assert len(set(groups(*(portrait(i) for i in range(4))))) == 4


def test_chains_of_copies_are_one_group_across_blocks():
    images = [noise(i) for i in range(400)]
    images[399] = cv2.flip(images[3], 1)
    images[300] = compressed(images[3], 60)
    found = np.array(groups(*images))
    assert [group.tolist() for group in members(found)] == [[3, 300, 399]]


def test_no_pictures_have_no_groups():
    none = np.zeros((0, 4), np.uint64)
    assert near_groups(none, none).shape == (0,)
    assert members(near_groups(none, none)) == []
