"""Who comes back soon after they left, at the same place and in the same clothes, is not counted again.

Nobody is recognised: a place, a time and one mean colour are compared, and all three are forgotten `SETTLED`
after `tracking.reentry` seconds. Two people in the same clothes who follow each other at one place are one.

So one visit more or less changes two: itself, and one that is taken for somebody who left, or is not. It is
one at most: what it adds to `Departed` is one entry, which either is forgotten, or takes the place of another
entry, or keeps one visit from being counted. The noise is drawn for two (`Rule.reach`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from edge.geometry import Box, distance, mean_side
from edge.vision.clothes import Outfits

NEAR = 3.0
"""Face sizes between where somebody was seen last and is seen again: those who walk out of view are lost a
step before they are gone, and are found again a step after they came."""

SETTLED = timedelta(seconds=10)
"""Time in which somebody who is back in view is known to be a face, in clothes that the picture shows."""

GROWTH = 0.5
"""E-folds by which the two faces may differ in size: another depth is another place."""


ONE = np.zeros(1, np.intp)
"""The row of a single visitor."""


def _unseen() -> Outfits:
    """The clothes of one visitor, not seen yet."""
    worn = Outfits()
    worn.start(np.full((1, 3), np.nan, np.float32))
    return worn


@dataclass(slots=True, eq=False)
class Sights:
    """Where a visitor was seen first and last, in pixels, and in what clothes.

    first, last: float32 (4,). ended: whether the tracker follows them no more. compared: how many of those
    who left they were compared with.
    """

    begin: datetime
    first: Box
    last: Box
    end: datetime
    worn: Outfits = field(default_factory=_unseen)
    ended: bool = False
    compared: int = 0

    @classmethod
    def at(cls, box: Box, at: datetime) -> Sights:
        """A visitor who is seen for the first time, in this box, float32 (4,)."""
        return cls(begin=at, first=box, last=box, end=at)

    def see(self, box: Box, worn: NDArray[np.float32] | None, at: datetime) -> None:
        """Take a sight of the moment `at` in this box, float32 (4,).

        worn: the colour of the clothes, float32 (3,), NaN where they are not shown; None where nobody asks.
        """
        self.last, self.end = box, at
        if worn is not None:
            self.worn.add(ONE, worn[None])

    @property
    def shows_clothes(self) -> bool:
        """Whether the clothes were seen."""
        return not np.isnan(self.worn.means).any()


class Departed:
    """The visitors who left within the last `reentry` seconds; none where it is 0."""

    def __init__(self, reentry: float) -> None:
        self._within = timedelta(seconds=reentry)
        self._left: list[tuple[int, Sights]] = []
        self._added = 0

    @property
    def enabled(self) -> bool:
        """Whether anybody is remembered, so that clothes are of use."""
        return bool(self._within)

    def add(self, sights: Sights) -> None:
        """Remember a visitor who was counted and has left."""
        if self.enabled and sights.shows_clothes:
            self._added += 1
            self._left.append((self._added, sights))

    def take_back(self, sights: Sights) -> bool:
        """Whether this visitor is one who left: then they are in view again, and nobody else is them.

        Ask again later: the track of who is hidden by somebody nearer ends up to 8 s after it was seen
        last, and they may be back before. Each pair is compared once: the clothes of two people may look
        alike at some time.
        """
        new = [left for left in self._left if left[0] > sights.compared]
        sights.compared = self._added
        found = [left for left in new if self._returned(left[1], sights)]
        if found:
            self._left.remove(max(found, key=lambda left: left[1].end))
        return bool(found)

    def pass_time(self, now: datetime) -> None:
        """Forget who left too long ago, or later than now, as the clock was set back."""
        most = self._within + SETTLED
        self._left = [left for left in self._left if timedelta(0) <= now - left[1].end <= most]

    def forget(self) -> None:
        """Forget everybody: the picture shows another place."""
        self._left = []

    def _returned(self, one: Sights, other: Sights) -> bool:
        """Whether `other` began soon after `one` ended, at the same place and in the same clothes."""
        soon = timedelta(0) < other.begin - one.end <= self._within
        return soon and near(one.last, other.first) and _same_clothes(one.worn, other.worn)


def _same_clothes(before: Outfits, after: Outfits) -> bool:
    """As the tracker decides it; False where those of one were not seen."""
    return bool(before.unlike(after.means)[0, 0] < 1)


def near(one: Box, other: Box) -> bool:
    """Whether two boxes, float32 (4,), are of faces at the same place and as far from the camera."""
    before, after = mean_side(one), mean_side(other)
    return distance(one, other) <= NEAR * before and abs(math.log(after / before)) <= GROWTH
