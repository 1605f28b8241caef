"""Where a visitor spent the time: who is staff, which zone a visit belongs to, which zones it entered.

The definitions are in `docs/measures.md`. A visitor is at one point, the anchor. Time between two sights
counts for a zone that holds the anchor at both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.config import CameraSettings, ZoneSettings
from edge.quantities import DWELL, QUANTITIES, QUEUE, WAITING, ZONES, Contribution, cell_of
from edge.vision.anchor import Anchor

LONGEST_GAP = timedelta(seconds=3)
"""Time between two sights that counts as time there; a track without a face ends after as long."""

ENTERED = timedelta(seconds=1)
"""Time in a zone from which on a visit has entered it: a shorter one is a way past its border."""


NOWHERE: frozenset[int] = frozenset()


@dataclass(slots=True)
class Stay:
    """One visitor and the zones of a camera, by their numbers.

    spent: the time in each. seen: those where they were ever. inside: those where they were at `last`.
    """

    zones: Zones
    spent: list[timedelta]
    seen: frozenset[int] = NOWHERE
    is_staff: bool = False
    last: datetime | None = None
    inside: frozenset[int] = NOWHERE

    def see(self, box: NDArray[np.float32], size: tuple[int, int], at: datetime) -> None:
        """Take the visitor's box, float32 (4,) in pixels of a frame of this width and height."""
        if not self.spent or self.is_staff:
            return
        inside = self.zones.hold(box, size)
        if self.last is None:
            self.is_staff = self.zones.seen_as_staff(inside)
        elif timedelta(0) < (gap := at - self.last) <= LONGEST_GAP:
            for number in inside & self.inside:
                self.spent[number] += gap
            self.is_staff = self.zones.too_long(self.spent)
        self.seen |= inside
        self.last, self.inside = at, inside

    def take(self, piece: Stay, begin: datetime) -> None:
        """Take a later stay that turned out to be a part of this one. begin: when it did."""
        if self.last is not None and timedelta(0) < (gap := begin - self.last) <= LONGEST_GAP:
            for number in self.inside & piece.seen:
                self.spent[number] += gap
        self.spent = [own + more for own, more in zip(self.spent, piece.spent, strict=True)]
        self.is_staff |= piece.is_staff or self.zones.too_long(self.spent)
        self.seen |= piece.seen
        self.last, self.inside = piece.last, piece.inside

    @property
    def zone(self) -> str:
        """The area or queue in which the visitor spent longest; of equal ones the first. Empty: in none."""
        visited = [(spent, -number) for number, _, spent in self._areas() if number in self.seen]
        return self.zones.settings[-max(visited)[1]].name if visited else ""

    def contributions(self) -> Iterator[Contribution]:
        """What the visit adds to the numbers of the areas and queues."""
        own = self.zone
        yield from (_step(DWELL, zone, spent) for _, zone, spent in self._areas() if zone.name == own)
        entered = [(zone, spent) for _, zone, spent in self._areas() if spent >= ENTERED]
        yield from (Contribution(ZONES, zone.name) for zone, _ in _longest(ZONES, entered))
        queues = [(zone, spent) for zone, spent in entered if zone.role == "queue"]
        for zone, spent in _longest(QUEUE, queues):
            yield Contribution(QUEUE, zone.name, min(round(spent.total_seconds()), _MOST_WAITED))
            yield _step(WAITING, zone, spent)

    def _areas(self) -> Iterator[tuple[int, ZoneSettings, timedelta]]:
        for number, (zone, spent) in enumerate(zip(self.zones.settings, self.spent, strict=True)):
            if zone.role in ("area", "queue"):
                yield number, zone, spent


class Zones:
    """The zones of one camera, but those that are ignored."""

    def __init__(self, camera: CameraSettings) -> None:
        self.settings = [zone for zone in camera.zones if zone.role != "ignore"]
        self._anchor = Anchor(camera)
        self._outlines = [_Outline.of(zone) for zone in self.settings]
        self._staff_after = {
            number: timedelta(seconds=zone.staff_after)
            for number, zone in enumerate(self.settings)
            if zone.role == "staff"
        }

    def begin(self) -> Stay:
        """The stay of a visitor who has come into view."""
        return Stay(self, [timedelta()] * len(self.settings))

    def hold(self, box: NDArray[np.float32], size: tuple[int, int]) -> frozenset[int]:
        """The numbers of the zones that hold the anchor of a face's box, float32 (4,), borders included.

        size: the frame's width and height in pixels.
        """
        x, y = self._anchor.fractions(box, size)
        found = [number for number, outline in enumerate(self._outlines) if outline.holds(x, y)]
        return frozenset(found) if found else NOWHERE

    def seen_as_staff(self, inside: frozenset[int]) -> bool:
        """Whether who is first seen so is staff."""
        return not self._staff_after.keys().isdisjoint(inside)

    def too_long(self, spent: Sequence[timedelta]) -> bool:
        """Whether so much time in any of them makes a visitor staff."""
        return any(spent[number] > most for number, most in self._staff_after.items())


class _Outline(NamedTuple):
    """A polygon in fractions of the picture, float32 (N, 2), and the upright rectangle around it."""

    polygon: NDArray[np.float32]
    left: float
    top: float
    right: float
    bottom: float

    @classmethod
    def of(cls, zone: ZoneSettings) -> _Outline:
        polygon = np.array(zone.polygon, np.float32)
        return cls(polygon, *polygon.min(axis=0).tolist(), *polygon.max(axis=0).tolist())

    def holds(self, x: float, y: float) -> bool:
        # Most points are outside of most rectangles, and OpenCV's call costs ten times as much.
        if not (self.left <= x <= self.right and self.top <= y <= self.bottom):
            return False
        return cv2.pointPolygonTest(self.polygon, (x, y), measureDist=False) >= 0


_MOST_WAITED = QUANTITIES[QUEUE].most


_Spent = tuple[ZoneSettings, timedelta]


def _longest(quantity: str, entered: list[_Spent]) -> list[_Spent]:
    """The zones that were entered, as many as one visit may add to; of more, those where it was longest."""
    return sorted(entered, key=lambda one: one[1], reverse=True)[: QUANTITIES[quantity].limit]


def _step(quantity: str, zone: ZoneSettings, spent: timedelta) -> Contribution:
    step = QUANTITIES[quantity].step(spent.total_seconds())
    return Contribution(quantity, cell_of(zone.name, step))
