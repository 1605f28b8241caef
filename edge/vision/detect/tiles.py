"""A grid of square tiles, in which a distant face is large enough for the detector, and how much each
changes."""

from __future__ import annotations

import math
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.geometry import centres
from edge.types import Boxes, Image

OVERLAP = 0.25
"""Neighbouring tiles share this part of a side; a face up to that size is whole in at least one of them."""

SIDE_PER_FACE = 33.75
"""Side of a tile in sides of the smallest face: 540 px for one of 16, for which thresholds were chosen."""

LARGER = 1.2
"""Tiles may have this times their side where fewer cover the picture then."""

GREY_WIDTH = 160
"""Width in pixels of the small grey picture in which changes are detected."""

SAMPLES = 4
"""Each of its pixels is the mean of up to SAMPLES x SAMPLES of the picture's green, which is most of its luma
(ITU-R BT.601-7, 2.5.1): averaging the whole of a 1080p picture costs ten times as much."""

CHANGE_LEVEL = 12
"""A difference of this many grey levels is a change. A sensor's noise of 5 levels, averaged over the samples,
comes to a difference of 1.8."""


def tile_side(setting: int | Literal["auto"], min_face: int) -> int:
    """The side of a tile in pixels, from `cameras.tile` and `detection.min_face`."""
    return round(SIDE_PER_FACE * min_face) if setting == "auto" else setting


def plan_tiles(width: int, height: int, tile: int) -> Boxes:
    """Square tiles that cover a picture, as float32 (N, 4); (0, 4) where the picture is small.

    As few as sides of up to `LARGER` times `tile` allow, and as small as so few can be, but not below `tile`.
    A picture shorter than 1.5 tiles on its longer side needs none; `halves` serve its smallest faces. `tile`
    0 turns tiles off.
    """
    if tile == 0 or max(width, height) < 1.5 * tile:
        return np.zeros((0, 4), np.float32)
    columns, rows = _count(width, LARGER * tile), _count(height, LARGER * tile)
    side = math.ceil(max(_least(width, columns), _least(height, rows), tile))
    lefts, tops = _offsets(width, side, columns), _offsets(height, side, rows)
    boxes = [(x, y, min(x + side, width), min(y + side, height)) for y in tops for x in lefts]
    return np.array(boxes, np.float32)


def _count(length: int, most: float) -> int:
    """How many tiles of up to `most` pixels cover one side of a picture."""
    return 1 + max(math.ceil((length - most) / (most * (1 - OVERLAP))), 0)


def _least(length: int, count: int) -> float:
    """The side of `count` tiles that just cover a length."""
    return length / (1 + (count - 1) * (1 - OVERLAP))


def _offsets(length: int, side: int, count: int) -> list[int]:
    """Starts of evenly spaced tiles along one side; the last ends at the edge."""
    room = max(length - side, 0)
    return [round(i * room / max(count - 1, 1)) for i in range(count)]


def halves(width: int, height: int) -> Boxes:
    """Two parts of a picture, (2, 4), each five eighths of its longer side: a quarter of one is in both."""
    part = round(max(width, height) * (1 + OVERLAP) / 2)
    if width >= height:
        return np.array([(0, 0, part, height), (width - part, 0, width, height)], np.float32)
    return np.array([(0, 0, width, part), (0, height - part, width, height)], np.float32)


def holding(tiles: Boxes, boxes: Boxes) -> NDArray[np.bool_]:
    """Which tiles (N,) are the best view of any of `boxes` (M, 4): the one with the nearest centre."""
    chosen = np.zeros(len(tiles), np.bool_)
    if len(tiles) and len(boxes):
        distance = np.linalg.norm(centres(tiles)[:, None] - centres(boxes)[None], axis=2)
        chosen[distance.argmin(axis=0)] = True
    return chosen


class Changes:
    """Measures how much of each view differs from what it showed when it was last searched.

    So a slow movement, or one between two searches, adds up until the view is searched again.
    """

    def __init__(self, views: Boxes, width: int, height: int) -> None:
        """views: (N, 4) in pixels of pictures of this size; each counts as wholly changed until searched."""
        scale = min(GREY_WIDTH / width, 1.0)
        self._size = (max(round(width * scale), 1), max(round(height * scale), 1))
        self._step = max(1, width // (SAMPLES * self._size[0]))
        columns, rows = self._size
        samples = min(width / columns, height / rows) / self._step
        # To halve takes a fifth of the time of other means, and a tenth where these take parts of samples.
        self._halvings = int(math.log2(max(samples, 1)))
        spots = np.concatenate([np.floor(views[:, :2] * scale), np.ceil(views[:, 2:] * scale)], axis=1)
        self._spots: list[list[int]] = spots.astype(int).tolist()
        self._searched: list[NDArray[np.uint8] | None] = [None] * len(views)
        self._grey = np.zeros(self._size[::-1], np.uint8)

    def show(self, image: Image) -> NDArray[np.float32]:
        """Take the next picture; the share of each view that changed, (N,) in 0..1."""
        green = np.ascontiguousarray(image[:: self._step, :: self._step, 1])
        for _ in range(self._halvings):
            height, width = green.shape[0] // 2, green.shape[1] // 2
            even = green[: 2 * height, : 2 * width]
            green = np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        self._grey = np.asarray(cv2.resize(green, self._size, interpolation=cv2.INTER_AREA), np.uint8)
        return np.array([self._share(view) for view in range(len(self._spots))], np.float32)

    def searched(self, view: int) -> None:
        """Note that this view of the last picture was searched."""
        self._searched[view] = self._patch(view).copy()

    def _share(self, view: int) -> float:
        before, now = self._searched[view], self._patch(view)
        if before is None or not now.size:
            return 1.0
        # Not cv2.absdiff: it takes a patch of one pixel for a scalar.
        changed = np.maximum(now, before) - np.minimum(now, before) >= CHANGE_LEVEL
        return float(np.count_nonzero(changed) / now.size)

    def _patch(self, view: int) -> NDArray[np.uint8]:
        left, top, right, bottom = self._spots[view]
        return self._grey[top:bottom, left:right]
