"""Whether a camera's pictures show anything: the same one again and again, or a black one, does not."""

from __future__ import annotations

from datetime import datetime, timedelta

import cv2
import numpy as np

from edge.types import CameraState, Image

GRID = 64
"""Points looked at along the shorter side: 16 pixels apart at 1080p, less than the smallest face is wide."""

BLACK = 16.0
"""Mean luma of a picture that shows nothing: black in the limited range of video (ITU-R BT.601-7, 2.5.3)."""

FLAT = 2.0
"""Standard deviation of each colour, in grey levels, of one flat tone: what coding adds to a covered lens or
to the blue card of a recorder that has lost its camera. A dim scene varies by 10 and more."""

_LUMA = np.array([0.114, 0.587, 0.299])
"""Weights of blue, green, red (ITU-R BT.601-7, 2.5.1)."""


class PictureWatch:
    """Judges the pictures of one camera one after the other, on a grid of their pixels.

    FROZEN: identical for `frozen_after` seconds. A camera that works has noise, and where its encoder hides
    the noise the next key frame, seconds later, still differs. DARK: black or one flat tone for `dark_after`
    seconds; it wins over FROZEN as it says more. Up again with the first picture that is neither.
    """

    def __init__(self, frozen_after: float, dark_after: float) -> None:
        self._frozen_after = timedelta(seconds=frozen_after)
        self._dark_after = timedelta(seconds=dark_after)
        self._sample: Image | None = None
        self._same_since: datetime | None = None
        self._dark_since: datetime | None = None

    def restart(self) -> None:
        """The source was opened again: what was seen before says nothing about it."""
        self._sample = self._same_since = self._dark_since = None

    def state_of(self, image: Image, at: datetime) -> CameraState:
        """UP, FROZEN or DARK, after the picture `image`, uint8 (H, W, 3) BGR, taken `at`."""
        sample = _sample(image)
        same = self._sample is not None and np.array_equal(sample, self._sample)
        if self._same_since is None or not same:
            self._sample, self._same_since = sample, at
        self._dark_since = (self._dark_since or at) if _shows_nothing(sample) else None
        if self._dark_since is not None and at - self._dark_since >= self._dark_after:
            return CameraState.DARK
        if at - self._same_since >= self._frozen_after:
            return CameraState.FROZEN
        return CameraState.UP


def _sample(image: Image) -> Image:
    step = max(1, min(image.shape[:2]) // GRID)
    return np.ascontiguousarray(image[step // 2 :: step, step // 2 :: step])


def _shows_nothing(sample: Image) -> bool:
    mean, deviation = cv2.meanStdDev(sample)
    return bool(mean[:, 0] @ _LUMA < BLACK or deviation.max() < FLAT)
