"""Where on the picture a visitor stands, and where the points of the configuration lie in a frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge.config import CameraSettings

Points = NDArray[np.float64]


class Anchor:
    """The one point that stands for a visitor of a camera: a face, or a place below it (`cameras.anchor`)."""

    def __init__(self, camera: CameraSettings) -> None:
        self._left, self._top, right, bottom = camera.roi
        self._width, self._height = right - self._left, bottom - self._top
        self._below = camera.anchor

    def of(self, box: NDArray[np.float32]) -> tuple[float, float]:
        """The anchor of a face's box, float32 (4,) in pixels, as x, y in pixels."""
        left, top, right, bottom = box.tolist()
        return (left + right) / 2, (top + bottom) / 2 + self._below * (bottom - top)

    def fractions(self, box: NDArray[np.float32], size: tuple[int, int]) -> tuple[float, float]:
        """The anchor of a face's box, float32 (4,) in pixels, as x, y in fractions of the whole picture.

        size: the frame's width and height in pixels.
        """
        x, y = self.of(box)
        return self._left + x * self._width / size[0], self._top + y * self._height / size[1]

    def pixels(self, points: ArrayLike, size: tuple[int, int]) -> Points:
        """Fractions of the whole picture (..., 2) in pixels of a frame, which holds the camera's region.

        size: the frame's width and height in pixels.
        """
        origin, whole = np.array([self._left, self._top]), np.array([self._width, self._height])
        return np.asarray((np.asarray(points) - origin) / whole * np.array(size))
