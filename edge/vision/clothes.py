"""What a visitor wears, as one colour: it tells apart two people of whom one comes where the other left.

It is kept with a track, in memory, and goes with it. It recognises nobody: the same shirt has the same colour
on anybody, and nothing of a face is in it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.geometry import longer_sides
from edge.types import Boxes, Image

Colours = NDArray[np.float32]
"""Of N faces, (N, 3)."""

CHEST = np.array([-0.1, 1.1, 1.1, 2.1], np.float32)
"""Left, top, right and bottom of the chest, in longer sides of the face's box from its left top corner."""

SHOWN = 0.5
"""Share of the chest that the picture must show, and that nobody nearer may hide to see a part."""

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


def with_parts(image: Image, boxes: Boxes, whole: Colours) -> Colours:
    """`colours` as they are known, and else of the part of the chest beside nearer people, (N, 3).

    NaN where that is less than half of it. A part has a somewhat other colour, such as a jacket without the
    shirt: 4 more of 210 visitors of drawn scenes are wrong where it counts in each frame.

    image, boxes: see `colours`, which gave `whole`.
    """
    if not np.isnan(whole).any():
        return whole
    found = whole.copy()
    chests, sides = _chests(boxes), longer_sides(boxes)
    for row in np.flatnonzero(hidden(boxes)).tolist():
        part = _beside(chests[row], boxes[sides > sides[row]])
        if part[2] - part[0] >= SHOWN * (chests[row, 2] - chests[row, 0]):
            found[row] = np.array(_mean(image, part), np.float32) @ TO_LUMA_AND_CHROMA
    return found


def hidden(boxes: Boxes) -> NDArray[np.bool_]:
    """Which chests the person below a nearer, so larger, face may hide in part, (N,)."""
    return _behind(_chests(boxes), longer_sides(boxes), boxes, 0.0)


def half_hidden(boxes: Boxes) -> NDArray[np.bool_]:
    """Which faces the hair, head or body of a nearer, so larger, one may hide in part, (N,)."""
    return behind(boxes, boxes)


def behind(faces: Boxes, seen: Boxes) -> NDArray[np.bool_]:
    """Which of the faces (N, 4) the hair, head or body of a nearer, so larger, one of those seen (M, 4) may
    hide in part, (N,)."""
    return _behind(faces, longer_sides(faces), seen, HAIR)


class Outfits:
    """The colours that N visitors wear, each the mean of what was seen, and how much they change."""

    def __init__(self) -> None:
        self._mean = np.empty((0, 3), np.float32)
        self._change = np.empty((0, 3), np.float32)
        self._sights = np.empty(0, np.intp)

    def start(self, colours: Colours) -> None:
        """Add visitors whose first sights have these colours (M, 3), NaN where unknown."""
        count = len(self._mean)
        self._mean = np.concatenate([self._mean, np.zeros_like(colours)])
        self._change = np.concatenate([self._change, np.zeros_like(colours)])
        self._sights = np.concatenate([self._sights, np.zeros(len(colours), np.intp)])
        self.add(count + np.arange(len(colours)), colours)

    def keep(self, rows: NDArray[np.bool_]) -> None:
        """Forget all visitors but those where this mask (N,) is true."""
        self._mean, self._change, self._sights = self._mean[rows], self._change[rows], self._sights[rows]

    def add(self, rows: NDArray[np.intp], colours: Colours) -> None:
        """Take one sight of each of these rows, (M, 3), NaN where its colour is unknown."""
        known = ~np.isnan(colours).any(axis=1)
        if not known.all():
            rows, colours = rows[known], colours[known]
        if not len(rows):
            return
        first = self._sights[rows] == 0
        self._mean[rows[first]] = colours[first]
        self._sights[rows] += 1
        apart = colours - self._mean[rows]
        self._change[rows] += NEWEST * (np.abs(apart) - self._change[rows])
        self._mean[rows] += _weights(self._sights[rows]).astype(np.float32) * apart

    @property
    def known(self) -> NDArray[np.bool_]:
        """Whose were seen, (N,)."""
        return self._sights > 0

    @property
    def sights(self) -> NDArray[np.intp]:
        """How often each was seen, (N,)."""
        return self._sights

    @property
    def means(self) -> Colours:
        """The colours (N, 3), NaN where none was seen."""
        return np.where(self.known[:, None], self._mean, np.float32(np.nan))

    def unlike(self, colours: Colours) -> NDArray[np.float64]:
        """How far M colours (M, 3) are from the means, (N, M): below 1 the same, NaN where unknown."""
        varies = np.maximum(SHADES * self._change, LIGHT * np.abs(self._mean))
        usual = np.maximum(SAME_COLOUR, varies) * np.sqrt(1 + _weights(self._sights))
        usual[self._sights == 0] = np.nan
        # Each part of the colour lies together in memory: of 100 visitors that takes a fraction of the time.
        colours, mean, usual = (np.ascontiguousarray(part.T) for part in (colours, self._mean, usual))
        square = ((colours[:, None] - mean[:, :, None]) / usual[:, :, None]) ** 2
        return np.asarray(np.sqrt(square[0] + square[1] + square[2]), np.float64)


def _weights(sights: NDArray[np.intp]) -> NDArray[np.float64]:
    """Weight of the newest of so many sights in the mean, (N, 1)."""
    return np.asarray(np.maximum(NEWEST, 1 / np.maximum(sights, 1))[:, None])


def _behind(
    parts: Boxes | NDArray[np.intp], own: NDArray[np.float32], boxes: Boxes, above: float
) -> NDArray[np.bool_]:
    """Which of the parts (N, 4) of people reach behind one of those with these faces (M, 4), who begins
    `above` sides over the face. own: sides of the faces of the parts, (N,)."""
    sides = longer_sides(boxes)
    middle, reach = (boxes[:, 0] + boxes[:, 2]) / 2, ASIDE * sides
    left, _, right, bottom = (edge[:, None] for edge in parts.T)
    across = (left < middle + reach) & (right > middle - reach)
    below = bottom > boxes[:, 1] - above * sides
    return np.asarray((across & below & (sides > own[:, None])).any(axis=1), np.bool_)


def _chests(boxes: Boxes) -> NDArray[np.intp]:
    corner = boxes[:, [0, 1, 0, 1]]
    return np.asarray(np.round(corner + CHEST * longer_sides(boxes)[:, None]), np.intp)


def _beside(chest: NDArray[np.intp], nearer: Boxes) -> NDArray[np.intp]:
    """The widest side of a chest, over its whole height, that nobody with one of these faces may hide."""
    left, top, right, bottom = chest.tolist()
    lower = nearer[nearer[:, 1] < bottom]
    for face, side in zip(lower.tolist(), longer_sides(lower).tolist(), strict=True):
        middle, reach = (face[0] + face[2]) / 2, ASIDE * side
        after, before = max(left, round(middle + reach)), min(right, round(middle - reach))
        left, right = (after, right) if right - after > before - left else (left, before)
    return np.array([left, top, max(left, right), bottom], np.intp)


def _mean(image: Image, chest: NDArray[np.intp]) -> tuple[float, ...]:
    """The mean of blue, green and red in a box."""
    left, top, right, bottom = chest.tolist()
    shown = image[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    if shown.size == 0 or shown.shape[0] * shown.shape[1] < SHOWN * (right - left) * (bottom - top):
        return (np.nan,) * 3
    step = max(1, (bottom - top) // SAMPLES)
    return cv2.mean(np.ascontiguousarray(shown[::step, ::step]))[:3]
