"""Where a visitor spent the time: who is staff, which zone a visit belongs to, which zones it entered.

The definitions are in `docs/measures.md`. A visitor is at one point, the anchor. Time between two sights
counts for a zone that holds the anchor at both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

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


@dataclass(slots=True)
class Stay:
    """One visitor and the zones of a camera. By zone: spent, the time in it; seen, whether ever in it."""

    zones: Zones
    spent: list[timedelta]
    seen: list[bool]
    is_staff: bool = False
    last: datetime | None = None
    inside: Sequence[bool] = ()

    def see(self, box: NDArray[np.float32], size: tuple[int, int], at: datetime) -> None:
        """Take the visitor's box, float32 (4,) in pixels of a frame of this width and height."""
        if not self.spent or self.is_staff:
            return
        inside = self.zones.hold(box, size)
        if self.last is None:
            self.is_staff = self.zones.seen_as_staff(inside)
        elif timedelta(0) < (gap := at - self.last) <= LONGEST_GAP:
            for number, (before, now) in enumerate(zip(self.inside, inside, strict=True)):
                if before and now:
                    self.spent[number] += gap
            self.is_staff = self.zones.too_long(self.spent)
        self.seen = [before or now for before, now in zip(self.seen, inside, strict=True)]
        self.last, self.inside = at, inside

    @property
    def zone(self) -> str:
        """The area or queue in which the visitor spent longest; of equal ones the first. Empty: in none."""
        visited = [(spent, -number) for number, _, spent in self._areas() if self.seen[number]]
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
        self._outlines = [np.array(zone.polygon, np.float32) for zone in self.settings]
        self._after = [
            timedelta(seconds=zone.staff_after) if zone.role == "staff" else timedelta.max
            for zone in self.settings
        ]

    def begin(self) -> Stay:
        """The stay of a visitor who has come into view."""
        number = len(self.settings)
        return Stay(self, [timedelta()] * number, [False] * number)

    def hold(self, box: NDArray[np.float32], size: tuple[int, int]) -> list[bool]:
        """Whether each of them holds the anchor of this box, a point on its border included."""
        x, y = self._anchor.fractions(box, size)
        return [cv2.pointPolygonTest(outline, (x, y), measureDist=False) >= 0 for outline in self._outlines]

    def seen_as_staff(self, inside: Sequence[bool]) -> bool:
        """Whether who is first seen so is staff."""
        return any(now and zone.role == "staff" for now, zone in zip(inside, self.settings, strict=True))

    def too_long(self, spent: Sequence[timedelta]) -> bool:
        """Whether so much time in any of them makes a visitor staff."""
        return any(time > most for time, most in zip(spent, self._after, strict=True))


_MOST_WAITED = QUANTITIES[QUEUE].most


_Spent = tuple[ZoneSettings, timedelta]


def _longest(quantity: str, entered: list[_Spent]) -> list[_Spent]:
    """The zones that were entered, as many as one visit may add to; of more, those where it was longest."""
    return sorted(entered, key=lambda one: one[1], reverse=True)[: QUANTITIES[quantity].limit]


def _step(quantity: str, zone: ZoneSettings, spent: timedelta) -> Contribution:
    step = QUANTITIES[quantity].step(spent.total_seconds())
    return Contribution(quantity, cell_of(zone.name, step))
