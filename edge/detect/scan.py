"""Runs a detector over a picture: the whole, and the tiles that are worth a look."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from edge.detect.base import FaceDetector
from edge.detect.tiles import Motion, holding, plan_tiles
from edge.geometry import suppress
from edge.types import Boxes, Faces, Image

Mask = NDArray[np.bool_]

DUPLICATE = 0.5
"""Two boxes that share half of the smaller one are one face: tiles overlap, and the whole sees it again."""

EDGE = 2.0
"""Pixels: a box this close to an inner edge of its tile is cut; the neighbouring tile sees it whole."""

TILES_PER_FRAME = 4
"""The most tiles of a frame between full scans, tracks first, then motion in turn: it bounds the cost."""


class Scanner:
    """Finds the faces of one camera, frame after frame.

    Every frame is looked at as a whole. All tiles are searched once every `full_scan_every` seconds of the
    camera's time, and between those only tiles that hold a track or motion.
    """

    def __init__(self, detector: FaceDetector, *, tile: int, full_scan_every: float, min_face: int) -> None:
        self._detector = detector
        self._tile = tile
        self._every = timedelta(seconds=full_scan_every)
        self._min_face = min_face
        self._motion = Motion()
        self._size = (0, 0)
        self._tiles = np.zeros((0, 4), np.float32)
        self._next_full: datetime | None = None
        self._held_turn, self._moving_turn = _Turn(), _Turn()

    def scan(self, image: Image, at: datetime, tracks: Boxes) -> Faces:
        """The faces of `image`, in its pixels. `tracks` (N, 4): where visitors are expected."""
        faces = [self._detector.detect(image)]
        faces += [self._look(image, tile) for tile in self._worth_a_look(image, at, tracks)]
        merged = _merge(faces)
        longer = (merged.xyxy[:, 2:] - merged.xyxy[:, :2]).max(axis=1, initial=0)
        return merged.select(longer >= self._min_face)

    def close(self) -> None:
        self._detector.close()

    def _worth_a_look(self, image: Image, at: datetime, tracks: Boxes) -> Boxes:
        height, width = image.shape[:2]
        if (width, height) != self._size:
            self._size, self._tiles, self._next_full = (
                (width, height),
                plan_tiles(width, height, self._tile),
                None,
            )
        if not len(self._tiles):
            return self._tiles
        moving = self._motion.moving(image, self._tiles)
        if self._next_full is None or at >= self._next_full or at < self._next_full - self._every:
            self._next_full = at + self._every
            return self._tiles
        chosen = self._choose(holding(self._tiles, tracks), moving)
        return np.asarray(self._tiles[chosen], np.float32)

    def _choose(self, held: Mask, moving: Mask) -> NDArray[np.intp]:
        """Indices of at most TILES_PER_FRAME tiles: those that hold a track, then the moving ones."""
        first = self._held_turn.take(np.flatnonzero(held), TILES_PER_FRAME)
        rest = self._moving_turn.take(np.flatnonzero(moving & ~held), TILES_PER_FRAME - len(first))
        return np.concatenate([first, rest])

    def _look(self, image: Image, tile: Boxes) -> Faces:
        left, top, right, bottom = (int(v) for v in tile)
        found = self._detector.detect(np.ascontiguousarray(image[top:bottom, left:right]))
        whole = found.select(~_cut(found.xyxy, right - left, bottom - top, _inner_edges(tile, image)))
        corner = np.array([left, top], np.float32)
        return Faces(whole.xyxy + np.tile(corner, 2), whole.score, whole.keypoints + corner)


def _inner_edges(tile: Boxes, image: Image) -> Mask:
    """Which of left, top, right, bottom of a tile lie inside the picture: only those cut a face."""
    height, width = image.shape[:2]
    return np.array([tile[0] > 0, tile[1] > 0, tile[2] < width, tile[3] < height])


def _cut(boxes: Boxes, width: int, height: int, inner: Mask) -> Mask:
    at_edge = np.stack(
        [boxes[:, 0] <= EDGE, boxes[:, 1] <= EDGE, boxes[:, 2] >= width - EDGE, boxes[:, 3] >= height - EDGE],
        axis=1,
    )
    return np.asarray((at_edge & inner).any(axis=1), np.bool_)


def _merge(parts: list[Faces]) -> Faces:
    """All faces once, the best view of each."""
    if len(parts) == 1:
        return parts[0]
    every = Faces(
        np.concatenate([p.xyxy for p in parts]),
        np.concatenate([p.score for p in parts]),
        np.concatenate([p.keypoints for p in parts]),
    )
    return every.select(suppress(every.xyxy, every.score, DUPLICATE))


class _Turn:
    """Where there are more than may go at once, all come to their turn."""

    def __init__(self) -> None:
        self._next = 0

    def take(self, indices: NDArray[np.intp], most: int) -> NDArray[np.intp]:
        """At most `most` of the increasing `indices`, going on after the last one taken."""
        later = indices >= self._next
        line = np.concatenate([indices[later], indices[~later]])[:most]
        if len(line):
            self._next = int(line[-1]) + 1
        return line
