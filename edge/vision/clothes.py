"""What a visitor wears, as one colour or six: it tells apart two people of whom one comes where the other
left.

It is kept with a track, in memory, and goes with it. It recognises nobody: the same shirt has the same colour
on anybody, and nothing of a face is in it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.geometry import areas, cut_box, intersections, longer_sides
from edge.types import Boxes, Image

Colours = NDArray[np.float32]
"""Of N faces, (N, 3), or of the patches of each, (N, PATCHES, 3)."""

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

ROWS, COLUMNS = 2, 3
PATCHES = ROWS * COLUMNS
"""Parts of the chest, from left to right and down, each with a colour of its own: six know people far better
than one (`bench/results/tried.md`), also where a part is hidden."""

FARTHEST = 3.0
"""The most that one patch may be unlike another: who is partly hidden by somebody else is not ruled out by
one patch."""

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


def patches(image: Image, boxes: Boxes, whole: Colours) -> Colours:
    """The mean colours of the parts of each chest, (N, PATCHES, 3), NaN as in `colours`, for each part.

    image, boxes: see `colours`, which gave `whole`.
    """
    chests = _chests(boxes)
    means = np.array([_grid(image, chest) for chest in chests], np.float32)
    found = np.asarray(means.reshape(-1, PATCHES, 3) @ TO_LUMA_AND_CHROMA, np.float32)
    if not np.isnan(whole).any() and not _leave(image, chests):
        return found
    parts = _parts(chests)
    unseen = _behind(parts, np.repeat(longer_sides(boxes), PATCHES), boxes, 0.0) | ~_shown(parts, image)
    found[unseen.reshape(-1, PATCHES)] = np.nan
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
    """The colours that N visitors wear, each the mean of what was seen, and how much they change.

    patches: how many colours each has, P: 1, or PATCHES. Of several a third is enough to know somebody.
    """

    def __init__(self, patches: int = 1) -> None:
        self._enough = max(patches // 3, 1)
        self._mean = np.empty((0, patches, 3), np.float32)
        self._change = np.empty((0, patches, 3), np.float32)
        self._seen = np.empty((0, patches), np.intp)
        self._sights = np.empty(0, np.intp)

    def start(self, colours: Colours) -> None:
        """Add visitors whose first sights have these colours, (M, 3) or (M, P, 3), NaN where unknown."""
        count, fresh = len(self._mean), np.zeros((len(colours), *self._mean.shape[1:]), np.float32)
        self._mean = np.concatenate([self._mean, fresh])
        self._change = np.concatenate([self._change, fresh])
        self._seen = np.concatenate([self._seen, np.zeros(fresh.shape[:2], np.intp)])
        self._sights = np.concatenate([self._sights, np.zeros(len(colours), np.intp)])
        self.add(count + np.arange(len(colours)), colours)

    def keep(self, rows: NDArray[np.bool_]) -> None:
        """Forget all visitors but those where this mask (N,) is true."""
        self._mean, self._change = self._mean[rows], self._change[rows]
        self._seen, self._sights = self._seen[rows], self._sights[rows]

    def add(self, rows: NDArray[np.intp], colours: Colours) -> None:
        """Take one sight of each of these rows, (M, 3) or (M, P, 3), NaN where its colour is unknown."""
        colours = self._by_patch(colours)
        known = ~np.isnan(colours[..., 0])
        if not known.any():
            return
        if not known.all():
            rows, known, colours = rows[some := known.any(axis=1)], known[some], colours[some]
        first = known & (self._seen[rows] == 0)
        mean, change = self._mean[rows], self._change[rows]
        mean[first] = colours[first]
        self._seen[rows] += known
        apart = np.where(known[..., None], colours - mean, 0)
        weight = _weights(self._seen[rows])[..., None].astype(np.float32)
        self._change[rows] = np.where(known[..., None], change + NEWEST * (np.abs(apart) - change), change)
        self._mean[rows] = mean + weight * apart
        self._sights[rows] += known.sum(axis=1) >= self._enough

    @property
    def known(self) -> NDArray[np.bool_]:
        """Of whom enough was seen, (N,)."""
        return np.asarray((self._seen > 0).sum(axis=1) >= self._enough)

    @property
    def sights(self) -> NDArray[np.intp]:
        """In how many sights enough of each was seen, (N,)."""
        return self._sights

    @property
    def means(self) -> Colours:
        """The colours (N, P, 3), NaN where none was seen."""
        return np.where((self._seen > 0)[..., None], self._mean, np.float32(np.nan))

    def unlike(self, colours: Colours) -> NDArray[np.float64]:
        """How far M colours, (M, 3) or (M, P, 3), are from the means, (N, M): below 1 the same, NaN where
        too little is known of one.

        Of several patches it is the mean of those that both show, each at most FARTHEST.
        """
        varies = np.maximum(SHADES * self._change, LIGHT * np.abs(self._mean))
        usual = np.maximum(SAME_COLOUR, varies) * np.sqrt(1 + _weights(self._seen))[..., None]
        usual[self._seen == 0] = np.nan
        # Each part of the colour lies together in memory: of 100 visitors that takes a fraction of the time.
        seen, mean, usual = (
            np.ascontiguousarray(part.T) for part in (self._by_patch(colours), self._mean, usual)
        )
        square = ((seen[:, :, None] - mean[:, :, :, None]) / usual[:, :, :, None]) ** 2
        apart = np.asarray(np.sqrt(square[0] + square[1] + square[2]), np.float64)
        return apart[0] if len(apart) == 1 else _mean_of_known(np.minimum(apart, FARTHEST), self._enough)

    def _by_patch(self, colours: Colours) -> Colours:
        return colours.reshape(len(colours), *self._mean.shape[1:])


def _mean_of_known(apart: NDArray[np.float64], enough: int) -> NDArray[np.float64]:
    """The mean over the first axis of what is known, NaN where that is less than `enough`."""
    count = (~np.isnan(apart)).sum(axis=0)
    return np.where(count >= enough, np.nan_to_num(apart).sum(axis=0) / np.maximum(count, 1), np.nan)


def _weights(sights: NDArray[np.intp]) -> NDArray[np.float64]:
    """Weight of the newest of so many sights in the mean, of the same shape."""
    return np.asarray(np.maximum(NEWEST, 1 / np.maximum(sights, 1)))


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


def _parts(chests: NDArray[np.intp]) -> NDArray[np.intp]:
    """The boxes of the parts of N chests, (N * PATCHES, 4)."""
    left, top, right, bottom = chests.T[:, :, None]
    x = left + (right - left) * np.arange(COLUMNS + 1) // COLUMNS
    y = top + (bottom - top) * np.arange(ROWS + 1) // ROWS
    row, column = np.divmod(np.arange(PATCHES), COLUMNS)
    boxes = [x[:, column], y[:, row], x[:, column + 1], y[:, row + 1]]
    return np.stack(boxes, axis=-1).reshape(-1, 4)


def _leave(image: Image, chests: NDArray[np.intp]) -> bool:
    """Whether any of the chests, (N, 4), reaches beyond the picture."""
    height, width = image.shape[:2]
    _, _, right, bottom = chests.max(axis=0, initial=0).tolist()
    return bool(chests.min(initial=0) < 0 or right > width or bottom > height)


def _shown(parts: NDArray[np.intp], image: Image) -> NDArray[np.bool_]:
    """Of which boxes, (N, 4), the picture shows enough, (N,)."""
    height, width = image.shape[:2]
    boxes, picture = parts.astype(np.float32), np.array([[0, 0, width, height]], np.float32)
    return np.asarray(intersections(boxes, picture)[:, 0] >= SHOWN * np.maximum(areas(boxes), 1))


def _grid(image: Image, chest: NDArray[np.intp]) -> Image:
    """The mean of blue, green and red of each part of a chest, (PATCHES, 3)."""
    cut = cut_box(image, *chest.tolist())
    if not cut.size:
        return np.zeros((PATCHES, 3), np.uint8)
    step = max(1, len(cut) // SAMPLES)
    means = cv2.resize(
        np.ascontiguousarray(cut[::step, ::step]), (COLUMNS, ROWS), interpolation=cv2.INTER_AREA
    )
    return np.asarray(means.reshape(PATCHES, 3), np.uint8)


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
