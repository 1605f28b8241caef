"""The faces of one frame as the tracker uses them: where each is, how surely, and what is worn below it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.types import Boxes
from edge.vision.clothes import PATCHES, Colours, half_hidden
from edge.vision.track.blocks import Blocks, none
from edge.vision.track.motion import NOISE, Floats, Indices, measure

HALF_HIDDEN = np.array([0.1, 0.1, 0.3, 0.3])
"""NOISE of a face near a larger one, which may hide a part: its box is up to 1.4 times too large or small."""


@dataclass(frozen=True, slots=True)
class Sightings:
    """M faces, one row each.

    measured, noise: (M, 4), for the filter, see `motion`. worn, parts, patches: float32 (M, 3), (M, 3) and
    (M, PATCHES, 3), the colours of the clothes, see `Tracker.update`; NaN where unknown. blocks: uint8
    (M, SIDE, SIDE), the picture of each.
    """

    measured: Floats
    noise: Floats
    worn: Colours
    parts: Colours
    patches: Colours
    blocks: Blocks

    @classmethod
    def of(
        cls,
        boxes: Boxes,
        worn: Colours | None,
        parts: Colours | None,
        patches: Colours | None,
        blocks: Blocks | None = None,
    ) -> Sightings:
        """The faces in these boxes, float32 (M, 4) in pixels; what is None is unknown."""
        if worn is None:
            worn = np.full((len(boxes), 3), np.nan, np.float32)
        noise = np.where(half_hidden(boxes)[:, None], HALF_HIDDEN, NOISE)
        if patches is None:
            patches = np.repeat(worn[:, None], PATCHES, axis=1)
        if blocks is None:
            blocks = none(len(boxes))
        return cls(measure(boxes), noise, worn, worn if parts is None else parts, patches, blocks)

    def __len__(self) -> int:
        return len(self.measured)

    def pick(self, rows: Indices) -> Sightings:
        """Some of them, in the order of `rows`."""
        return Sightings(
            self.measured[rows],
            self.noise[rows],
            self.worn[rows],
            self.parts[rows],
            self.patches[rows],
            self.blocks[rows],
        )

    @property
    def dressed(self) -> NDArray[np.bool_]:
        """Of which the clothes are known, (M,)."""
        return np.asarray(~np.isnan(self.worn).any(axis=1))
