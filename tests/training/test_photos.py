from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.errors import ConfigurationError
from edge.types import Faces
from training.photos import cut_faces, cut_largest, read_photos


class Detector:
    """Sees these boxes in every picture, and remembers what it was shown."""

    def __init__(self, *boxes: tuple[float, float, float, float]) -> None:
        xyxy = np.array(boxes, np.float32).reshape(-1, 4)
        self._faces = Faces(xyxy, np.ones(len(xyxy), np.float32), np.zeros((len(xyxy), 6, 2), np.float32))
        self.seen: list[np.ndarray] = []

    def detect(self, image: np.ndarray) -> Faces:
        self.seen.append(image)
        return self._faces

    def close(self) -> None:
        pass


def ramp() -> np.ndarray:
    """200 px; red says how far right, green how far down."""
    y, x = np.indices((200, 200)).astype(np.uint8)
    return np.dstack([x, y, np.zeros_like(x)])


def test_the_largest_face_is_cut_as_a_scaled_square():
    crop = cut_largest(ramp(), Detector((0, 0, 10, 10), (50, 60, 90, 110)), 1.2, most=200)
    assert crop is not None
    assert crop.shape == (60, 60, 3)
    assert crop[0, 0].tolist() == [40, 55, 0]
    assert crop[-1, -1].tolist() == [99, 114, 0]


def test_the_detector_is_shown_bgr():
    detector = Detector((0, 0, 10, 10))
    cut_largest(ramp(), detector, 1.0, most=200)
    assert detector.seen[0][5, 9].tolist() == [0, 5, 9]


def test_a_photo_without_a_face_gives_no_crop(tmp_path: Path):
    (tmp_path / "final_files").mkdir()
    cv2.imwrite(str(tmp_path / "final_files" / "a.png"), ramp())
    (tmp_path / "labels.csv").write_text("file_name,age_group\na.png,70+\n")
    photos = read_photos(tmp_path)
    assert photos[0].group.low == 70
    assert cut_faces(photos, Detector(), 1.0, most=200) == []
    assert len(cut_faces(photos, Detector((0, 0, 10, 10)), 1.0, most=200)) == 1


@pytest.mark.parametrize(
    ("labels", "named"),
    [
        (None, "cannot be read"),
        ("file_name,age\na.png,3\n", "no column 'age_group'"),
        ("file_name,age_group\na.png,thirties\n", "'thirties'"),
        ("file_name,age_group\n", "names no picture"),
    ],
)
def test_bad_labels_are_named(tmp_path: Path, labels: str | None, named: str):
    if labels is not None:
        (tmp_path / "labels.csv").write_text(labels)
    with pytest.raises(ConfigurationError) as caught:
        read_photos(tmp_path)
    assert str(tmp_path / "labels.csv") in str(caught.value)
    assert named in str(caught.value)
