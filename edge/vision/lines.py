"""Which lines a visitor crosses, and in which direction (the definitions are in `docs/measures.md`).

A visitor stands at one point, the anchor. Distances are in face sizes, so one set of numbers is right for
near and far. A side is taken only at a distance from the line and after a time, so neither a jittering box
nor somebody who waits on the line crosses it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge.config import CameraSettings, LineSettings
from edge.types import Crossing
from edge.vision.anchor import Anchor

REACH = 0.5
"""Face sizes beyond the line from which on a visitor has crossed it: boxes jitter by a tenth of that."""

HOLD = timedelta(seconds=0.3)
"""Time beyond the line after which they have crossed it."""

NEAR = 0.25
"""Face sizes from the line below which neither the first nor the last sight of a visitor tells a side."""

LEAD = timedelta(seconds=0.2)
"""Time for which somebody who was lost on the way is taken to have gone on, and who was found on the way to
have come: a face is often hidden at a door, by its frame or by who holds it."""

PACE_OVER = timedelta(seconds=0.3)
"""Time over which their pace is taken."""


class _Place(NamedTuple):
    """Where a visitor is. across: face sizes from the line, above 0 on its inner side. along: 0..1 on it."""

    across: float
    along: float

    @property
    def side(self) -> int:
        return 1 if self.across > 0 else -1


@dataclass(slots=True)
class _Passage:
    """One visitor and one line.

    side: where they are known to be, 0 at first. since: when they were first seen on the other side. inside:
    whether they went there between the ends of the line. trail: the last sights, and at first, until their
    pace is known (begun), all. crossed: when and to which side, alternating.
    """

    uturn_within: timedelta
    side: int = 0
    last: _Place | None = None
    trail: deque[tuple[datetime, _Place]] = field(default_factory=deque)
    begun: bool = False
    since: datetime | None = None
    inside: bool = False
    crossed: list[tuple[datetime, int]] = field(default_factory=list)

    def see(self, place: _Place, at: datetime) -> None:
        """Take the place of the moment `at`."""
        self._follow(place, at)
        if self.begun:
            self._take(place, at)
        elif at - self.trail[0][0] >= PACE_OVER:
            self._begin()

    def _begin(self) -> None:
        """Take the first sights, and before them where the visitor should have been."""
        self.begun = True
        sights = [(place, at) for at, place in self.trail]
        if (behind := self._led(-LEAD)) is not None:
            self._take(*behind)
        for place, at in sights:
            self._take(place, at)

    def _take(self, place: _Place, at: datetime) -> None:
        if self.since is not None and at < self.since:
            self.since = at  # the clock was set back
        side = place.side
        if self.last is not None and side != self.last.side:
            self.since, self.inside = at, 0 <= _cut(self.last, place) <= 1
        self.last = place
        if self.side == 0:
            self.side = side if abs(place.across) >= NEAR else 0
        elif side != self.side and abs(place.across) >= REACH and self._held(at):
            self._cross(side)

    def end(self) -> list[int]:
        """The sides that the visitor crossed to, at most one of each; the last sight needs no wait."""
        if not self.begun:
            self._begin()
        if (ahead := self._led(LEAD)) is not None:
            self._take(*ahead)
        if self.last is not None and self.last.side == -self.side and abs(self.last.across) >= NEAR:
            self._cross(self.last.side)
        return [side for _, side in self.crossed[-(2 - len(self.crossed) % 2) :]]

    def _follow(self, place: _Place, at: datetime) -> None:
        """Keep the places of the last moments, from at least PACE_OVER ago where there are such."""
        if self.trail and at < self.trail[-1][0]:
            if not self.begun:
                self._begin()
            self.trail.clear()  # the clock was set back
        self.trail.append((at, place))
        while len(self.trail) > 2 and at - self.trail[1][0] >= PACE_OVER:
            self.trail.popleft()

    def _led(self, lead: timedelta) -> tuple[_Place, datetime] | None:
        """Where they are `lead` after the last sight of the trail, or below 0 before its first."""
        if len(self.trail) < 2 or (took := self.trail[-1][0] - self.trail[0][0]) < LEAD / 2:
            return None
        (_, one), (_, other) = self.trail[0], self.trail[-1]
        at, place = self.trail[-1 if lead > timedelta(0) else 0]
        share = lead / took
        across = place.across + share * (other.across - one.across)
        return _Place(across, place.along + share * (other.along - one.along)), at + lead

    def _held(self, at: datetime) -> bool:
        return self.since is not None and at - self.since >= HOLD

    def _cross(self, side: int) -> None:
        self.side = side
        if self.since is None or not self.inside:
            return
        if self.crossed and self.crossed[-1][1] == -side:
            if timedelta(0) <= self.since - self.crossed[-1][0] <= self.uturn_within:
                self.crossed.pop()
                return
        elif self.crossed:  # they came back past an end of the line, so this is the same crossing again
            self.crossed.pop()
        self.crossed.append((self.since, side))


class Path:
    """The way of one visitor across the lines of a camera."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._passages = [_Passage(timedelta(seconds=one.uturn_within)) for one in lines.settings]

    def see(self, box: NDArray[np.float32], size: tuple[int, int], at: datetime) -> None:
        """Take the visitor's box, float32 (4,) in pixels of a picture of this width and height."""
        if not self._passages:
            return
        for passage, place in zip(self._passages, self._lines.places(box, size), strict=True):
            passage.see(place, at)

    def crossings(self) -> tuple[Crossing, ...]:
        """What the visitor crossed, once the track has ended."""
        return tuple(
            Crossing(line.name, inward=side > 0)
            for line, passage in zip(self._lines.settings, self._passages, strict=True)
            for side in passage.end()
        )


class _Segment(NamedTuple):
    """A line in the pixels of a frame: where it begins, its way to the right and down, and its length."""

    x: float
    y: float
    right: float
    down: float
    length: float

    def place(self, x: float, y: float, face: float) -> _Place:
        """Where a point is, in pixels, of a face of this size."""
        x, y = x - self.x, y - self.y
        across = (self.right * y - self.down * x) / (self.length * face)
        return _Place(across, (self.right * x + self.down * y) / self.length**2)


class Lines:
    """The lines of one camera."""

    def __init__(self, camera: CameraSettings) -> None:
        self.settings: Sequence[LineSettings] = camera.lines
        self._anchor = Anchor(camera)
        self._size = (0, 0)
        self._segments: list[_Segment] = []

    def begin(self) -> Path:
        """The path of a visitor who has come into view."""
        return Path(self)

    def places(self, box: NDArray[np.float32], size: tuple[int, int]) -> list[_Place]:
        """Where the anchor of a face's box, float32 (4,), is to each line. size: of the frame, in pixels."""
        if size != self._size:  # of a camera all frames have one size, mostly for days
            self._size, self._segments = size, [self._segment(line, size) for line in self.settings]
        x, y = self._anchor.of(box)
        left, top, right, bottom = box.tolist()
        face = max((right - left + bottom - top) / 2, 1.0)
        return [segment.place(x, y, face) for segment in self._segments]

    def _segment(self, line: LineSettings, size: tuple[int, int]) -> _Segment:
        (x, y), (to_x, to_y) = self._anchor.pixels((line.from_, line.to), size).tolist()
        return _Segment(x, y, to_x - x, to_y - y, math.hypot(to_x - x, to_y - y))


def _cut(one: _Place, other: _Place) -> float:
    """Where the straight way between two places on different sides meets the line."""
    share = one.across / (one.across - other.across)
    return one.along + share * (other.along - one.along)
