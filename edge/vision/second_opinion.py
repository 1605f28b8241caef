"""The second opinion: is this box really a face that looks at the camera?

The full-range model takes backs of heads for faces. The short-range model, given the same place enlarged,
does not: its median score is 0.87 on faces and 0.54 on backs of heads. Its box also frames a face as the age
model was trained, which the full-range box does not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median_low

import numpy as np
from numpy.typing import NDArray

from edge.geometry import centres, cut_out, squares
from edge.types import Boxes, Image
from edge.vision.detect.detector import FaceDetector

PANEL = 5
"""How many successive scores of a track the median is taken over: in a single picture hair may look like a
face."""

QUORUM = 3
"""Scores below which a track is not yet a face: few enough for a visitor who is seen for half a second."""

NARROW = 2.0
"""Side of the region that the model gets first, in longer sides of the box: it expects surroundings. The
crops for the age model come from what it sees here."""

WIDE = 3.0
"""Side of the region that it gets where it is not sure: blurred, masked and overexposed faces in a crowd
score 0.70 to 0.84 in it, and 0.58 to 0.67 in the narrow one."""

WIDEST = 6.0
"""Side of the region in which the first model looks once more, where that is not enough either: a face out of
focus is sharp again at this size. People in such a crowd score 0.6 to 0.9 in it, those seen from behind 0.2
to 0.6."""

AGREEMENT = 0.2
"""Mean distance of the eyes, nose and mouth in two looks, in longer sides of the box, from which on a wider
region is no evidence. Its medians on recordings, in the wide one: visitors 0.02 to 0.18; people seen from
behind 0.14 to 0.53, but for one of 0.13; drawn ones 0.31 to 0.53."""

CENTRAL = 4
"""The first keypoints are eyes, nose and mouth; the ears, which follow, are hidden in most views."""

NEAR = 0.5
"""Longer sides of the box within which the second model's face is the same one, centre to centre."""


@dataclass(frozen=True, slots=True, eq=False)
class Opinion:
    """What the second model saw at a box.

    score in 0..1, 0 where it saw no face. xyxy float32 (4,) and keypoints float32 (6, 2) in pixels of the
    picture; without a face the box asked about and no keypoints, (0, 2).
    """

    score: float
    xyxy: Boxes
    keypoints: NDArray[np.float32]

    @classmethod
    def no_face(cls, box: Boxes) -> Opinion:
        """The second model saw no face at `box`."""
        return cls(0.0, box, np.zeros((0, 2), np.float32))

    @property
    def saw_face(self) -> bool:
        """Whether there are a box and keypoints of a face."""
        return len(self.keypoints) > 0


class SecondOpinion:
    """Asks a short-range detector about one box at a time, and the first model once more where that helps."""

    def __init__(self, detector: FaceDetector, first: FaceDetector | None = None) -> None:
        """first: the full-range model, where it is what found the boxes."""
        self._detector = detector
        self._first = first

    def examine(self, image: Image, box: Boxes) -> Opinion:
        """Look again at `box`, float32 (4,), of `image`, uint8 (H, W, 3) BGR."""
        return _look(self._detector, image, box, NARROW)

    def in_wider_regions(self, image: Image, box: Boxes, keypoints: NDArray[np.float32]) -> Iterator[float]:
        """The scores in wider regions, 0..1, each asked for when it is needed.

        They end with the first region that does not show eyes, nose and mouth where `keypoints`, float32
        (6, 2) in pixels of `image`, has them.
        """
        for detector, enlarged in ((self._detector, WIDE), (self._first, WIDEST)):
            if detector is None:
                return
            seen = _look(detector, image, box, enlarged)
            if not seen.saw_face or _apart(seen.keypoints, keypoints) >= AGREEMENT * _side(box):
                return
            yield seen.score

    def close(self) -> None:
        """Release the detectors."""
        self._detector.close()
        if self._first is not None:
            self._first.close()


def _look(detector: FaceDetector, image: Image, box: Boxes, enlarged: float) -> Opinion:
    """What a model sees at `box`. enlarged: side of the region that it gets, in longer sides of the box."""
    left, top, right, _ = np.round(squares(box[None], enlarged)[0]).astype(int)
    corner = np.array([left, top], np.float32)

    def is_same(found: Boxes) -> NDArray[np.bool_]:
        apart = centres(found + np.tile(corner, 2)) - centres(box[None])
        return np.asarray(np.linalg.norm(apart, axis=1) / _side(box) < NEAR)

    face = detector.surest(cut_out(image, left, top, max(right - left, 8)), is_same)
    if not len(face):
        return Opinion.no_face(box)
    return Opinion(float(face.score[0]), face.xyxy[0] + np.tile(corner, 2), face.keypoints[0] + corner)


def _apart(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Mean distance of the eyes, nose and mouth of two looks, in pixels."""
    return float(np.linalg.norm(one[:CENTRAL] - other[:CENTRAL], axis=1).mean())


def _side(box: Boxes) -> float:
    """The longer side of a box, float32 (4,), in pixels; at least 1."""
    return max(float((box[2:] - box[:2]).max()), 1.0)


class FaceVerdict:
    """Whether a track is a face: final once enough successive scores agree.

    The score of one look is the geometric mean of both models' scores, the detector's and the second
    opinion's. The median over `PANEL` of them was at most 0.67 on tracks of people seen from behind and at
    least 0.74 on visitors who look towards the camera. As the verdict is final, a visitor may turn away
    afterwards.
    """

    def __init__(self, threshold: float) -> None:
        """threshold: the median score, 0..1, from which on a track is a face."""
        self._threshold = threshold
        self._scores: deque[float] = deque(maxlen=PANEL)
        self.is_face = False

    @property
    def doubted(self) -> bool:
        """Whether the panel is full and none of its scores reaches the threshold."""
        return len(self._scores) == PANEL and max(self._scores) < self._threshold

    def sure(self, first: float, second: float) -> bool:
        """Whether these scores of one look reach the threshold, or the verdict needs no more looks."""
        return self.is_face or _joint(first, second) >= self._threshold

    def add(self, first: float, second: float) -> None:
        """Take both models' scores, each 0..1, of one look at the track."""
        self._scores.append(_joint(first, second))
        if len(self._scores) >= QUORUM and median_low(self._scores) >= self._threshold:
            self.is_face = True


def _joint(first: float, second: float) -> float:
    """The score of both models together: the geometric mean."""
    return float((first * second) ** 0.5)
