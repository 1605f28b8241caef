"""A picture of any shape as the square picture of a network, resampled exactly as MediaPipe does it."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.types import Image

STEPS = 32
"""Places between two pixels that OpenCV's fixed-point resampling distinguishes, `INTER_TAB_SIZE`. With exact
places a face's score differs from MediaPipe's by up to 0.012."""


class Letterbox:
    """The picture in the middle of a black square; its edges may lie between two pixels of the square."""

    def __init__(self, width: int, height: int, size: int) -> None:
        """width, height: of the picture in pixels. size: side of the square in pixels."""
        self.size = size
        self._side = float(max(width, height))
        self._corner = np.array([width, height], np.float32) / 2 - self._side / 2
        back = cv2.invert(_projection(width, height, size))[1]
        (x, right), (y, down) = (_sampled(back[axis, axis], back[axis, 2], size) for axis in (0, 1))
        self._inside = rows, columns = _reached(y, height), _reached(x, width)
        self._whole = np.empty((len(y[rows]), len(x[columns]), 2), np.int16)
        self._whole[..., 0], self._whole[..., 1] = x[columns], y[rows, None]
        self._between = down[rows, None] * np.uint16(STEPS) + right[columns]

    def __call__(self, image: Image, square: Image) -> None:
        """Make the picture `square`, uint8 (size, size, 3), of `image`, uint8 (height, width, 3)."""
        inside, edge = square[self._inside], cv2.BORDER_CONSTANT
        if inside.size < square.size:
            square[...] = 0
        cv2.remap(image, self._whole, self._between, cv2.INTER_LINEAR, inside, borderMode=edge, borderValue=0)

    def back(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Points (..., 2) in 0..1 of the square in pixels of the picture; the border lies outside it."""
        return np.asarray(points * self._side + self._corner, np.float32)


@lru_cache(maxsize=8)
def letterbox_for(width: int, height: int, size: int) -> Letterbox:
    """As `Letterbox`; those of the last few sizes are kept, for frames and tiles have the same ones."""
    return Letterbox(width, height, size)


def _projection(width: int, height: int, size: int) -> NDArray[np.float64]:
    """From pixels of the picture to pixels of the square, (3, 3), found as MediaPipe finds it.

    Its rounding errors decide between two places at the same distance.
    """
    side = max(width, height)
    ours = cv2.boxPoints(((width / 2, height / 2), (side, side), 0.0))
    theirs = np.array([[0, size], [0, 0], [size, 0], [size, size]], np.float32)
    return np.asarray(cv2.getPerspectiveTransform(ours, theirs), np.float64)


def _sampled(scale: float, start: float, size: int) -> tuple[NDArray[np.int16], NDArray[np.uint16]]:
    """Where the pixels of one side lie on the picture: in whole pixels, and `STEPS` beyond, (size,) each."""
    whole, beyond = np.divmod(np.rint((np.arange(size) * scale + start) * STEPS), STEPS)
    return whole.astype(np.int16), beyond.astype(np.uint16)


def _reached(places: NDArray[np.int16], length: int) -> slice:
    """Which of the increasing places show something of a picture's side of this length."""
    return slice(*np.searchsorted(places, [-1, length]).tolist())
