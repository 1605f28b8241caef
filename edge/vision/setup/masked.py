"""A live picture for the person who counts in an audit: small, with everything like a face covered.

It is searched twice: at any score before it is made small, and as it is shown. What was covered stays covered
for a second, so that a search that misses a face once does not show it. A picture on which something like a
face cannot be covered is not shown. People are on it, as shapes that move: that is what is counted.
"""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta

import cv2
import numpy as np

from edge.types import Frame, Image
from edge.vision.setup.still import GREY, Find, Mask, NoStillError, mask_of, without_faces

SEARCHED = 640
"""Pixels: the longer side of the picture that is searched first."""

WIDEST = 320
"""The same of what is shown: 20 pixels are a face of 120 in a picture of 1920."""

KEPT = timedelta(seconds=1)
"""How long a place stays covered after something was found there."""


class Masked:
    """Makes the pictures of one camera. find: all that may be a face; likely: what is likely to be one."""

    def __init__(self, find: Find, likely: Find) -> None:
        self._find = find
        self._likely = likely
        self._covered: deque[tuple[datetime, Mask]] = deque()

    def picture(self, frame: Frame) -> Image | None:
        """The frame as it is shown, uint8 (H, W, 3) BGR; None where it must not be."""
        searched, shown = _shrunk(frame.image, SEARCHED), _shrunk(frame.image, WIDEST)
        found = self._find(Frame(frame.camera_id, frame.captured_at, searched))
        mask = mask_of(found, shown.shape[:2], shown.shape[1] / searched.shape[1])
        covered = np.logical_or.reduce([mask, *self._recent(frame.captured_at, mask)])
        masked = np.where(covered[..., None], np.uint8(GREY), shown)
        try:
            return without_faces(masked, frame, self._likely)
        except NoStillError:
            return None

    def _recent(self, at: datetime, newest: Mask) -> list[Mask]:
        """What was covered within the last second, of pictures of this size."""
        while self._covered and not timedelta(0) <= at - self._covered[0][0] <= KEPT:
            self._covered.popleft()
        recent = [mask for _, mask in self._covered if mask.shape == newest.shape]
        self._covered.append((at, newest))
        return recent


def _shrunk(image: Image, widest: int) -> Image:
    height, width = image.shape[:2]
    scale = min(1.0, widest / max(width, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
