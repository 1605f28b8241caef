"""Reuse of the memory of a camera's pictures: at 1080p, new memory for each one costs a millisecond."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np

from edge.types import Image

MOST = 2
"""Pictures that are kept: one is written while another waits or is analysed."""


class Buffers:
    """Keeps the last few pictures, and returns one for reuse when nothing else refers to it or a part of
    it."""

    def __init__(self) -> None:
        self._pictures: list[Image] = []

    def spare(self) -> Image | None:
        """A picture to overwrite; None while all are in use."""
        references = _references(self._pictures)
        return next((p for p, count in zip(self._pictures, references, strict=True) if not count), None)

    def keep(self, picture: Image) -> None:
        """Keep a picture that was written; drop the oldest and those of another size."""
        same = [p for p in self._pictures if p.shape == picture.shape and p is not picture]
        self._pictures = [*same, picture][-MOST:]


def _references(pictures: Sequence[Image]) -> list[int]:
    """How many references to each picture there are, besides those of `pictures` and of this function."""
    return [sys.getrefcount(picture) - _OWN for picture in pictures]


_OWN = 0
_OWN = _references([np.empty(0, np.uint8)])[0]
"""References that `_references` itself makes: their number depends on the version of Python."""
