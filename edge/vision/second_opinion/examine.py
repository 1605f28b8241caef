"""A closer look at a box: where exactly the face is, and its eyes, nose and mouth.

The short-range model, given the same place enlarged, frames a face as the age model was trained, which the
full-range box does not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.geometry import centres, cut_out, squares
from edge.types import Boxes, Faces, Image
from edge.vision.detect.detector import FaceDetector, Wanted

ENLARGED = 2.0
"""Side of the region that the short-range model gets, in longer sides of the box: it expects surroundings."""

NEAR = 0.5
"""Longer sides of the box within which the second model's face is the same one, centre to centre."""


@dataclass(frozen=True, slots=True, eq=False)
class Opinion:
    """What the short-range model saw at a box.

    score in 0..1, 0 where it saw no face. xyxy float32 (4,) and keypoints float32 (6, 2) in pixels of the
    picture; without a face the box asked about and no keypoints, (0, 2).
    """

    score: float
    xyxy: Boxes
    keypoints: NDArray[np.float32]

    @classmethod
    def no_face(cls, box: Boxes) -> Opinion:
        """The model saw no face at `box`."""
        return cls(0.0, box, np.zeros((0, 2), np.float32))

    @property
    def saw_face(self) -> bool:
        """Whether there are a box and keypoints of a face."""
        return len(self.keypoints) > 0


class SecondOpinion:
    """Asks a short-range detector about boxes that another has found."""

    def __init__(self, detector: FaceDetector) -> None:
        """detector: it is closed with this."""
        self._detector = detector

    def examine(self, image: Image, boxes: Boxes) -> list[Opinion]:
        """Look again at each of the `boxes`, float32 (N, 4), of `image`, uint8 (H, W, 3) BGR."""
        regions = np.round(squares(boxes, ENLARGED)).astype(int)
        corners = regions[:, [0, 1, 0, 1]].astype(np.float32)
        pieces = [cut_out(image, left, top, max(right - left, 8)) for left, top, right, _ in regions.tolist()]
        faces = self._detector.surest(pieces, [*map(_same, boxes, corners)]) if pieces else []
        return [*map(_opinion, boxes, corners, faces)]

    def close(self) -> None:
        """Release the detector."""
        self._detector.close()


def _same(box: Boxes, corner: Boxes) -> Wanted:
    """Which faces of a region that begins at this corner are the one of the box."""
    middle, side = centres(box[None]), _side(box)
    return lambda found: np.asarray(
        np.linalg.norm(centres(found + corner) - middle, axis=1) / side < NEAR, np.bool_
    )


def _opinion(box: Boxes, corner: Boxes, face: Faces) -> Opinion:
    """What a region that begins at this corner shows of the box: its face, or none."""
    if not len(face):
        return Opinion.no_face(box)
    return Opinion(float(face.score[0]), face.xyxy[0] + corner, face.keypoints[0] + corner[:2])


def _side(box: Boxes) -> float:
    """The longer side of a box, float32 (4,), in pixels; at least 1."""
    return max(float((box[2:] - box[:2]).max()), 1.0)
