"""From a face in a frame to the few crops of a visitor that the age model gets.

A crop is a square on the short-range detector's box, scaled as the model bundle says: what the age model was
trained on. The training package cuts its crops with this same code.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.geometry import cut_out, squares
from edge.preprocess import resize
from edge.types import Boxes, Image

GOOD_SIZE = 96.0
"""Pixels: with a longer side than this, more pixels do not make an age easier to estimate."""

SHARPNESS_SIZE = 64
"""Side in pixels at which sharpness is measured, so that near and far faces are comparable."""

GOOD_SHARPNESS = 150.0
"""Variance of the Laplacian of a sharp face of 64 px; a face that is 32 px wide comes to about 40."""

WORST_TURN = 0.7
"""A face is a profile when the nose is this far from the middle of the eyes, in distances between the
eyes."""

GOOD_LIGHT = (60.0, 200.0)
"""Mean grey level of a well-lit face, out of 255."""


def cut_face(image: Image, box: Boxes, scale: float, most: int) -> Image:
    """The square crop of a face, uint8 (S, S, 3) RGB, from a BGR picture; S is at most `most` pixels.

    box: float32 (4,) of the short-range detector. scale: side of the square over the box's longer side.
    What lies outside the picture repeats its edge.
    """
    left, top, right, _ = np.round(squares(box[None], scale)[0]).astype(int)
    crop = cut_out(image, int(left), int(top), max(int(right - left), 1))
    if crop.shape[0] > most:
        crop = resize(crop, most)
    return np.asarray(cv2.cvtColor(crop, cv2.COLOR_BGR2RGB), np.uint8)


def quality(crop: Image, box: Boxes, keypoints: NDArray[np.float32]) -> float:
    """How well an age can be estimated from a face, 0..1: size x sharpness x pose x light, each 0..1.

    crop: uint8 (S, S, 3) RGB. box: float32 (4,) and keypoints: float32 (6, 2), in pixels of the picture.
    """
    size = min(1.0, float((box[2:] - box[:2]).max()) / GOOD_SIZE)
    grey = cv2.cvtColor(resize(crop, SHARPNESS_SIZE), cv2.COLOR_RGB2GRAY)
    return float(size * _sharpness(grey) * _pose(keypoints) * _light(grey))


def _sharpness(grey: NDArray[np.uint8]) -> float:
    return math.sqrt(min(1.0, float(cv2.Laplacian(grey, cv2.CV_32F).var()) / GOOD_SHARPNESS))


def _pose(keypoints: NDArray[np.float32]) -> float:
    """1 for a face straight on, 0 for a profile, from where the nose is between the eyes."""
    right_eye, left_eye, nose = keypoints[:3]
    across = left_eye - right_eye
    apart = float(np.hypot(*across))
    if apart < 1:
        return 0.0
    turn = abs(float((nose - (left_eye + right_eye) / 2) @ across)) / apart**2
    return max(0.0, 1.0 - (turn / WORST_TURN) ** 2)


def _light(grey: NDArray[np.uint8]) -> float:
    dim, glaring = GOOD_LIGHT
    level = float(grey.mean())
    return max(0.1, min(1.0, level / dim, (255 - level) / (255 - glaring)))


@dataclass(frozen=True, slots=True, eq=False)
class Crop:
    """One picture of a visitor's face: uint8 (S, S, 3) RGB, its quality 0..1, and when it was taken."""

    image: Image
    quality: float
    taken_at: datetime


class BestCrops:
    """The best few crops of one visitor, spread over time.

    At most `most` are kept, no two closer in time than `spacing` seconds: crops of one moment share their
    blur and pose, so a second one adds little for the age model.
    """

    def __init__(self, most: int, spacing: float) -> None:
        self._most = most
        self._spacing = timedelta(seconds=spacing)
        self._crops: list[Crop] = []

    def offer(self, crop: Crop) -> None:
        """Keep `crop` if it is better than those close in time, or than the worst once there are enough."""
        close = [c for c in self._crops if abs(c.taken_at - crop.taken_at) < self._spacing]
        if any(c.quality >= crop.quality for c in close):
            return
        kept = [c for c in self._crops if c not in close]
        kept.append(crop)
        kept.sort(key=lambda c: -c.quality)
        self._crops = kept[: self._most]

    def clear(self) -> None:
        """Keep none of them any longer."""
        self._crops.clear()

    @property
    def full(self) -> bool:
        """Whether there are as many as are kept."""
        return len(self._crops) == self._most

    @property
    def best(self) -> list[Crop]:
        """The crops kept, the best first; a new list."""
        return list(self._crops)
