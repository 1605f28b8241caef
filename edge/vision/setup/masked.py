"""A live picture for the person who counts in an audit: small, and a coarse mosaic wherever a face may be.

A face is two to three flat blocks wide, so heads can be counted and nobody is recognised. The blocks lie on a
fixed grid, so a face that keeps still gives the same blocks again and again. What was coarse stays coarse for
a second, so that a search that misses a face once does not show it. The picture is searched twice: before it
is made small, and as it is shown. One on which a face is left then is not shown.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np

from edge.config import CameraSettings
from edge.geometry import longer_sides, squares
from edge.types import Boxes, Frame, Image
from edge.vision.setup.still import COVERED_SHARE, LIKELY, ROUNDS, FaceLikes, Find, Mask, in_tones, shrunk

SEARCHED = 640
"""Pixels: the longer side of the picture that is searched first."""

WIDEST = 320
"""The same of what is shown: 20 pixels are a face of 120 in a picture of 1920."""

KEPT = timedelta(seconds=1)
"""How long a place stays coarse after something was found there."""

POSSIBLE = 0.15
"""Score of the `far` network from which on a box may be a face. At 0.05 three times as many boxes make a
quarter of a supermarket coarse, and a third of an empty room."""

NEAR = 0.5
"""The same of the `near` network, which finds large faces between small ones where there are none."""

LARGE = 0.75
"""Share of the picture's shorter side from which on a box of the `near` network needs `LIKELY` only: the
`far` network misses faces that are larger than the picture."""

COVERED = 1.25
"""Side of what is made coarse, in faces, before it grows to whole blocks: 1.8 with them, on average."""

BLOCKS = (4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, WIDEST)
"""Pixels of a block's side: the least of them that is half of a face or more."""


class LiveFaces:
    """Finds all in a frame that may be a face, whatever `camera.range` is; it raises DetectorError.

    The `far` network searches tiles, the `near` one the whole picture.
    """

    def __init__(self, camera: CameraSettings, engine: str = "auto") -> None:
        """engine: as of `detection.engine`."""
        self._far = FaceLikes(camera.model_copy(update={"range": "far", "tile": "auto"}), engine)
        self._near = FaceLikes(camera.model_copy(update={"range": "near", "tile": 0}), engine)

    def __call__(self, frame: Frame) -> Boxes:
        return self._above(POSSIBLE, frame)

    def likely(self, frame: Frame) -> Boxes:
        """Those that are likely to be a face."""
        return self._above(LIKELY, frame)

    def _above(self, score: float, frame: Frame) -> Boxes:
        tones = in_tones(frame.image)
        far, near = (find.search(tones, frame.captured_at) for find in (self._far, self._near))
        large = longer_sides(near.xyxy) >= LARGE * min(frame.image.shape[:2])
        least = np.where(large, LIKELY, NEAR)
        return np.concatenate([far.xyxy[far.score >= score], near.xyxy[near.score >= least]])

    def close(self) -> None:
        """Release the detectors."""
        self._far.close()
        self._near.close()


class Masked:
    """Makes the pictures of one camera. find: all that may be a face; likely: what is likely to be one."""

    def __init__(self, find: Find, likely: Find) -> None:
        self._find = find
        self._likely = likely
        self._found: deque[tuple[datetime, Boxes]] = deque()

    def picture(self, frame: Frame) -> Image | None:
        """The frame as it is shown, uint8 (H, W, 3) BGR; None where it must not be."""
        searched, shown = shrunk(frame.image, SEARCHED), shrunk(frame.image, WIDEST)
        found = self._find(Frame(frame.camera_id, frame.captured_at, searched))
        found = found * np.float32(shown.shape[1] / searched.shape[1])
        boxes = np.concatenate([found, *self._recent(frame.captured_at, found)])
        for _ in range(ROUNDS):
            picture, coarse = mosaic(shown, boxes)
            likely = self._likely(Frame(frame.camera_id, frame.captured_at, picture.copy()))
            left = likely[[_is_shown(box, coarse) for box in likely]]
            if not len(left):
                return picture
            boxes = np.concatenate([boxes, left])
        return None

    def _recent(self, at: datetime, newest: Boxes) -> Sequence[Boxes]:
        """What was found within the last second."""
        while self._found and not timedelta(0) <= at - self._found[0][0] <= KEPT:
            self._found.popleft()
        recent = [boxes for _, boxes in self._found]
        self._found.append((at, newest))
        return recent


def mosaic(image: Image, faces: Boxes) -> tuple[Image, Mask]:
    """The picture (H, W, 3), flat in blocks at these boxes, and where it is: (H, W).

    The largest blocks are drawn last: a small box within a face leaves nothing finer on it.
    """
    made, coarse = image.copy(), np.zeros(image.shape[:2], np.bool_)
    regions = squares(faces, COVERED)
    sides = longer_sides(faces)
    for n in np.argsort(sides, kind="stable"):
        block = block_of(float(sides[n]))
        left, top = np.maximum(np.floor(regions[n, :2] / block), 0).astype(int) * block
        right, bottom = np.maximum(np.ceil(regions[n, 2:] / block), 0).astype(int) * block
        place = np.s_[top:bottom, left:right]
        made[place] = _in_blocks(image[place], block)
        coarse[place] = True
    return made, coarse


def block_of(face: float) -> int:
    """The side of the blocks for a face of this width, in pixels."""
    return next((block for block in BLOCKS if block >= face / 2), BLOCKS[-1])


def _in_blocks(part: Image, block: int) -> Image:
    """The means of blocks (H, W, 3) that begin at the upper left."""
    made = part.copy()
    for top in range(0, part.shape[0], block):
        for left in range(0, part.shape[1], block):
            place = np.s_[top : top + block, left : left + block]
            made[place] = part[place].mean(axis=(0, 1))
    return made


def _is_shown(box: Boxes, coarse: Mask) -> bool:
    """Whether something of a box (4,) is not coarse. Detectors see faces in blocks as well."""
    left, top, right, bottom = np.clip(box, 0, None).astype(int).tolist()
    part = coarse[top : bottom + 1, left : right + 1]
    return bool(part.size) and float(part.mean()) < COVERED_SHARE
