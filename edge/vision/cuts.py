"""A cut: the whole picture changes from one frame to the next, as in a recorder's sequencer view.

Where the light changes, edges stay where they are; where people move, the rest of the picture stays. So the
edges of a small grey picture are compared in a grid of cells, by correlation: gain and offset do not matter.
Where few cells have edges and people hide these, the wall between them must change as well.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.types import Image

Grid = NDArray[np.float32]

SIZE = (49, 28)
"""Columns and rows of the small picture: one more than its edges, which make 6 x 3 cells of 8 x 9."""

CELLS = (3, 9, 6, 8)
"""Rows of cells, rows of each, columns of cells, columns of each."""

SAMPLES = 4
"""Each of its pixels is the mean of up to SAMPLES x SAMPLES of the picture's green."""

EDGES = 25.0
"""Mean square of the differences of neighbouring pixels from which on a cell has edges to compare; a sensor's
noise of 10 grey levels, averaged over the samples, comes to 25."""

ENOUGH = 6
"""Cells of 18 that must have edges before and after: a black or a white picture is no other place yet."""

ALIKE = 0.15
"""Mean correlation of the cells below which a frame may show another place. On recordings it is at least 0.27
from one frame to the next at 10 frames a second, 0.13 at 3; at most 0.15 between two recordings."""

SAME_LEVEL = 4.0
"""Difference in grey levels up to which a pixel of the small picture has kept its brightness."""

KEPT = 0.25
"""Share of such pixels from which on it is the same place: large people who walk change every edge before
a plain wall, and the wall stays as it was. Where the correlation is below ALIKE it was at least 0.35 at 3
frames a second, on 12 recordings and 59 drawn scenes, and at most 0.14 between two recordings."""

BLACK, WHITE = 24.0, 248.0
"""Grey levels up to which a pixel is black, and from which on it is clipped, as an overexposed window: being
so in both pictures is no sign of the same place."""

LONGEST_STEP = timedelta(seconds=0.6)
"""Time between two frames from which on they are not compared: people move too far in it."""

SHORTEST_VIEW = timedelta(seconds=1)
"""Time after a cut in which there is no other: a recorder shows a camera for longer, and a picture that
differs from frame to frame has no place to compare."""


class Cuts:
    """Compares each frame of one camera with the last one that had edges."""

    def __init__(self) -> None:
        self._small: Grid | None = None
        self._edges = np.zeros(0, np.float32)
        self._strength = np.zeros(0, np.float32)
        self._seen: datetime | None = None
        self._cut: datetime | None = None

    def is_cut(self, image: Image, at: datetime) -> bool:
        """Whether this frame, uint8 (H, W, 3) BGR, shows another place than the frame before."""
        soon = self._seen is not None and timedelta(0) <= at - self._seen <= LONGEST_STEP
        self._seen = at
        if not self._differs(image) or not soon or self._is_recent(at):
            return False
        self._cut = at
        return True

    def _is_recent(self, at: datetime) -> bool:
        return self._cut is not None and timedelta(0) <= at - self._cut < SHORTEST_VIEW

    def _differs(self, image: Image) -> bool:
        small = _small(image)
        edges = _edges(small)
        strength = _sums(edges * edges)
        if (strength >= EDGES).sum() < ENOUGH:
            return False
        before, was, level = self._edges, self._strength, self._small
        self._small, self._edges, self._strength = small, edges, strength
        if level is None or _kept(small, level) >= KEPT:
            return False
        return _is_another_place(_sums(before * edges), was, strength)


def _small(image: Image) -> Grid:
    step = max(1, min(image.shape[1] // (SAMPLES * SIZE[0]), image.shape[0] // (SAMPLES * SIZE[1])))
    green = np.ascontiguousarray(image[::step, ::step, 1])
    return np.asarray(cv2.resize(green, SIZE, interpolation=cv2.INTER_AREA), np.float32)


def _kept(small: Grid, before: Grid) -> float:
    """Share of the pixels, 0..1, that kept their brightness, of those not black or white both times."""
    darker, lighter = np.minimum(small, before), np.maximum(small, before)
    telling = (lighter > BLACK) & (darker < WHITE)
    return float((lighter - darker < SAME_LEVEL)[telling].mean()) if telling.any() else 0.0


def _edges(small: Grid) -> Grid:
    """Differences to the next pixel on the right and below, (2, 27, 48)."""
    corner = small[:-1, :-1]
    return np.stack([small[:-1, 1:] - corner, small[1:, :-1] - corner])


def _sums(products: Grid) -> Grid:
    """Means over each cell, of both directions together, (3, 6)."""
    means: Grid = products.sum(axis=0).reshape(CELLS).mean(axis=(1, 3))
    return means


def _is_another_place(shared: Grid, before: Grid, now: Grid) -> bool:
    """Whether the cells that have edges in both frames have others."""
    both = (before >= EDGES) & (now >= EDGES)
    if both.sum() < ENOUGH:
        return False
    return bool((shared[both] / np.sqrt(before[both] * now[both])).mean() < ALIKE)
