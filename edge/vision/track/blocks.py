"""Whether the picture at a face is the one that was there a moment ago: block matching, as in video coding.

A face that moves takes its picture along from frame to frame. Where another face is found in its place, the
picture is another. A block is 20 x 20 pixels of grey. It is compared for half a second after the last sight
and then forgotten, so nobody is known again by it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.geometry import centres, cut_box, longer_sides
from edge.types import Boxes, Image

Blocks = NDArray[np.uint8]
"""Of N faces, grey, (N, SIDE, SIDE); all 0 where there is none."""

SIDE = 20
"""Pixels of a side."""

SCALE = 1.2
"""Side of what a block shows, in longer sides of the face: the hair is part of it."""

SHIFT = 3
"""Pixels by which two blocks may be shifted against each other: boxes jitter by a tenth of their side."""

FORGOTTEN_AFTER = 0.51
"""Seconds after the last sight for which a block is kept. On recordings 19 of 20 faces agree with themselves
by 0.7 or more after 0.5 s. Those of two people agree by 0.5 to 0.6 (median), by up to 0.9 in a blur."""


def blocks(image: Image, boxes: Boxes) -> Blocks:
    """The block of each face. image: uint8 (H, W, 3) BGR. boxes: float32 (N, 4), the faces in its pixels."""
    sides = np.maximum(np.round(longer_sides(boxes) * SCALE), 1)
    corners = np.round(centres(boxes) - sides[:, None] / 2)
    squares = np.column_stack([corners, corners + sides[:, None]]).astype(np.intp)
    found = [_block(image, square) for square in squares]
    return np.array(found, np.uint8).reshape(-1, SIDE, SIDE)


def none(count: int) -> Blocks:
    """The blocks of so many faces of which no picture is known."""
    return np.zeros((count, SIDE, SIDE), np.uint8)


def agreement(before: NDArray[np.uint8], now: NDArray[np.uint8]) -> float:
    """How well two blocks, (SIDE, SIDE), agree: their correlation, -1..1, where they fit best.

    NaN where one shows nothing.
    """
    if not (before.any() and now.any()):
        return np.nan
    middle = np.ascontiguousarray(before[SHIFT:-SHIFT, SHIFT:-SHIFT])
    return float(cv2.matchTemplate(now, middle, cv2.TM_CCOEFF_NORMED).max())


def _block(image: Image, square: NDArray[np.intp]) -> Image:
    """What a square of the picture shows, (SIDE, SIDE)."""
    cut = cut_box(image, *square.tolist())
    step = max(1, len(cut) // (2 * SIDE))  # of a near face every second pixel and more is enough
    grey = cv2.cvtColor(np.ascontiguousarray(cut[::step, ::step]), cv2.COLOR_BGR2GRAY)
    return np.asarray(cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)
