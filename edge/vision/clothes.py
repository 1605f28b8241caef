"""What a visitor wears, as one colour: it tells apart two people of whom one comes where the other left.

It is kept with a track, in memory, and goes with it. It recognises nobody: the same shirt has the same colour
on anybody, and nothing of a face is in it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.types import Boxes, Image

Colours = NDArray[np.float32]
"""Of N faces, (N, 3)."""

CHEST = np.array([-0.1, 1.1, 1.1, 2.1], np.float32)
"""Left, top, right and bottom of the chest, in longer sides of the face's box from its left top corner."""

SHOWN = 0.5
"""Share of the chest that the picture must show."""

SAMPLES = 16
"""Rows and columns of which the mean is taken: enough for one colour, and as cheap for a near face."""

TO_LUMA_AND_CHROMA = np.array(
    [[0.114, 0.587, 0.299], [0.5, -0.331, -0.169], [-0.081, -0.419, 0.5]], np.float32
).T
"""From BGR (ITU-R BT.601-7): in it, brightness that changes with the light is one value of three."""

SAME_COLOUR = np.array([20.0, 4.0, 4.0])
"""Distance in luma and each of chroma, in grey levels, up to which clothes are the same: on recordings it is
2 to 14 and 0.2 to 2.4 (median) of one visitor within three seconds, 8 to 70 and 1 to 10 of two, and in most
of them chroma parts people better."""

LIGHT = 0.1
"""The same as a share of the colour, where that is more: other light scales a colour as a whole."""

SHADES = 3.0
"""The same in mean changes of a visitor's own colour, where that is more: light and folds differ."""

NEWEST = 0.2
"""Weight of the newest sight in the mean colour, and more as long as there are few."""

ASIDE = 1.0
"""Sides of a face from its middle to the shoulders."""

HAIR = 0.3
"""Sides of a face from its box to the crown."""


def colours(image: Image, boxes: Boxes) -> Colours:
    """The mean colour below each face, (N, 3): luma 0..255, two of chroma -128..128.

    NaN where the picture does not show it, or a nearer person may hide it.

    image: uint8 (H, W, 3) BGR. boxes: float32 (N, 4), the faces in its pixels.
    """
    means = np.array([_mean(image, box) for box in _chests(boxes)], np.float32)
    found = np.asarray(means.reshape(-1, 3) @ TO_LUMA_AND_CHROMA, np.float32)
    found[hidden(boxes)] = np.nan
    return found


def hidden(boxes: Boxes) -> NDArray[np.bool_]:
    """Which chests the person below a nearer, so larger, face may hide in part, (N,)."""
    return _behind(_chests(boxes), boxes, 0.0)


def half_hidden(boxes: Boxes) -> NDArray[np.bool_]:
    """Which faces the hair, head or body of a nearer, so larger, one may hide in part, (N,)."""
    return _behind(boxes, boxes, HAIR)


@dataclass(slots=True)
class Outfit:
    """The colour that a visitor wears, the mean of what was seen. sights: how often it was seen."""

    mean: Colours = field(default_factory=lambda: np.full(3, np.nan, np.float32))
    change: Colours = field(default_factory=lambda: np.zeros(3, np.float32))
    sights: int = 0

    def add(self, colour: Colours) -> None:
        """Take the colour of one sight, (3,), NaN where it is unknown."""
        if np.isnan(colour).any():
            return
        self.sights += 1
        apart = np.zeros(3, np.float32) if self.sights == 1 else colour - self.mean
        self.change = self.change + NEWEST * (np.abs(apart) - self.change)
        self.mean = colour if self.sights == 1 else self.mean + self._weight * apart

    def unlike(self, colours: Colours) -> Colours:
        """How far these colours (N, 3) are from the mean, (N,): below 1 the same, NaN where unknown."""
        varies = np.maximum(SHADES * self.change, LIGHT * np.abs(self.mean))
        usual = np.maximum(SAME_COLOUR, varies) * np.sqrt(1 + self._weight)
        return np.asarray(np.linalg.norm((colours - self.mean) / usual, axis=1), np.float32)

    @property
    def _weight(self) -> float:
        return max(NEWEST, 1 / max(self.sights, 1))


def _behind(parts: Boxes | NDArray[np.intp], boxes: Boxes, above: float) -> NDArray[np.bool_]:
    """Which of the parts (N, 4) of people reach behind another one, who begins `above` sides over a face."""
    if len(boxes) < 2:
        return np.zeros(len(boxes), np.bool_)
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0)
    middle, reach = (boxes[:, 0] + boxes[:, 2]) / 2, ASIDE * sides
    left, _, right, bottom = (edge[:, None] for edge in parts.T)
    across = (left < middle + reach) & (right > middle - reach)
    below = bottom > boxes[:, 1] - above * sides
    return np.asarray((across & below & (sides > sides[:, None])).any(axis=1), np.bool_)


def _chests(boxes: Boxes) -> NDArray[np.intp]:
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True)
    return np.asarray(np.round(np.tile(boxes[:, :2], 2) + CHEST * sides), np.intp)


def _mean(image: Image, chest: NDArray[np.intp]) -> tuple[float, ...]:
    """The mean of blue, green and red in a box."""
    left, top, right, bottom = chest.tolist()
    shown = image[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    if shown.size == 0 or shown.shape[0] * shown.shape[1] < SHOWN * (right - left) * (bottom - top):
        return (np.nan,) * 3
    step = max(1, (bottom - top) // SAMPLES)
    return cv2.mean(np.ascontiguousarray(shown[::step, ::step]))[:3]
