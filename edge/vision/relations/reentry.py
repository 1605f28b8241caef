"""Who comes back soon after they left, at the same place and in the same clothes, is not counted again.

Nobody is recognised: a place, a time and one mean colour are compared, and all three are forgotten `SETTLED`
after `tracking.reentry` seconds. Two people in the same clothes who follow each other at one place are one.

So one visit more or less changes two: itself, and one that is taken for somebody who left, or is not. It is
one at most: what it adds to `Departed` is one entry, which either is forgotten, or takes the place of another
entry, or keeps one visit from being counted. The noise is drawn for two (`Rule.reach`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

NEAR = 3.0
"""Face sizes between where somebody was seen last and is seen again: those who walk out of view are lost a
step before they are gone, and are found again a step after they came."""

SETTLED = timedelta(seconds=10)
"""Time in which somebody who is back in view is known to be a face, in clothes that the picture shows."""

GROWTH = 0.5
"""E-folds by which the two faces may differ in size: another depth is another place."""

SAME_COLOUR = 20.0
"""Distance of two colours, in grey levels, up to which they are the same clothes, as in the tracker."""


@dataclass(slots=True, eq=False)
class Sights:
    """Where a visitor was seen first and last, in pixels, and in what clothes.

    first, last: float32 (4,). worn_first, worn_last: float32 (3,), see `edge.vision.clothes`; None: not seen.
    """

    begin: datetime
    first: NDArray[np.float32]
    last: NDArray[np.float32]
    end: datetime
    worn_first: NDArray[np.float32] | None = None
    worn_last: NDArray[np.float32] | None = None

    @classmethod
    def at(cls, box: NDArray[np.float32], at: datetime) -> Sights:
        """A visitor who is seen for the first time."""
        return cls(begin=at, first=box, last=box, end=at)

    def see(self, box: NDArray[np.float32], worn: NDArray[np.float32], at: datetime) -> None:
        """Take a sight of the moment `at`. worn: NaN where the clothes are not shown."""
        self.last, self.end = box, at
        if not np.isnan(worn).any():
            self.worn_last = worn
            self.worn_first = worn if self.worn_first is None else self.worn_first


class Departed:
    """The visitors who left within the last `reentry` seconds; none where it is 0."""

    def __init__(self, reentry: float) -> None:
        self._within = timedelta(seconds=reentry)
        self._left: list[Sights] = []

    def add(self, sights: Sights) -> None:
        """Remember a visitor who was counted and has left."""
        if self._within and sights.worn_last is not None:
            self._left.append(sights)

    def take_back(self, sights: Sights) -> bool:
        """Whether this visitor is one who left: then they are in view again, and nobody else is them."""
        found = [one for one in self._left if self._returned(one, sights)]
        if found:
            self._left.remove(max(found, key=lambda one: one.end))
        return bool(found)

    def pass_time(self, now: datetime) -> None:
        """Forget who left too long ago, or later than now, as the clock was set back."""
        most = self._within + SETTLED
        self._left = [one for one in self._left if timedelta(0) <= now - one.end <= most]

    def forget(self) -> None:
        """Forget everybody: the picture shows another place."""
        self._left = []

    def _returned(self, one: Sights, other: Sights) -> bool:
        """Whether `other` began where, soon after, and in the same clothes as `one` ended."""
        if one.worn_last is None or other.worn_first is None:
            return False
        apart = float(np.linalg.norm(one.worn_last - other.worn_first))
        soon = timedelta(0) < other.begin - one.end <= self._within
        return soon and apart <= SAME_COLOUR and near(one.last, other.first)


def near(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    """Whether two boxes are of faces at the same place, near and far."""
    before, after = _size(one), _size(other)
    apart = float(np.hypot(*(_middle(one) - _middle(other))))
    return apart <= NEAR * before and abs(math.log(after / before)) <= GROWTH


def _size(box: NDArray[np.float32]) -> float:
    return max(float(box[2] - box[0] + box[3] - box[1]) / 2, 1.0)


def _middle(box: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray((box[:2] + box[2:]) / 2, np.float32)
