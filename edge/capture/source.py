"""The interface of all sources of pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from edge.types import Image

SAMPLE = 144
"""Pixels of the shorter side of a whole picture's sample, at most: 7.5 pixels apart at 1080p, half the width
of the smallest face."""


class Decoded(Protocol):
    """A picture as its decoder gave it, which takes half of the memory or less."""

    @property
    def sample(self) -> Image:
        """Some of its pixels, uint8 (h, w, 3) BGR, in the same places of the picture."""

    def image(self) -> Image:
        """All of it, uint8 (H, W, 3) BGR, in memory of its own; to be asked by one thread at a time.

        Raises SourceError where it cannot be converted.
        """


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One picture of a source. pixels: uint8 (H, W, 3) BGR, or what is yet to be converted to that.

    offset: seconds of media time since the recording's first picture, strictly increasing; None when live.
    segment: counts the jumps of the recording's own time so far. note: why it was decoded otherwise than
    configured; empty where it was not.
    """

    pixels: Image | Decoded
    offset: float | None = None
    segment: int = 0
    note: str = ""

    @property
    def image(self) -> Image:
        """uint8 (H, W, 3) BGR."""
        return self.pixels if isinstance(self.pixels, np.ndarray) else self.pixels.image()

    @property
    def sample(self) -> Image:
        """As few of its pixels as show whether it is dark, or the same as before: uint8 (h, w, 3) BGR."""
        if not isinstance(self.pixels, np.ndarray):
            return self.pixels.sample
        return sampled(self.pixels, SAMPLE)


def sampled(image: Image, shorter: int) -> Image:
    """Pixels at even distances, uint8 (h, w, 3): `shorter` or more along the shorter side, if it has them."""
    step = max(1, min(image.shape[:2]) // shorter)
    if step == 1:
        return np.ascontiguousarray(image)
    grid = image[step // 2 :: step, step // 2 :: step]
    found = np.empty(grid.shape, np.uint8)
    for colour in range(grid.shape[2]):  # pixel by pixel takes four times as long
        found[..., colour] = grid[..., colour]
    return found


class Source(Protocol):
    """An open source of pictures, used by one thread."""

    @property
    def live(self) -> bool:
        """Whether its pictures show the present moment and are lost if they are not read in time."""

    @property
    def corrupt(self) -> int:
        """How many pictures so far could not be decoded and were skipped."""

    def read(self) -> Picture | None:
        """The next picture within the rate limit; None once a recording has ended.

        Raises SourceError on a fault; the source cannot be read afterwards.
        """

    def close(self) -> None:
        """Release the device, the connection or the file."""
