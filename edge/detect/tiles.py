"""Where to look: a grid of square tiles, so that a face far away is large enough for the detector's input."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.geometry import centres
from edge.types import Boxes, Image

OVERLAP = 0.25
"""Neighbouring tiles share this much of a side; a face up to that size is whole in at least one of them."""

MOTION_WIDTH = 160
"""Width in pixels of the small grey picture on which motion is looked for."""

MOTION_LEVEL = 12
"""A change of this many grey levels is motion; sensor noise, averaged by the shrinking, stays under 5."""

MOTION_SHARE = 0.01
"""A tile moves when this share of its pixels does: a 40 px face in a 540 px tile is 0.55 % of it, and the
person below it several times that."""


def plan_tiles(width: int, height: int, tile: int) -> Boxes:
    """Square tiles of side `tile` that cover a picture, as float32 (N, 4); (0, 4) where the picture is small.

    A picture of less than 1.5 tiles in its longer side needs none: the whole is as good. `tile` 0 is none.
    """
    if tile == 0 or max(width, height) < 1.5 * tile:
        return np.zeros((0, 4), np.float32)
    lefts, tops = _offsets(width, tile), _offsets(height, tile)
    boxes = [(x, y, min(x + tile, width), min(y + tile, height)) for y in tops for x in lefts]
    return np.array(boxes, np.float32)


def _offsets(length: int, tile: int) -> list[int]:
    """Starts of evenly spaced tiles along one side; the last ends at the edge."""
    if length <= tile:
        return [0]
    steps = math.ceil((length - tile) / (tile * (1 - OVERLAP)))
    return [round(i * (length - tile) / steps) for i in range(steps + 1)]


def holding(tiles: Boxes, boxes: Boxes) -> NDArray[np.bool_]:
    """Which tiles (N,) are the best view of any of `boxes` (M, 4): the one whose centre is the nearest."""
    chosen = np.zeros(len(tiles), np.bool_)
    if len(tiles) and len(boxes):
        distance = np.linalg.norm(centres(tiles)[:, None] - centres(boxes)[None], axis=2)
        chosen[distance.argmin(axis=0)] = True
    return chosen


class Motion:
    """Tells which tiles changed since the picture before."""

    def __init__(self) -> None:
        self._before: NDArray[np.uint8] | None = None

    def moving(self, image: Image, tiles: Boxes) -> NDArray[np.bool_]:
        """Which tiles (N,) of `image` hold motion; all of them for the first picture, or a new size."""
        scale = min(MOTION_WIDTH / image.shape[1], 0.5)
        width, height = (max(round(side * scale), 1) for side in image.shape[1::-1])
        # Nearest neighbour first: averaging a whole 1080p picture costs more than the rest of the scan.
        small = cv2.resize(image, (2 * width, 2 * height), interpolation=cv2.INTER_NEAREST)
        grey = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
        grey = np.asarray(cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        before, self._before = self._before, grey
        if before is None or before.shape != grey.shape:
            return np.ones(len(tiles), np.bool_)
        changed = cv2.absdiff(grey, before) >= MOTION_LEVEL
        spots = np.concatenate(
            [np.floor(tiles[:, :2] * scale), np.ceil(tiles[:, 2:] * scale)], axis=1
        ).astype(int)
        shares = [changed[top:bottom, left:right].mean() for left, top, right, bottom in spots]
        return np.array(shares, np.float32) >= MOTION_SHARE
