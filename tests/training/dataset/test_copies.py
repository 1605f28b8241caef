"""Which pictures count as the same photo."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge.types import Image
from tests.training.dataset.folders import noise, portrait
from training.dataset.copies import (
    difference_hash,
    grouped,
    members,
    mirrored_hash,
    near_pairs,
    same_photo,
)


def groups(*images: Image) -> list[int]:
    hashes = np.stack([difference_hash(image) for image in images])
    pairs = near_pairs(hashes, np.stack([mirrored_hash(image) for image in images]))
    return grouped(pairs, len(images)).tolist()


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
    assert near_pairs(none, none).shape == (0, 3)
    assert members(grouped(near_pairs(none, none), 0)) == []


def test_different_faces_before_one_wall_are_two_photos():
    wall = np.full((240, 240, 3), 200, np.uint8)
    people = []
    for i in range(2):
        picture = wall.copy()
        picture[80:160, 80:160] = cv2.resize(portrait(i), (80, 80), interpolation=cv2.INTER_AREA)
        people.append(picture)
    box = (80.0, 80.0, 160.0, 160.0)
    assert not same_photo(people[0], people[1], box)
    smaller = cv2.resize(people[0], (180, 180), interpolation=cv2.INTER_AREA)
    assert same_photo(people[0], compressed(np.asarray(smaller, np.uint8), 50), box)
