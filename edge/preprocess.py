"""From a square crop of any size to the input of the age model: the same code on the box and in training.

This module only resizes. The cast to float, the channel order, the mean and the layout are part of the
model's graph, so that no two programs can disagree about them.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from edge.types import Image, require_array

PREPROCESSING_VERSION = 1
"""Increased with each change that alters a pixel; a bundle made with another version is refused."""


def resize(image: Image, size: int) -> Image:
    """The square `image`, uint8 (S, S, 3), as uint8 (size, size, 3).

    Shrinks by area averaging, which gives the picture of a camera of lower resolution, and enlarges
    bilinearly. An image that has the size already is returned itself, not a copy. Raises ValueError for any
    other array than a square of at least one pixel.
    """
    require_array("image", image, (None, None, 3), np.uint8)
    height, width = image.shape[:2]
    if height != width or not height:
        raise ValueError(f"image: {width}x{height} px; expected a square of at least 1 px")
    if height == size:
        return image
    method = cv2.INTER_AREA if height > size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (size, size), interpolation=method), np.uint8)


def to_batch(crops: Sequence[Image], size: int) -> Image:
    """Square RGB crops, uint8 (S, S, 3) each of its own S, as one new contiguous uint8 (N, size, size, 3).

    Without crops, (0, size, size, 3). Raises ValueError as `resize` does.
    """
    batch = np.empty((len(crops), size, size, 3), np.uint8)
    for slot, crop in zip(batch, crops, strict=True):
        slot[...] = resize(crop, size)
    return batch
