"""Visits to counts per window: event time, half-open UTC windows, a watermark that never runs back.

    event time   when it happened at the camera, not when it was worked out
    watermark    the camera's event time less `lateness`: nothing older is still to come
    window       [start, end) of `length` seconds from UTC midnight; closed once the watermark reaches its end

Every camera has a watermark of its own, so one that is slow or down holds up no other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from edge.types import CameraState, Coverage, Progress, StreamEnded, Visit, WindowCounts

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

LONGEST_GAP = timedelta(days=1)
"""A step of event time beyond this is a clock that was set, not an outage: no empty windows fill it."""

LONGEST_PICTURE = timedelta(seconds=3)
"""Pictures farther apart than this leave a gap in the coverage: the slowest camera gives one each second."""

LONGEST_STEP_BACK = timedelta(minutes=10)
"""A clock set back by less is waited for, as the windows of that time are out; by more, it was wrong."""


@dataclass(slots=True)
class _Window:
    """A window that is still open."""

    counts: Counter[str] = field(default_factory=Counter)
    unclassified: int = 0
    seconds: float = 0.0
    analysed: int = 0
    dropped: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class _Camera:
    """Where one camera is in event time.

    first: the start of its oldest open window. seen: its last picture, None unless that was a good one.
    """

    event_time: datetime
    first: datetime
    watermark: datetime
    seen: datetime | None = None
    windows: dict[datetime, _Window] = field(default_factory=dict)


class Aggregator:
    """Counts visits per camera, window and bracket; used by one thread.

    zones: the zone of every camera. length: seconds, divides the day. lateness: seconds. brackets: labels in
    order of age.
    """

    def __init__(
        self, site: str, zones: Mapping[str, str], *, length: int, lateness: float, brackets: Sequence[str]
    ) -> None:
        self._site = site
        self._zones = zones
        self._length = timedelta(seconds=length)
        self._lateness = timedelta(seconds=lateness)
        self._brackets = tuple(brackets)
        self._cameras: dict[str, _Camera] = {}
        self.late = 0
        """Visits that came after their window was closed; they are counted in the oldest open one."""

    def count(self, visit: Visit) -> None:
        """Count one visitor in the window of that moment."""
        camera = self._camera(visit.camera_id, visit.at)
        start = self._start(visit.at)
        if start < camera.first:
            self.late += 1
            start = camera.first
        window = camera.windows.setdefault(start, _Window())
        if visit.bracket is None:
            window.unclassified += 1
        else:
            window.counts[visit.bracket] += 1

    def progress(self, progress: Progress) -> list[WindowCounts]:
        """Move a camera's event time on; the windows that this closes, oldest first."""
        camera = self._camera(progress.camera_id, progress.event_time)
        if camera.event_time - progress.event_time > LONGEST_STEP_BACK:
            return self._begin_anew(progress)
        now = camera.event_time = max(camera.event_time, progress.event_time)
        self._watch(camera, progress, now)
        window = camera.windows.setdefault(max(self._start(now), camera.first), _Window())
        window.analysed += progress.analysed
        window.dropped.update(progress.dropped)
        camera.watermark = max(camera.watermark, now - self._lateness)
        return list(self._close(progress.camera_id, camera, camera.watermark))

    def end(self, ended: StreamEnded) -> list[WindowCounts]:
        """The last windows of a camera that gives no more frames, the partly watched one among them."""
        if ended.camera_id not in self._cameras:
            return []
        closed = self.progress(Progress(ended.camera_id, ended.event_time))
        return closed + self._close_all(ended.camera_id)

    def open_windows(self) -> list[WindowCounts]:
        """What has been counted so far in the windows that are still open."""
        return [
            self._counts(name, start, window)
            for name, camera in self._cameras.items()
            for start, window in sorted(camera.windows.items())
        ]

    def resume(self, windows: Iterable[WindowCounts]) -> list[WindowCounts]:
        """Go on with windows that were open when the daemon ended; those that do not fit any more, closed.

        A window fits when its camera, zone, length and brackets are still configured so.
        """
        misfits: list[WindowCounts] = []
        for window in sorted(windows, key=lambda w: w.start):
            if not self._fits(window):
                misfits.append(window)
                continue
            camera = self._camera(window.camera_id, window.start)
            camera.windows[window.start] = _Window(
                Counter(window.counts),
                window.unclassified,
                window.coverage.seconds,
                window.coverage.analysed,
                Counter(window.coverage.dropped),
            )
        return misfits

    def open_since(self, camera_id: str) -> datetime | None:
        """The start of the camera's oldest open window; None before its first frame."""
        camera = self._cameras.get(camera_id)
        return camera.first if camera else None

    def _fits(self, window: WindowCounts) -> bool:
        return (
            window.site == self._site
            and self._zones.get(window.camera_id) == window.zone
            and tuple(window.counts) == self._brackets
            and window.end - window.start == self._length
        )

    def _begin_anew(self, progress: Progress) -> list[WindowCounts]:
        """Close what a wrong clock has opened, and start at the time that it was set to."""
        return self._close_all(progress.camera_id) + self.progress(progress)

    def _close_all(self, camera_id: str) -> list[WindowCounts]:
        camera = self._cameras.pop(camera_id)
        last = max(camera.windows, default=camera.first) + self._length
        return list(self._close(camera_id, camera, last))

    def _watch(self, camera: _Camera, progress: Progress, now: datetime) -> None:
        """Note what was watched: the time between two good pictures that are not too far apart."""
        if progress.state is not CameraState.UP:
            camera.seen = None
        elif progress.analysed:
            if camera.seen is not None and now - camera.seen <= LONGEST_PICTURE:
                self._cover(camera, camera.seen, now)
            camera.seen = now

    def _camera(self, camera_id: str, at: datetime) -> _Camera:
        if camera_id not in self._cameras:
            self._cameras[camera_id] = _Camera(at, self._start(at), at - self._lateness)
        return self._cameras[camera_id]

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
        """Give and forget the windows that end by `watermark`, empty ones too."""
        while (end := camera.first + self._length) <= watermark:
            window = camera.windows.pop(camera.first, None)
            if window is not None or watermark - end <= LONGEST_GAP:
                yield self._counts(camera_id, camera.first, window or _Window())
                camera.first = end
            else:
                camera.first = min([*camera.windows, self._start(watermark)])

    def _counts(self, camera_id: str, start: datetime, window: _Window) -> WindowCounts:
        return WindowCounts(
            site=self._site,
            camera_id=camera_id,
            zone=self._zones[camera_id],
            start=start,
            end=start + self._length,
            counts={label: window.counts[label] for label in self._brackets},
            unclassified=window.unclassified,
            coverage=Coverage(window.seconds, window.analysed, dict(window.dropped)),
        )
