"""Visits to counts per window: event time, half-open UTC windows, a watermark that never moves back.

    event time   when it happened at the camera, not when it was processed
    watermark    the camera's event time minus `lateness`: nothing older is expected
    window       [start, end) of `length` seconds from UTC midnight; closed once the watermark reaches its end
    shape        what a window counts: zones, brackets, lines, cells; it never changes once it has begun

Each camera has its own watermark, so a camera that is slow or down delays no other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from edge.brackets import Bracket, bracket_of, parse_brackets
from edge.ops.reasons import FrameDrop
from edge.quantities import CROSSED, GROUPS, MEMBERS, MISSED, QUANTITIES, cell_of, crossed_cell, step_of
from edge.types import (
    CameraState,
    CountingPlan,
    Coverage,
    Crossing,
    GroupEnded,
    Passages,
    Progress,
    StreamEnded,
    TrackMissed,
    Visit,
    WindowCounts,
    ZoneCounts,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

LONGEST_GAP = timedelta(days=1)
"""After a restart, a gap of up to this length is filled with empty windows; a longer one is not."""

LONGEST_PAUSE = timedelta(minutes=10)
"""A camera's event time moves on every second, also while the camera is down. A longer step means that the
clock was set. It is not filled with empty windows: their names may be needed when that time really comes."""

LONGEST_FRAME_GAP = timedelta(seconds=3)
"""Frames further apart than this leave a gap in the coverage: the slowest camera gives one each second."""

LONGEST_STEP_BACK = timedelta(minutes=10)
"""After a smaller step back, the camera waits until its time is reached again: those windows were published.
After a larger one, its windows close and new ones start at the new time: the clock was wrong before."""


@dataclass(slots=True)
class _Window:
    """A window that is still open. visits: by zone and bracket; None: without an age."""

    visits: Counter[tuple[str, str | None]] = field(default_factory=Counter)
    crossings: Counter[Crossing] = field(default_factory=Counter)
    tallies: dict[str, Counter[str]] = field(default_factory=dict)
    seconds: float = 0.0
    analysed: int = 0
    dropped: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a window counts: the zones, the brackets, the lines, and the cells of each other quantity."""

    zones: tuple[str, ...]
    brackets: tuple[Bracket, ...]
    lines: tuple[str, ...]
    cells: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(
        cls,
        zones: Iterable[str],
        brackets: Iterable[str],
        lines: Iterable[str],
        cells: Mapping[str, Iterable[str]],
    ) -> _Shape:
        quantities = {quantity: tuple(names) for quantity, names in cells.items()}
        return cls(tuple(zones), parse_brackets(tuple(brackets)), tuple(lines), quantities)

    @classmethod
    def of_window(cls, window: WindowCounts) -> _Shape:
        return cls.of(window.zones, window.brackets, window.lines, window.tallies)

    def cell_of(self, visit: Visit) -> tuple[str, str | None]:
        """The zone and the bracket of a visit; a zone that this window does not count is in the last one."""
        zone = visit.zone if visit.zone in self.zones else self.zones[-1]
        return zone, None if visit.age is None else bracket_of(visit.age, self.brackets).label


@dataclass(slots=True)
class _Camera:
    """The event time and the open windows of one camera.

    first: the start of the oldest open window. shapes: (start, shape) in order; a shape holds for windows
    from that start on, the first one also before. seen: the time of the last frame, None if the camera gave
    no usable picture then. resumed: the windows come from an earlier run, and the camera has not reported in
    this one.
    """

    event_time: datetime
    first: datetime
    watermark: datetime
    shapes: list[tuple[datetime, _Shape]]
    seen: datetime | None = None
    resumed: bool = False
    windows: dict[datetime, _Window] = field(default_factory=dict)

    def shape(self, start: datetime) -> _Shape:
        """The shape of the window that begins at `start`."""
        return next((shape for since, shape in reversed(self.shapes) if since <= start), self.shapes[0][1])

    def take_shape(self, since: datetime, shape: _Shape) -> None:
        """Give windows from `since` on this shape, in place of any planned for them."""
        self.shapes = [planned for planned in self.shapes if planned[0] < since] or self.shapes[:1]
        self.shapes.append((since, shape))

    def forget_shapes(self) -> None:
        """Drop the shapes that no open or later window has."""
        while len(self.shapes) > 1 and self.shapes[1][0] <= self.first:
            del self.shapes[0]


class Aggregator:
    """Counts visits per camera, window and bracket; used by one thread. length: seconds, divides the day."""

    def __init__(self, site: str, plan: CountingPlan, *, length: int) -> None:
        self._site = site
        self._plan = plan
        self._length = timedelta(seconds=length)
        self._cameras: dict[str, _Camera] = {}
        self.late = 0
        """Visits that came after their window had closed; they were counted in the oldest open one."""

    def replan(self, plan: CountingPlan) -> None:
        """Use another plan from each camera's next window on."""
        self._plan = plan
        for name, camera in self._cameras.items():
            if name in plan.zones:
                self._plan_next(name, camera, camera.event_time)

    def count(self, visit: Visit) -> None:
        """Count one visitor in the window of `visit.at`, or in the oldest open one if that has closed."""
        camera = self._camera(visit.camera_id, visit.at)
        start = self._start(visit.at)
        if start < camera.first:
            self.late += 1
            start = camera.first
        window = camera.windows.setdefault(start, _Window())
        cell = camera.shape(start).cell_of(visit)
        window.visits[cell] += 1
        window.crossings.update(visit.crossings)
        for one in visit.contributions:
            window.tallies.setdefault(one.quantity, Counter())[one.cell] += one.amount
            if crossed := CROSSED.get(one.quantity):
                window.tallies.setdefault(crossed, Counter())[crossed_cell(*cell, step_of(one.cell))] += 1

    def count_group(self, group: GroupEnded) -> None:
        """Count visitors who came together in the window of `group.at`, or in the oldest open one."""
        cell = cell_of(MEMBERS, QUANTITIES[GROUPS].step(group.size))
        self._window(group.camera_id, group.at).tallies.setdefault(GROUPS, Counter())[cell] += 1

    def count_missed(self, missed: TrackMissed) -> None:
        """Count a track that was no visit in the window of `missed.at`, or in the oldest open one."""
        window = self._window(missed.camera_id, missed.at)
        window.tallies.setdefault(MISSED, Counter())[missed.reason] += 1

    def _window(self, camera_id: str, at: datetime) -> _Window:
        camera = self._camera(camera_id, at)
        return camera.windows.setdefault(max(self._start(at), camera.first), _Window())

    def stays_open(self, progress: Progress) -> bool:
        """Whether every window of the camera stays open at this progress, so that visits count the same after
        it as before it.
        """
        camera = self._cameras.get(progress.camera_id)
        if camera is None or camera.event_time - progress.event_time > LONGEST_STEP_BACK:
            return False
        watermark = max(camera.watermark, progress.event_time - timedelta(seconds=self._plan.lateness))
        return watermark < camera.first + self._length

    def progress(self, progress: Progress) -> list[WindowCounts]:
        """Move a camera's event time on and note what was watched; the windows that close, oldest first."""
        camera = self._camera(progress.camera_id, progress.event_time)
        if camera.event_time - progress.event_time > LONGEST_STEP_BACK:
            return self._restart(progress)
        now = camera.event_time = max(camera.event_time, progress.event_time)
        self._watch(camera, progress, now)
        window = camera.windows.setdefault(max(self._start(now), camera.first), _Window())
        window.analysed += progress.analysed
        window.dropped.update(progress.dropped)
        camera.watermark = max(camera.watermark, now - timedelta(seconds=self._plan.lateness))
        closed = list(self._close(progress.camera_id, camera, camera.watermark))
        camera.resumed = False
        return closed

    def end(self, ended: StreamEnded) -> list[WindowCounts]:
        """Close all windows of a camera that gives no more frames, also the one that has just begun."""
        if ended.camera_id not in self._cameras:
            return []
        closed = self.progress(Progress(ended.camera_id, ended.event_time))
        closed += self._close_all(ended.camera_id)
        return [*closed[:-1], *(replace(window, last=True) for window in closed[-1:])]

    def open_windows(self) -> list[WindowCounts]:
        """The counts so far of the windows that are still open."""
        return [
            self._counts(name, camera, start, window)
            for name, camera in self._cameras.items()
            for start, window in sorted(camera.windows.items())
        ]

    def resume(self, windows: Iterable[WindowCounts]) -> list[WindowCounts]:
        """Continue windows that were open when the daemon ended; those that no longer fit, closed.

        A window fits if its site, camera and length are still configured. It keeps its zones, brackets and
        lines; the plan holds from the next window on.
        """
        unfit: list[WindowCounts] = []
        for window in sorted(windows, key=lambda w: w.start):
            if not self._fits(window):
                unfit.append(window)
                continue
            camera = self._camera(window.camera_id, window.start)
            camera.resumed = True
            camera.take_shape(window.start, _Shape.of_window(window))
            self._plan_next(window.camera_id, camera, window.start)
            camera.windows[window.start] = _Window(
                _visits(window.zones),
                _crossings(window.lines),
                {quantity: Counter(cells) for quantity, cells in window.tallies.items()},
                window.coverage.seconds,
                window.coverage.analysed,
                Counter(window.coverage.dropped),
            )
        return unfit

    def open_since(self, camera_id: str) -> datetime | None:
        """The start of the camera's oldest open window; None before its first frame."""
        camera = self._cameras.get(camera_id)
        return camera.first if camera else None

    def _fits(self, window: WindowCounts) -> bool:
        return (
            window.site == self._site
            and window.camera_id in self._plan.zones
            and window.end - window.start == self._length
        )

    def _restart(self, progress: Progress) -> list[WindowCounts]:
        """Close the windows that a wrong clock has opened; start again at the time that it was set to."""
        return self._close_all(progress.camera_id) + self.progress(progress)

    def _close_all(self, camera_id: str) -> list[WindowCounts]:
        camera = self._cameras.pop(camera_id)
        last = max(camera.windows, default=camera.first) + self._length
        return list(self._close(camera_id, camera, last))

    def _watch(self, camera: _Camera, progress: Progress, now: datetime) -> None:
        """Add to the coverage: the time between two frames with usable pictures that are close enough.

        A frame between them that was lost as corrupt leaves the time uncovered.
        """
        up = progress.state is CameraState.UP
        if not up or progress.dropped.get(FrameDrop.CORRUPT):
            camera.seen = None
        if up and progress.analysed:
            if camera.seen is not None and now - camera.seen <= LONGEST_FRAME_GAP:
                self._cover(camera, camera.seen, now)
            camera.seen = now

    def _camera(self, camera_id: str, at: datetime) -> _Camera:
        if camera_id not in self._cameras:
            first, lateness = self._start(at), timedelta(seconds=self._plan.lateness)
            self._cameras[camera_id] = _Camera(at, first, at - lateness, [(first, self._shape(camera_id))])
        return self._cameras[camera_id]

    def _shape(self, camera_id: str) -> _Shape:
        plan = self._plan
        lines, cells = plan.lines.get(camera_id, ()), plan.tallies.get(camera_id, {})
        return _Shape.of(plan.zones[camera_id], plan.brackets, lines, cells)

    def _plan_next(self, camera_id: str, camera: _Camera, at: datetime) -> None:
        """Apply the plan to a camera's windows after the one that holds `at`."""
        camera.take_shape(self._start(at) + self._length, self._shape(camera_id))

    def _start(self, at: datetime) -> datetime:
        return at - (at - EPOCH) % self._length

    def _cover(self, camera: _Camera, since: datetime, until: datetime) -> None:
        """Add the watched seconds [since, until) to the windows that they fall into."""
        while since < until:
            start = self._start(since)
            stop = min(until, start + self._length)
            camera.windows.setdefault(max(start, camera.first), _Window()).seconds += (
                stop - since
            ).total_seconds()
            since = stop

    def _close(self, camera_id: str, camera: _Camera, watermark: datetime) -> Iterator[WindowCounts]:
        """Remove and return the windows that end by `watermark`, also the empty ones."""
        longest = LONGEST_GAP if camera.resumed else LONGEST_PAUSE
        while (end := camera.first + self._length) <= watermark:
            window = camera.windows.pop(camera.first, None)
            if window is not None or watermark - end <= longest:
                yield self._counts(camera_id, camera, camera.first, window or _Window())
                camera.first = end
            else:
                camera.first = min([*camera.windows, self._start(watermark)])
            camera.forget_shapes()

    def _counts(self, camera_id: str, camera: _Camera, start: datetime, window: _Window) -> WindowCounts:
        shape = camera.shape(start)
        return WindowCounts(
            site=self._site,
            camera_id=camera_id,
            start=start,
            end=start + self._length,
            zones={zone: _zone(window.visits, zone, shape.brackets) for zone in shape.zones},
            coverage=Coverage(window.seconds, window.analysed, dict(window.dropped)),
            lines={line: _passages(window.crossings, line) for line in shape.lines},
            tallies={quantity: _sums(window, quantity, cells) for quantity, cells in shape.cells.items()},
        )


def _zone(visits: Counter[tuple[str, str | None]], zone: str, brackets: Iterable[Bracket]) -> ZoneCounts:
    counts = {bracket.label: visits[zone, bracket.label] for bracket in brackets}
    return ZoneCounts(counts, visits[zone, None])


def _visits(zones: Mapping[str, ZoneCounts]) -> Counter[tuple[str, str | None]]:
    found: Counter[tuple[str, str | None]] = Counter()
    for name, zone in zones.items():
        found.update({(name, bracket): n for bracket, n in zone.counts.items()})
        found[name, None] = zone.unclassified
    return found


def _sums(window: _Window, quantity: str, cells: Iterable[str]) -> dict[str, int]:
    found = window.tallies.get(quantity, Counter())
    return {cell: found[cell] for cell in cells}


def _passages(crossings: Counter[Crossing], line: str) -> Passages:
    return Passages(crossings[Crossing(line, inward=True)], crossings[Crossing(line, inward=False)])


def _crossings(lines: Mapping[str, Passages]) -> Counter[Crossing]:
    found: Counter[Crossing] = Counter()
    for line, passages in lines.items():
        found[Crossing(line, inward=True)] = passages.inward
        found[Crossing(line, inward=False)] = passages.outward
    return found
