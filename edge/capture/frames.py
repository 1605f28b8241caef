"""One camera's pictures as frames: rotated, cut to the region of interest, with their time and state."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta

from edge.capture.frozen_dark import PictureWatch
from edge.capture.rotate_crop import View
from edge.capture.source import Picture, Source
from edge.clock import Clock
from edge.config import CameraSettings
from edge.errors import SourceError
from edge.ops.reasons import FrameDrop
from edge.types import CameraState, CameraStatus, Frame

OpenSource = Callable[[CameraSettings], Source]
OnStatus = Callable[[CameraStatus], None]
OnDrop = Callable[[FrameDrop], None]

_PAUSE = 0.04
"""Seconds of media time between the last frame of a recording before a fault and the first one after it."""


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """A frame whose picture is not converted yet: one that is overwritten takes no time and little memory."""

    camera_id: str
    captured_at: datetime
    picture: Picture
    view: View
    state: CameraState

    def frame(self) -> Frame:
        """The frame, with its own picture. Raises SourceError where it cannot be converted."""
        image = self.view(self.picture.image)
        return Frame(self.camera_id, self.captured_at, image, self.state, self.picture.segment)


class Feed:
    """The frames of one camera, over any number of openings of its source.

    A live frame has the time of its arrival. A recorded one has `start` plus its media time, where `start` is
    the argument, else the camera's setting, else the time when the first frame came; the time keeps
    increasing when the source is opened again. `on_status` is called on each change of state or reason,
    `on_drop` for each corrupt picture. Used by one thread; any thread may read `status`.
    """

    def __init__(
        self,
        settings: CameraSettings,
        open_source: OpenSource,
        clock: Clock,
        *,
        start: datetime | None = None,
        on_status: OnStatus = lambda status: None,
        on_drop: OnDrop = lambda reason: None,
    ) -> None:
        self._settings = settings
        self._open_source = open_source
        self._clock = clock
        self._start = start or settings.start
        self._on_status = on_status
        self._on_drop = on_drop
        self._view = View(settings.rotation, settings.roi, settings.ignored)
        self._watch = PictureWatch(settings.frozen_after, settings.dark_after)
        self._status = CameraStatus(settings.name, CameraState.DOWN, clock.now(), "not opened yet")
        self._offset: float | None = None
        self._base = 0.0
        self._began: float | None = None
        self.live = False

    @property
    def status(self) -> CameraStatus:
        """The present state; at first `down`: not opened yet."""
        return self._status

    @property
    def offset(self) -> float | None:
        """Seconds of media time of the last frame; None when live or before the first."""
        return self._offset

    @property
    def due(self) -> float | None:
        """When the last frame of a recording is due in real time, on the monotonic clock; None when live.

        Its time stamp says the same, also where the source was opened again or something else took time.
        """
        if self._began is None or self._offset is None:
            return None
        return self._began + self._offset

    def frames(self) -> Generator[Frame]:
        """As `shots`, each converted."""
        with closing(self.shots()) as shots:
            for shot in shots:
                try:
                    frame = shot.frame()
                except SourceError:
                    self._count_corrupt(1)
                    continue
                yield frame

    def shots(self) -> Generator[Shot]:
        """Open the source and give its frames until it ends, then close it. Raises SourceError on a fault.

        Close the iterator (`contextlib.closing`) when it is left early.
        """
        with closing(self._open_source(self._settings)) as source:
            self._opened(source)
            corrupt = 0
            while True:
                try:
                    picture = source.read()
                finally:
                    self._count_corrupt(source.corrupt - corrupt)
                    corrupt = source.corrupt
                if picture is None:
                    break
                yield self._shot(picture)
                del picture  # 3 MB at 1080p, for as long as the next one takes
        self.report(CameraState.DOWN, "the recording has ended")

    def report(self, state: CameraState, reason: str, at: datetime | None = None) -> None:
        """Set the state, since `at` (default: now), and call `on_status`; do nothing if it is the same."""
        if (state, reason) == (self._status.state, self._status.reason):
            return
        same = state is self._status.state
        since = self._status.since if same else at or self._clock.now()
        self._status = CameraStatus(self._settings.name, state, since, reason)
        self._on_status(self._status)

    def _opened(self, source: Source) -> None:
        self.live = source.live
        self._watch.restart()
        self._base = 0.0 if self._offset is None else self._offset + _PAUSE

    def _count_corrupt(self, pictures: int) -> None:
        for _ in range(pictures):
            self._on_drop(FrameDrop.CORRUPT)

    def _shot(self, picture: Picture) -> Shot:
        at = self._time_of(picture)
        state = self._watch.state_of(self._view(picture.sample), at)
        self.report(state, self._reason(state) or picture.note, at)
        return Shot(self._settings.name, at, picture, self._view, state)

    def _time_of(self, picture: Picture) -> datetime:
        if picture.offset is None:
            return self._clock.now()
        self._offset = self._base + picture.offset
        if self._began is None:
            self._began = self._clock.monotonic() - self._offset
        self._start = self._start or self._clock.now() - timedelta(seconds=self._offset)
        return self._start + timedelta(seconds=self._offset)

    def _reason(self, state: CameraState) -> str:
        match state:
            case CameraState.FROZEN:
                return f"the same picture for {self._settings.frozen_after:g} s"
            case CameraState.DARK:
                return f"black or one flat tone for {self._settings.dark_after:g} s: covered or unlit?"
            case _:
                return ""
