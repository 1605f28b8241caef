"""The live picture of an audit: flat where a face may be, and as it was elsewhere."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from edge.config import CameraSettings
from edge.types import Boxes, Frame, Image
from edge.vision.setup.masked import BLOCKS, WIDEST, LiveFaces, Masked, block_of, mosaic
from tests.edge.web.setup.scene import face_in_view
from tests.fakes import EPOCH

NONE = np.zeros((0, 4), np.float32)


def boxes(*of: tuple[float, ...]) -> Boxes:
    return np.array(of, np.float32).reshape(-1, 4)


def noise(width: int = WIDEST, height: int = 180) -> Image:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)


def frame(image: Image, second: float = 0) -> Frame:
    return Frame("door", EPOCH + timedelta(seconds=second), image)


def colours(part: Image) -> int:
    return len(np.unique(part.reshape(-1, 3), axis=0))


@pytest.mark.parametrize("face", [8, 11, 20, 33, 60, 110])
@pytest.mark.parametrize("left", [40, 47, 101])
def test_a_face_is_at_most_three_flat_blocks_wide_and_high(face: int, left: int) -> None:
    image, top = noise(), 30
    made, coarse = mosaic(image, boxes((left, top, left + face, top + face)))
    assert colours(made[top : top + face, left : left + face]) <= 9
    assert coarse[top : top + face, left : left + face].all()
    assert (made[~coarse] == image[~coarse]).all()
    assert coarse.sum() < (2.8 * face) ** 2
    assert block_of(face) >= face / 2


def test_a_block_has_the_mean_of_its_place() -> None:
    image = noise()
    made, _ = mosaic(image, boxes((40, 40, 56, 56)))
    assert np.abs(made[40, 40] - image[40:48, 40:48].mean(axis=(0, 1))).max() <= 1


def test_a_small_box_leaves_nothing_finer_on_a_face() -> None:
    image, face = noise(), boxes((80, 40, 140, 100))
    both = np.concatenate([face, boxes((100, 60, 108, 68))])
    assert (mosaic(image, both)[0] == mosaic(image, face)[0]).all()


def test_what_was_found_stays_coarse_for_a_second() -> None:
    found = [boxes((200, 80, 240, 120)), NONE, NONE, NONE]
    masked = Masked(lambda _: found.pop(0), lambda _: NONE)
    pictures = [masked.picture(frame(noise(640, 360), second)) for second in (0, 0.5, 1.0, 1.5)]
    assert [picture is not None and colours(picture[40:60, 100:120]) < 10 for picture in pictures] == [
        True, True, True, False,
    ]  # fmt: skip


def test_a_face_that_is_found_on_the_picture_itself_is_coarse_too() -> None:
    masked = Masked(lambda _: NONE, lambda _: boxes((100, 40, 120, 60)))
    picture = masked.picture(frame(noise(640, 360)))
    assert picture is not None and colours(picture[40:60, 100:120]) <= 9


def test_a_picture_on_which_another_face_is_always_found_is_not_shown() -> None:
    places = iter(boxes((at, 40, at + 20, 60)) for at in (20, 90, 160, 230, 280))
    assert Masked(lambda _: NONE, lambda _: next(places)).picture(frame(noise(640, 360))) is None


@pytest.mark.parametrize("size", [(1, 1), (700, 1), (1, 900), (3000, 3), (3, 2000)])
def test_any_size_gives_a_picture(size: tuple[int, int]) -> None:
    find = boxes((0, 0, 2, 2), (-50, -50, 4000, 4000))
    picture = Masked(lambda _: find, lambda _: find).picture(frame(noise(*size)))
    assert picture is not None and max(picture.shape) <= WIDEST == BLOCKS[-1]


def test_a_small_face_is_found_whatever_the_range_of_the_camera_is() -> None:
    """The `near` network alone does not find it; the rest of the picture stays as it is."""
    seen, find = face_in_view(1)[0], LiveFaces(CameraSettings(name="door", source="0", range="near"))
    picture = Masked(find, find.likely).picture(seen)
    plain = Masked(lambda _: NONE, lambda _: NONE).picture(seen)
    left, top, right, bottom = find.likely(seen)[0].round().astype(int).tolist()
    find.close()
    assert picture is not None and plain is not None
    face = np.s_[top // 2 : bottom // 2, left // 2 : right // 2]
    assert right - left > 16
    assert colours(picture[face]) <= 9 < colours(plain[face])
    assert (picture != plain).any(axis=2).mean() < 0.2


def test_a_picture_is_looked_at_for_colour_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Image] = []

    def looked_at(image: Image) -> bool:
        asked.append(image)
        return False

    monkeypatch.setattr("edge.vision.setup.still.is_grey", looked_at)
    find = LiveFaces(CameraSettings(name="door", source="0"))
    find(frame(noise()))
    find.close()
    assert len(asked) == 1
