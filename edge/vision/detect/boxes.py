"""From what a face network says of each of its anchors to the faces in a picture, as MediaPipe does it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge.geometry import areas, intersections
from edge.types import KEYPOINTS, Boxes, Faces
from edge.vision.detect.letterbox import Letterbox

Array = NDArray[np.float32]

SAME = 0.3
"""Intersection over union above which two boxes show one face: MediaPipe's `min_suppression_threshold`."""

CLIP = 80.0
"""Logits beyond it are as sure as they can be in float32."""

CORNERS = 2
"""Points of a box: they come before its keypoints."""


def faces_of(raw: Array, logits: Array, anchors: Array, min_score: float, letterbox: Letterbox) -> Faces:
    """The faces with a score of at least `min_score`, 0..1, the surest first, in pixels of the picture.

    raw: float32 (A, 16), middle and size of each box and six keypoints as shares of the network's picture,
    beside its anchor. logits: float32 (A,). anchors: float32 (A, 2).
    """
    scores = 1 / (1 + np.exp(-logits.clip(-CLIP, CLIP)))
    likely = np.flatnonzero(scores >= min_score)
    if not len(likely):
        return Faces.empty()
    score = scores[likely]
    points = _points(raw[likely], anchors[likely])
    groups = _groups(points, score)
    merged = np.stack([_mean(points[group], score[group]) for group in groups])
    best = np.array([score[group[0]] for group in groups], np.float32)
    found = letterbox.back(merged.astype(np.float32))
    return Faces(_whole_pixels(found[:, :CORNERS].reshape(-1, 4)), best, found[:, CORNERS:])


def _points(raw: Array, anchors: Array) -> Array:
    """Left top, right bottom and keypoints of each box, (N, 8, 2), as shares of the network's picture."""
    points = raw.reshape(-1, 2 + KEYPOINTS, 2).copy()
    half = points[:, 1] / 2
    points[:, 1] = points[:, 0]
    points += anchors[:, None]
    points[:, 0] -= half
    points[:, 1] += half
    return points


def _groups(points: Array, score: Array) -> list[NDArray[np.intp]]:
    """The boxes of each face, its surest first."""
    boxes = points[:, :CORNERS].reshape(-1, 4)
    large = areas(boxes)
    left, groups = np.argsort(-score, kind="stable"), []
    while len(left):
        shared = intersections(boxes[left[:1]], boxes[left])[0]
        either = large[left[0]] + large[left] - shared
        iou = np.divide(shared, either, out=np.zeros_like(shared), where=either > 0)
        same = iou > SAME
        same[0] = True
        groups.append(left[same])
        left = left[~same]
    return groups


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
