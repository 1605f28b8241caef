"""Block matching: is the picture at a face the one of a moment ago?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import cv2
import numpy as np
import pytest

from edge.types import KEYPOINTS, Faces, Image
from edge.vision.track import Tracker
from edge.vision.track.blocks import SIDE, agreement, blocks

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
FACE = 80


def picture(seed: int, x: int = 300, y: int = 200) -> Image:
    """A grey wall with the head of one of many people centred at x, y."""
    coarse = np.random.default_rng(seed).integers(40, 220, (9, 9, 3), np.uint8)
    head = cv2.resize(coarse, (2 * FACE, 2 * FACE), interpolation=cv2.INTER_CUBIC)
    image = np.full((480, 640, 3), 128, np.uint8)
    image[y - FACE : y + FACE, x - FACE : x + FACE] = head
    return image


def box(x: float = 300, y: float = 200, side: float = FACE) -> np.ndarray:
    return np.array([[x - side / 2, y - side / 2, x + side / 2, y + side / 2]], np.float32)


def block(image: Image, *place: float) -> np.ndarray:
    (found,) = blocks(image, box(*place))
    return np.asarray(found)


@pytest.mark.parametrize("place", [(300, 200), (306, 196), (300, 200, 86), (294, 203, 75)])
def test_a_face_agrees_with_itself_though_its_box_jitters(place: tuple[float, ...]) -> None:
    assert agreement(block(picture(1)), block(picture(1), *place)) > 0.9


def test_it_does_so_where_it_has_moved_and_the_light_has_changed() -> None:
    moved = picture(1, 400, 260) // 2 + 20
    assert agreement(block(picture(1)), block(moved, 400, 260)) > 0.95


def test_faces_of_two_people_do_not_agree() -> None:
    others = [agreement(block(picture(0)), block(picture(seed))) for seed in range(1, 20)]
    assert max(others) < 0.7 and np.median(others) < 0.5


def test_a_block_is_small_grey_and_of_faces_at_the_edge_too() -> None:
    found = blocks(picture(1), np.concatenate([box(2, 3), box(639, 479), box(-500, 0), box(side=0.2)]))
    assert found.shape == (4, SIDE, SIDE) and found.dtype == np.uint8
    assert blocks(picture(1), np.empty((0, 4), np.float32)).shape == (0, SIDE, SIDE)


def test_nothing_is_known_of_what_shows_nothing() -> None:
    nothing = np.zeros((SIDE, SIDE), np.uint8)
    assert np.isnan(agreement(nothing, block(picture(1))))
    assert np.isnan(agreement(block(picture(1)), nothing))


def show(tracker: Tracker, seconds: float, seed: int | None, x: int) -> dict[int, int]:
    """One frame with one face; its track."""
    found = Faces(box(x), np.array([0.9], np.float32), np.zeros((1, KEYPOINTS, 2), np.float32))
    shown = None if seed is None else blocks(picture(seed, x), found.xyxy)
    tracks = tracker.update(found, START + timedelta(seconds=seconds), blocks=shown)
    return {track.face: track.track_id for track in tracks if track.face is not None}


@pytest.mark.parametrize(
    ("seed", "gap", "same"),
    [(1, 0.4, True), (None, 0.4, True), (2, 0.4, False), (2, 0.6, True)],
)
def test_another_picture_beside_where_somebody_was_a_moment_ago_is_somebody_else(
    seed: int | None, gap: float, same: bool
) -> None:
    """Before, the next face of a crowd went on as the one that had just been hidden."""
    tracker = Tracker()
    for number in range(10):
        before = show(tracker, number / 10, 1, 300)
    after = show(tracker, 0.9 + gap, seed, 300 + round(FACE * 2.2))
    assert (after == before) is same


def test_nobody_is_known_by_a_picture_of_longer_ago() -> None:
    tracker = Tracker()
    for number in range(10):
        show(tracker, number / 10, 1, 300)
    nobody = Faces.empty()
    tracker.update(nobody, START + timedelta(seconds=1.4))
    assert tracker._tracks.blocks.any()
    tracker.update(nobody, START + timedelta(seconds=1.5))
    assert not tracker._tracks.blocks.any()
