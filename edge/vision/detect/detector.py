"""The interface of all face detectors."""

from __future__ import annotations

from typing import Protocol

from edge.types import Faces, Image


class FaceDetector(Protocol):
    """Finds faces in a picture; used by one thread at a time."""

    def detect(self, image: Image) -> Faces:
        """The faces in `image`, uint8 (H, W, 3) BGR or a part of such a picture, in its pixels."""

    def close(self) -> None:
        """Release the model's memory. The detector cannot be used afterwards."""
