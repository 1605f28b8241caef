"""Boxes in pixels, float32 arrays (N, 4) of left, top, right, bottom; and pictures cut out of a picture."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.types import Boxes, Image

Box = NDArray[np.float32]
"""A single one, (4,)."""


def areas(boxes: Boxes) -> NDArray[np.float32]:
    """Areas in square pixels, (N,); 0 for a box whose right or bottom is before its left or top."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return cast("NDArray[np.float32]", sides[:, 0] * sides[:, 1])


def longer_sides(boxes: Boxes) -> NDArray[np.float32]:
    """The longer side of each box in pixels, (N,)."""
    sides = boxes[:, 2:] - boxes[:, :2]
    return np.asarray(np.maximum(np.maximum(sides[:, 0], sides[:, 1]), 0), np.float32)


def intersections(a: Boxes, b: Boxes) -> NDArray[np.float32]:
    """Shared areas in square pixels of every pair, (N, M)."""
    top_left = np.maximum(a[:, None, :2], b[None, :, :2])
    bottom_right = np.minimum(a[:, None, 2:], b[None, :, 2:])
    sides = np.maximum(bottom_right - top_left, 0)
    return cast("NDArray[np.float32]", sides[..., 0] * sides[..., 1])


def iou(a: Boxes, b: Boxes) -> NDArray[np.float32]:
    """Intersection over union of every pair, (N, M); NaN where both boxes are empty."""
    shared = intersections(a, b)
    return np.asarray(shared / (areas(a)[:, None] + areas(b)[None] - shared), np.float32)


def overlap(a: Boxes, b: Boxes) -> NDArray[np.float32]:
    """Intersection over the smaller box of every pair, (N, M) in 0..1: 1 where one holds the other."""
    shared = intersections(a, b)
    smaller = np.minimum(areas(a)[:, None], areas(b)[None, :])
    ratio = np.divide(shared, smaller, out=np.zeros_like(shared), where=smaller > 0)
    return cast("NDArray[np.float32]", ratio)


def centres(boxes: Boxes) -> NDArray[np.float32]:
    """Centres (N, 2) as x, y."""
    return ((boxes[:, :2] + boxes[:, 2:]) / 2).astype(np.float32)


def mean_side(box: Box) -> float:
    """Mean of both sides in pixels, at least 1."""
    return max(float(box[2] - box[0] + box[3] - box[1]) / 2, 1.0)


def distance(one: Box, other: Box) -> float:
    """Pixels between the centres of two boxes."""
    return float(np.hypot(*(centres(one[None])[0] - centres(other[None])[0])))


def squares(boxes: Boxes, scale: float = 1.0) -> Boxes:
    """The squares around the boxes' centres, side = scale x the longer side of each."""
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) * (scale / 2)
    middle = centres(boxes)
    return np.concatenate([middle - half, middle + half], axis=1).astype(np.float32)


def suppress(boxes: Boxes, score: NDArray[np.float32], threshold: float) -> NDArray[np.intp]:
    """Non-maximum suppression: the indices of the boxes kept, (M,), the best score first.

    boxes: (N, 4). score: (N,). A box is dropped if its overlap with a better one is more than `threshold`
    of the smaller of the two. The smaller one is the measure because a face cut by the edge
    of a tile lies inside the whole face.
    """
    same = overlap(boxes, boxes) > threshold
    dropped = np.zeros(len(boxes), np.bool_)
    kept: list[int] = []
    for candidate in np.argsort(-score, kind="stable").tolist():
        if not dropped[candidate]:
            kept.append(candidate)
            dropped |= same[:, candidate]
    return np.asarray(kept, dtype=np.intp)


def cut_out(image: Image, left: int, top: int, side: int) -> Image:
    """The square at `left`, `top`, which may leave the picture: a new uint8 (side, side, 3).

    Outside the picture its edge is repeated; a square wholly outside is black.
    """
    return cut_box(image, left, top, left + side, top + side).copy()


def cut_box(image: Image, left: int, top: int, right: int, bottom: int) -> Image:
    """The same of a box: a view where the picture shows it whole."""
    height, width = image.shape[:2]
    # A negative end would count from the opposite edge.
    inside = image[max(top, 0) : max(min(bottom, height), 0), max(left, 0) : max(min(right, width), 0)]
    rows, columns = bottom - top, right - left
    if inside.shape[:2] == (rows, columns):
        return inside
    if inside.size == 0:
        return np.zeros((rows, columns, 3), np.uint8)
    above, before = max(-top, 0), max(-left, 0)
    below, after = rows - above - inside.shape[0], columns - before - inside.shape[1]
    return np.asarray(cv2.copyMakeBorder(inside, above, below, before, after, cv2.BORDER_REPLICATE), np.uint8)
