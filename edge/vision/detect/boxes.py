"""From what a face network says of each of its anchors to the faces in a picture, as MediaPipe does it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from edge.types import KEYPOINTS, Boxes, Faces
from edge.vision.detect.detector import Wanted
from edge.vision.detect.letterbox import Letterbox
from edge.vision.detect.networks import Anchors

Array = NDArray[np.float32]

SAME = 0.3
"""Intersection over union above which two boxes show one face: MediaPipe's `min_suppression_threshold`."""

CLIP = 80.0
"""Logits beyond it are as sure as they can be in float32."""

CORNERS = 2
"""Points of a box: they come before its keypoints."""


class Answer:
    """The likely boxes of one picture, the surest first, and the faces that they are grouped into."""

    def __init__(
        self, raw: Array, logits: Array, anchors: Anchors, min_score: float, letterbox: Letterbox
    ) -> None:
        """raw: float32, 16 numbers of each box in the order of `Anchors.shape`: middle and size of the box
        and six keypoints in pixels of the network's picture, beside its anchor. logits: float32 (A,).
        min_score: of the boxes that are likely, 0..1.
        """
        (likely,) = (logits >= _least_logit(min_score)).nonzero()
        score = np.asarray(1 / (1 + np.exp(-np.maximum(logits[likely], -CLIP))), np.float32)
        order = (-score).argsort(kind="stable")[: np.count_nonzero(score >= min_score)]
        likely, self._score = likely[order], score[order]
        numbers = anchors.numbers(raw, likely) / np.float32(letterbox.size)
        self._points = _points(numbers, anchors.middles[likely])
        self._letterbox = letterbox

    def faces(self) -> Faces:
        """The faces, the surest first, in pixels of the picture."""
        groups = list(_groups(self._points))
        return self._merged(groups) if groups else Faces.empty()

    def surest(self, wanted: Wanted) -> Faces:
        """The first of the faces that is `wanted`, or none: the others are not put together."""
        one_by_one = (self._merged([group]) for group in _groups(self._points))
        return next((face for face in one_by_one if wanted(face.xyxy)[0]), Faces.empty())

    def _merged(self, groups: list[NDArray[np.intp]]) -> Faces:
        """One face for each group of boxes, whose surest comes first."""
        merged = np.stack([_mean(self._points[group], self._score[group]) for group in groups])
        found = self._letterbox.back(merged)
        boxes = _whole_pixels(found[:, :CORNERS].reshape(-1, 4))
        return Faces(boxes, self._score[[group[0] for group in groups]], found[:, CORNERS:])


def _least_logit(min_score: float) -> float:
    """A logit below which no box has this score: to compare takes a part of the time of an exponential."""
    if not 0.001 < min_score < 0.999:
        return -math.inf
    return math.log(min_score / (1 - min_score)) - 0.01  # scores are rounded


def _points(raw: Array, anchors: Array) -> Array:
    """Left top, right bottom and keypoints of each box, (N, 8, 2), as shares of the network's picture."""
    points = raw.reshape(-1, 2 + KEYPOINTS, 2)
    half = points[:, 1] / 2
    points[:, 1] = points[:, 0]
    points += anchors[:, None]
    points[:, 0] -= half
    points[:, 1] += half
    return points


def _groups(points: Array) -> Iterator[NDArray[np.intp]]:
    """The boxes of each face, its surest first, from points (N, 8, 2) in the order of their scores."""
    starts, ends = points[:, 0], points[:, 1]
    large, left = _areas(starts, ends), np.arange(len(points))
    while len(left):
        shared = _areas(np.maximum(starts, starts[0]), np.minimum(ends, ends[0]))
        either = large[0] + large - shared
        iou = np.divide(shared, either, out=np.zeros_like(shared), where=either > 0)
        other = iou <= SAME
        other[0] = False
        yield left[~other]
        left, starts, ends, large = left[other], starts[other], ends[other], large[other]


def _areas(starts: Array, ends: Array) -> Array:
    """As `geometry.areas`, of corners (N, 2): it is asked once for each face."""
    sides = np.maximum(ends - starts, 0)
    return np.asarray(sides[:, 0] * sides[:, 1], np.float32)


def _mean(points: Array, weights: Array) -> Array:
    """As `np.average` along the first axis, (8, 2), to the last bit in half of its time."""
    weights = weights[:, None, None]
    return np.asarray((points * weights).sum(axis=0) / weights.sum(axis=0), np.float32)


def _whole_pixels(boxes: Boxes) -> Boxes:
    """Boxes (N, 4) with corner and size cut to whole pixels, as MediaPipe returns them.

    It moves a box that begins outside of the picture to the edge, and keeps its size.
    """
    corner, size = np.trunc(boxes[:, :2]).clip(0), np.trunc(boxes[:, 2:] - boxes[:, :2])
    return np.asarray(np.concatenate([corner, corner + size], axis=1), np.float32)
