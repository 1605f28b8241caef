"""Rotates a camera's picture, blackens what must not be looked at, and cuts out the region of interest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

import cv2
import numpy as np

from edge.types import Image

Region = tuple[float, float, float, float]
Point = tuple[float, float]

_ROTATIONS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


class View:
    """Rotates pictures clockwise by `rotation` degrees, then cuts out the region of interest.

    roi: left, top, right, bottom as fractions of the rotated picture. ignored: polygons in such fractions,
    which become black: nothing behind this looks at them.
    """

    def __init__(
        self, rotation: Literal[0, 90, 180, 270], roi: Region, ignored: Sequence[Sequence[Point]] = ()
    ) -> None:
        self._rotate_by = _ROTATIONS.get(rotation)
        self._roi = roi
        self._ignored = [np.array(polygon) for polygon in ignored]

    def __call__(self, image: Image) -> Image:
        """The region of `image`, uint8 (H, W, 3), as C-contiguous uint8 (h, w, 3) of at least one pixel."""
        if self._rotate_by is not None:
            image = cast("Image", cv2.rotate(image, self._rotate_by))
        if self._ignored:
            image = self._blackened(image)
        rows = _span(self._roi[1], self._roi[3], image.shape[0])
        columns = _span(self._roi[0], self._roi[2], image.shape[1])
        return np.ascontiguousarray(image[rows, columns])

    def _blackened(self, image: Image) -> Image:
        image, size = image.copy(), np.array(image.shape[1::-1])
        for polygon in self._ignored:  # one by one: of several at once, what two share would stay
            cv2.fillPoly(image, [np.round(polygon * size).astype(np.int32)], (0, 0, 0))
        return image


def _span(low: float, high: float, length: int) -> slice:
    """The pixels between two fractions of a side, at least one."""
    first = min(round(low * length), length - 1)
    return slice(first, max(round(high * length), first + 1))
