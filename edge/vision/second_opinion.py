"""The second opinion: is this box really a face that looks at the camera?

The full-range model fires on the backs of heads. The short-range model, shown the same place enlarged, does
not: its median score is 0.87 on faces and 0.54 on backs of heads. It also frames a face as the age model was
trained, which the full-range box does not.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from statistics import median_low

import numpy as np
from numpy.typing import NDArray

from edge.geometry import centres, cut_out, squares
from edge.types import Boxes, Image
from edge.vision.detect.detector import FaceDetector

PANEL = 5
"""Successive opinions that are judged by their median: at a glance, hair may look like a face."""

QUORUM = 3
"""Opinions without which a track is no face yet, so that a visitor of half a second can be one."""

ENLARGED = 2.0
"""Side of the region shown, in longer sides of the box: the surroundings that the model expects."""


@dataclass(frozen=True, slots=True, eq=False)
class Opinion:
    """What the second model saw at a box.

    score in 0..1, 0 where it saw no face. xyxy float32 (4,) and keypoints float32 (6, 2) in pixels of the
    picture; without a face the asked box and no keypoints, (0, 2).
    """

    score: float
    xyxy: Boxes
    keypoints: NDArray[np.float32]


class SecondOpinion:
    """Asks a short-range detector about one box at a time."""

    def __init__(self, detector: FaceDetector) -> None:
        self._detector = detector

    def judge(self, image: Image, box: Boxes) -> Opinion:
        """Look again at `box`, float32 (4,), of `image`, uint8 (H, W, 3) BGR."""
        left, top, right, _ = np.round(squares(box[None], ENLARGED)[0]).astype(int)
        found = self._detector.detect(cut_out(image, left, top, max(right - left, 8)))
        if not len(found):
            return Opinion(0.0, box, np.zeros((0, 2), np.float32))
        corner = np.array([left, top], np.float32)
        boxes = found.xyxy + np.tile(corner, 2)
        side = max(float((box[2:] - box[:2]).max()), 1.0)
        away = np.linalg.norm(centres(boxes) - centres(box[None]), axis=1) / side
        near = np.flatnonzero(away < 0.5)
        if not len(near):
            return Opinion(0.0, box, np.zeros((0, 2), np.float32))
        best = near[found.score[near].argmax()]
        return Opinion(float(found.score[best]), boxes[best], found.keypoints[best] + corner)

    def close(self) -> None:
        self._detector.close()


class Verdict:
    """Whether a track is a face: settled for good once enough successive opinions agree.

    A glance counts as the geometric mean of both models' scores, the detector's and the second opinion's. The
    median over `PANEL` of them came to at most 0.67 on tracks of people seen from behind and to at least 0.74
    on visitors who look towards the camera; so a visitor may turn away for as long as they like.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._glances: deque[float] = deque(maxlen=PANEL)
        self.is_face = False

    def hear(self, first: float, second: float) -> None:
        """Take both models' scores, each 0..1, of one glance at the track."""
        self._glances.append((first * second) ** 0.5)
        if len(self._glances) >= QUORUM and median_low(self._glances) >= self._threshold:
            self.is_face = True
