"""Faces shrunk as if the camera were coarser or farther away."""

from __future__ import annotations

from edge.preprocess import resize
from edge.types import Image

FACE_SIZES = (64, 48, 32, 24)
"""Longer side of the face box in px. Distant faces on store cameras are 24 to 64 px."""


def shrink(crop: Image, face: int, scale: float) -> Image:
    """The crop, uint8 (S, S, 3), with a face of at most `face` px, where its side is `scale` x the face's."""
    side = max(1, round(face * scale))
    return resize(crop, side) if side < crop.shape[0] else crop
