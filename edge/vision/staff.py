"""Who is staff: seen first in a staff zone, or there for long (the definitions are in `docs/measures.md`)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.config import CameraSettings
from edge.vision.anchor import Anchor

LONGEST_GAP = timedelta(seconds=3)
"""Time between two sights that counts as time there; a track without a face ends after as long."""


@dataclass(slots=True)
class Stay:
    """One visitor and the staff zones of a camera. spent: time in each of them."""

    zones: StaffZones
    spent: list[timedelta]
    is_staff: bool = False
    last: datetime | None = None
    inside: tuple[bool, ...] = ()

    def see(self, box: NDArray[np.float32], size: tuple[int, int], at: datetime) -> None:
        """Take the visitor's box, float32 (4,) in pixels of a frame of this width and height."""
        if not self.spent or self.is_staff:
            return
        inside = self.zones.hold(box, size)
        if self.last is None:
            self.is_staff = any(inside)
        elif timedelta(0) < (gap := at - self.last) <= LONGEST_GAP:
            for number, (before, now) in enumerate(zip(self.inside, inside, strict=True)):
                self.spent[number] += gap * (before and now)
            self.is_staff = self.zones.too_long(self.spent)
        self.last, self.inside = at, inside


class StaffZones:
    """The staff zones of one camera."""

    def __init__(self, camera: CameraSettings) -> None:
        zones = [zone for zone in camera.zones if zone.role == "staff"]
        self._anchor = Anchor(camera)
        self._polygons = [np.array(zone.polygon) for zone in zones]
        self._after = [timedelta(seconds=zone.staff_after) for zone in zones]

    def begin(self) -> Stay:
        """The stay of a visitor who has come into view."""
        return Stay(self, [timedelta()] * len(self._polygons))

    def hold(self, box: NDArray[np.float32], size: tuple[int, int]) -> tuple[bool, ...]:
        """Whether each of them holds the anchor of this box."""
        x, y = self._anchor.of(box).tolist()
        outlines = (self._anchor.pixels(polygon, size).astype(np.float32) for polygon in self._polygons)
        return tuple(cv2.pointPolygonTest(outline, (x, y), False) >= 0 for outline in outlines)

    def too_long(self, spent: list[timedelta]) -> bool:
        """Whether so much time in any of them makes a visitor staff."""
        return any(time > most for time, most in zip(spent, self._after, strict=True))
