"""MediaPipe's library, called without its Python class: the same faces, and its errors."""

from __future__ import annotations

import ctypes
from contextlib import nullcontext
from typing import Any
from unittest.mock import Mock

import cv2
import numpy as np
import pytest

from edge.commands.demo.scene import Scene, compose
from edge.types import KEYPOINTS, Faces, Image
from edge.vision.detect import mediapipe
from edge.vision.detect.mediapipe import MediaPipeDetector, _keypoints, _Library
from edge.vision.detect.networks import Range


@pytest.fixture(scope="module")
def pictures() -> list[Image]:
    """With nobody, with visitors, and a part of one, which is no picture of its own in memory."""
    scene = Scene()
    shown = [np.ascontiguousarray(compose(scene, second)) for second in (0.0, 3.0, 5.0)]
    height, width = shown[1].shape[:2]
    return [*shown, shown[1][height // 4 :, width // 4 :]]


def as_its_class_finds_them(detector: MediaPipeDetector, picture: Image) -> Faces:
    import mediapipe as mp

    rgb = mp.Image(image_format=mp.ImageFormat.SRGB, data=cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
    found = detector._detector.detect(rgb).detections
    corners = [d.bounding_box for d in found]
    boxes = [(b.origin_x, b.origin_y, b.origin_x + b.width, b.origin_y + b.height) for b in corners]
    points = np.array([[(k.x, k.y) for k in d.keypoints] for d in found], np.float32)
    size = np.array(picture.shape[1::-1], np.float32)
    return Faces(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array([d.categories[0].score for d in found], np.float32),
        points.reshape(-1, KEYPOINTS, 2) * size,
    )


@pytest.mark.parametrize(("range_", "min_score"), [("far", 0.5), ("near", 0.1)])
def test_the_faces_are_those_of_its_class_to_the_last_bit(
    pictures: list[Image], range_: Range, min_score: float
) -> None:
    detector = MediaPipeDetector(range_, min_score)
    found = [detector.detect(picture) for picture in pictures]
    for faces, picture in zip(found, pictures, strict=True):
        theirs = as_its_class_finds_them(detector, picture)
        np.testing.assert_array_equal(faces.xyxy, theirs.xyxy, strict=True)
        np.testing.assert_array_equal(faces.score, theirs.score, strict=True)
        np.testing.assert_array_equal(faces.keypoints, theirs.keypoints, strict=True)
    detector.close()
    assert sum(map(len, found)) > 1


@pytest.mark.parametrize(("width", "copies"), [(640, 1), (636, 4)])
def test_pictures_whose_rows_follow_each_other_are_not_copied_again(
    pictures: list[Image], monkeypatch: pytest.MonkeyPatch, width: int, copies: int
) -> None:
    copy = Mock(wraps=mediapipe._as_picture)
    monkeypatch.setattr(mediapipe, "_as_picture", copy)
    scaled = [np.asarray(cv2.resize(one, (width, 360)), np.uint8) for one in pictures[:3]]
    detector = MediaPipeDetector("far", 0.5)
    found = [detector.detect(picture) for picture in scaled]
    assert copy.call_count == copies
    for faces, picture in zip(found, scaled, strict=True):
        theirs = as_its_class_finds_them(detector, picture)
        np.testing.assert_array_equal(faces.keypoints, theirs.keypoints, strict=True)
    detector.close()
    assert sum(map(len, found)) > 0


def test_a_detector_that_is_closed_is_not_asked() -> None:
    detector = MediaPipeDetector("near", 0.5)
    detector.close()
    with pytest.raises(RuntimeError, match="closed"):
        detector.detect(np.zeros((9, 9, 3), np.uint8))


def test_its_errors_are_raised() -> None:
    class Failing:
        def MpFaceDetectorDetectImage(self, *_: object) -> int:  # noqa: N802 - as it is named there
            return 3

    library = _Library()
    library._raw = Failing()
    with pytest.raises(ValueError, match="Invalid argument"):
        library.search(ctypes.c_void_p(1), ctypes.c_void_p(1))


class Watched:
    """MediaPipe's library, whose calls are noted."""

    def __init__(self, library: object) -> None:
        self._library = library
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> object:
        self.calls.append(name)
        return getattr(self._library, name)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    calls = Watched(mediapipe._library()._raw)
    monkeypatch.setattr(mediapipe._library(), "_raw", calls)
    return calls


@pytest.mark.parametrize("fails", [False, True])
def test_the_memory_of_each_result_is_given_back(
    pictures: list[Image], watched: Watched, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    detector = MediaPipeDetector("near", 0.5)
    if fails:
        monkeypatch.setattr(mediapipe, "_faces", lambda *_, **__: 1 // 0)
    for picture in pictures:
        with pytest.raises(ZeroDivisionError) if fails else nullcontext():
            detector.detect(picture)
    detector.close()
    assert watched.calls.count("MpFaceDetectorDetectImage") == len(pictures)
    assert watched.calls.count("MpFaceDetectorCloseResult") == len(pictures)


def test_the_memory_of_an_error_is_given_back() -> None:
    freed: list[bytes | None] = []

    class Failing:
        def MpFaceDetectorDetectImage(self, *given: Any) -> int:  # noqa: N802 - as it is named there
            given[-1]._obj.value = b"no picture"
            return 3

        def MpErrorFree(self, error: ctypes.c_char_p) -> None:  # noqa: N802
            freed.append(error.value)

    library = _Library()
    library._raw = Failing()
    with pytest.raises(ValueError, match="no picture"):
        library.search(ctypes.c_void_p(1), ctypes.c_void_p(1))
    assert freed == [b"no picture"]


def test_a_face_without_all_keypoints_is_not_read_beyond_them() -> None:
    class Short:
        keypoints_count = KEYPOINTS - 1

    with pytest.raises(ValueError, match="6 keypoints"):
        _keypoints([Short()])
