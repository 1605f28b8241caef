"""Whether an engine finds the faces that ONNX Runtime finds: shown on drawn ones, as no real picture ships.

They are the faces of `edge.inference.reference_check`, two in a picture, to which both networks respond as to
real ones: with scores of 0.7 to 0.95.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from edge.geometry import iou
from edge.inference.backend import Backend, BackendError
from edge.inference.reference_check import reference_crops
from edge.ops.reasons import BackendFault
from edge.types import Faces, Image
from edge.vision.detect.networks import LOWEST_SCORE, NETWORKS, Range
from edge.vision.detect.onnx import NetworkDetector, OnnxNetwork

log = logging.getLogger(__name__)

PICTURES = 24
"""Reference pictures: 0.1 s of one core on ONNX Runtime."""

MIN_SCORE = LOWEST_SCORE
"""From which on a box is a face there: the lowest score that the daemon uses: each likely box moves the face
that it is part of."""

LEAST_IOU = 0.98
ONE_PIXEL = 1.0
"""Boxes are cut to whole pixels, so small ones that differ by less than a thousandth may overlap by less."""

MOST_SCORE = 0.02
MOST_KEYPOINTS = 0.02
"""In widths of the face. The bounds are those to which `detection.engine` is held in its contract suite."""


@dataclass(frozen=True, slots=True)
class FaceDifference:
    """Between the faces that two engines find in the same pictures.

    faces: of the reference. unmatched: that only one of them finds, but for those at the limit `MIN_SCORE`.
    iou: the least of boxes that are more than a pixel apart, else 1. score, keypoints: the largest
    differences, the latter in widths of a face.
    """

    faces: int
    unmatched: int
    iou: float = 1.0
    score: float = 0.0
    keypoints: float = 0.0

    @property
    def is_same(self) -> bool:
        """Whether all of it is within the bounds."""
        within = self.score < MOST_SCORE and self.keypoints < MOST_KEYPOINTS
        return not self.unmatched and self.iou >= LEAST_IOU and within

    def __str__(self) -> str:
        return (
            f"{self.unmatched} of {self.faces} faces differ, IoU from {self.iou:.3f} on, scores up to "
            f"{self.score:.3f} and keypoints up to {self.keypoints:.3f} of a face apart"
        )


def require_same_faces(what: str, backend: Backend, range_: Range) -> FaceDifference:
    """Compare a backend of this network, called `what` in messages, with ONNX Runtime on the drawn faces.

    Raises BackendError where they differ by more than the bounds.
    """
    apart = compare(backend, OnnxNetwork(range_), range_)
    if not apart.is_same:
        raise BackendError(
            BackendFault.WRONG,
            f"{what}: the {range_} network finds other faces than on ONNX Runtime ({apart}); it is not used",
        )
    log.info("%s: the %s network finds the same faces (%s)", what, range_, apart)
    return apart


def compare(backend: Backend, baseline: Backend, range_: Range) -> FaceDifference:
    """Run both on the reference pictures, in batches of several sizes: each has kernels of its own."""
    pictures = list(reference_pictures(NETWORKS[range_].size))
    found: list[Faces] = []
    exact = NetworkDetector(baseline, range_, MIN_SCORE).detect_all(pictures)
    detector = NetworkDetector(backend, range_, MIN_SCORE)
    while len(found) < len(pictures):
        size = max((len(pictures) - len(found)) // 2, 1)
        found += detector.detect_all(pictures[len(found) : len(found) + size])
    return difference(found, exact)


def reference_pictures(size: int, count: int = PICTURES) -> Image:
    """Drawn faces on grey, two in each picture: uint8 (count, size, size, 3) BGR, the same in every call."""
    pictures = np.full((count, size, size, 3), 128, np.uint8)
    for n, faces in enumerate(reference_crops(size // 2, 2 * count).reshape(count, 2, *[size // 2] * 2, 3)):
        for face, side, corner in zip(faces, (size // 2, size // 3), (n, size - size // 3 - n), strict=True):
            scaled = cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA)
            pictures[n, corner : corner + side, corner : corner + side] = scaled[..., ::-1]
    return pictures


def difference(found: Sequence[Faces], exact: Sequence[Faces]) -> FaceDifference:
    """Compare the faces of the same pictures, those of the reference last."""
    apart = FaceDifference(sum(map(len, exact)), 0)
    for ours, theirs in zip(found, exact, strict=True):
        apart = _worse(_worse(apart, ours, theirs), theirs, ours)
    return apart


def _worse(apart: FaceDifference, found: Faces, asked: Faces) -> FaceDifference:
    """With the faces that one of both finds in one more picture, beside those that the other has found.

    At the limit rounding decides: a face there may be missing.
    """
    asked = asked.select(asked.score >= MIN_SCORE + MOST_SCORE)
    if not len(found) or not len(asked):
        return replace(apart, unmatched=apart.unmatched + len(asked))
    same = iou(asked.xyxy, found.xyxy)
    place = same.argmax(axis=1)
    found = found.select(place)
    far = np.abs(asked.xyxy - found.xyxy).max(axis=1) > ONE_PIXEL
    width = np.ptp(asked.xyxy[:, ::2], axis=1)
    points = np.abs(asked.keypoints - found.keypoints).max(axis=(1, 2)) / width
    return replace(
        apart,
        unmatched=apart.unmatched + len(place) - len(set(place.tolist())),
        iou=min(apart.iou, float(same.max(axis=1)[far].min(initial=1.0))),
        score=max(apart.score, float(np.abs(asked.score - found.score).max())),
        keypoints=max(apart.keypoints, float(points.max())),
    )
