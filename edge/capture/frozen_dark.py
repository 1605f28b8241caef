"""Whether a camera is frozen (it repeats the same picture) or dark (its picture is black or one flat
tone)."""

from __future__ import annotations

from datetime import datetime, timedelta

import cv2
import numpy as np

from edge.capture.source import sampled
from edge.types import CameraState, Image

GRID = 64
"""Pixels sampled along the shorter side, where the sample of the source has as many: 16 pixels apart at
1080p, less than the width of the smallest face. Of a small region of interest every pixel of it is taken."""

BLACK = 16.0
"""Mean luma below which a picture is dark: black in the limited range of video (ITU-R BT.601-7, 2.5.3)."""

FLAT = 2.0
"""Standard deviation of each colour, in grey levels, below which a picture is one flat tone: coding noise on
a covered lens, or on the blue screen of a recorder that has lost its camera. A dim scene varies by 10 and
more."""

_LUMA = np.array([0.114, 0.587, 0.299])
"""Weights of blue, green, red (ITU-R BT.601-7, 2.5.1)."""


class PictureWatch:
    """Decides the state of one camera from successive pictures, on a grid of their pixels.

    FROZEN: the pictures are identical for `frozen_after` seconds. A working camera has noise; if its encoder
    removes the noise, at least the next key frame, seconds later, differs. DARK: the pictures are black or
    one flat tone for `dark_after` seconds; this takes precedence over FROZEN. UP again with the first picture
    that is neither.
    """

    def __init__(self, frozen_after: float, dark_after: float) -> None:
        self._frozen_after = timedelta(seconds=frozen_after)
        self._dark_after = timedelta(seconds=dark_after)
        self._sample: Image | None = None
        self._same_since: datetime | None = None
        self._dark_since: datetime | None = None

    def restart(self) -> None:
        """Forget the earlier pictures: the source was opened again."""
        self._sample = self._same_since = self._dark_since = None

    def state_of(self, image: Image, at: datetime) -> CameraState:
        """UP, FROZEN or DARK, as of `image`, uint8 (H, W, 3) BGR, taken at the time `at`."""
        sample = sampled(image, GRID)
        same = self._sample is not None and np.array_equal(sample, self._sample)
        if self._same_since is None or not same:
            self._sample, self._same_since = sample, at
        self._dark_since = (self._dark_since or at) if _is_dark(sample) else None
        if self._dark_since is not None and at - self._dark_since >= self._dark_after:
            return CameraState.DARK
        if at - self._same_since >= self._frozen_after:
            return CameraState.FROZEN
        return CameraState.UP


def _is_dark(sample: Image) -> bool:
    mean, deviation = cv2.meanStdDev(sample)
    return bool(mean[:, 0] @ _LUMA < BLACK or deviation.max() < FLAT)
