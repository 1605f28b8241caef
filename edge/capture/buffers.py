"""The memory of a camera's pictures, used again: at 1080p, new memory for each costs a millisecond."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np

from edge.types import Image

MOST = 2
"""Pictures that are remembered: one is written while another waits or is analysed."""


class Buffers:
    """Remembers the last few pictures, and gives one back once nobody else holds it or a part of it."""

    def __init__(self) -> None:
        self._pictures: list[Image] = []

    def spare(self) -> Image | None:
        """A picture to write over; None while all are held."""
        held = _holders(self._pictures)
        return next((p for p, others in zip(self._pictures, held, strict=True) if not others), None)

    def keep(self, picture: Image) -> None:
        """Remember a picture that was written, in place of the oldest and of those of another size."""
        same = [p for p in self._pictures if p.shape == picture.shape and p is not picture]
        self._pictures = [*same, picture][-MOST:]


def _holders(pictures: Sequence[Image]) -> list[int]:
    """How many others refer to each picture, besides `pictures` and this function."""
    return [sys.getrefcount(picture) - _OWN for picture in pictures]


_OWN = 0
_OWN = _holders([np.empty(0, np.uint8)])[0]
"""References that `_holders` itself counts: how many depends on the version of Python."""
