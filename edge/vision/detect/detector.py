"""The interface of all face detectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge.types import Boxes, Faces, Image

Wanted = Callable[[Boxes], NDArray[np.bool_]]
"""Which of the boxes (N, 4) of a picture's faces are of the face that is looked for, (N,)."""


class FaceDetector(Protocol):
    """Finds faces in a picture; used by one thread at a time."""

    def detect(self, image: Image) -> Faces:
        """The faces in `image`, uint8 (H, W, 3) BGR or a part of such a picture, in its pixels."""

    def detect_all(self, images: Sequence[Image]) -> list[Faces]:
        """As `detect` for each of these: together where the detector gains from it."""
        return [self.detect(image) for image in images]

    def surest(self, images: Sequence[Image], wanted: Sequence[Wanted]) -> list[Faces]:
        """Of each of these the one with the best score of the faces that are `wanted` there, or none."""
        return [
            _best(found.select(which(found.xyxy)))
            for found, which in zip(self.detect_all(images), wanted, strict=True)
        ]

    def close(self) -> None:
        """Release the model's memory. The detector cannot be used afterwards."""


def _best(faces: Faces) -> Faces:
    return faces.select((-faces.score).argsort(kind="stable")[:1])
