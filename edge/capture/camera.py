"""The capturing thread of one camera: opens the source, reopens it after a fault, and delivers its frames."""

from __future__ import annotations

import math
import random
import threading
from contextlib import closing
from datetime import datetime

from edge.capture.frames import Feed, OnDrop, OnStatus, OpenSource, Shot
from edge.capture.latest_frame import LatestFrame
from edge.clock import Backoff, Clock
from edge.config import CameraSettings
from edge.errors import SourceError
from edge.ops.reasons import FrameDrop
from edge.types import CameraState, CameraStatus


class Camera:
    """Captures one camera into its slot.

    A live source, and a recording in real time, overwrite a frame that was not taken yet. A recording at full
    speed waits until its frame was taken. `on_drop` gets the reason of each lost frame.
    """

    def __init__(
        self,
        settings: CameraSettings,
        open_source: OpenSource,
        slot: LatestFrame,
        clock: Clock,
        *,
        rng: random.Random,
        on_status: OnStatus,
        on_drop: OnDrop,
        start: datetime | None = None,
    ) -> None:
        self._feed = Feed(settings, open_source, clock, start=start, on_status=on_status, on_drop=on_drop)
        self._full_speed = settings.pace == "full"
        self._slot = slot
        self._clock = clock
        self._backoff = Backoff(rng)
        self._on_drop = on_drop

    @property
    def status(self) -> CameraStatus:
        """The present state; any thread may read it."""
        return self._feed.status

    def run(self, stop: threading.Event) -> None:
        """Capture until `stop` is set or the recording has ended, then close the slot.

        A fault of the source is reported and retried without limit. A recording that fails midway ends
        instead: playing it again would count its visitors twice.
        """
        try:
            while not stop.is_set():
                try:
                    self._play(stop)
                except SourceError as fault:
                    self._feed.report(CameraState.DOWN, str(fault))
                    if self._feed.offset is not None:
                        return
                    self._clock.wait(stop, self._backoff.next())
                else:
                    return
        finally:
            self._slot.close()

    def _play(self, stop: threading.Event) -> None:
        """Deliver the frames of one opening; after a long time without a fault the backoff starts over."""
        steady_at = math.inf
        with closing(self._feed.shots()) as shots:
            for shot in shots:
                now = self._clock.monotonic()
                steady_at = min(steady_at, now + Backoff.LONGEST)
                if now >= steady_at:
                    self._backoff.reset()
                if stop.is_set() or not self._deliver(shot, stop):
                    return
                del shot  # it belongs to the slot now; do not hold it while waiting for the next one

    def _deliver(self, shot: Shot, stop: threading.Event) -> bool:
        """Put a frame into the slot when it is due; False when it is time to stop."""
        if self._full_speed and not self._feed.live:
            return self._slot.put_when_taken(shot, stop)
        due = self._feed.due
        if due is not None and self._clock.wait(stop, due - self._clock.monotonic()):
            return False
        if self._slot.put(shot):
            self._on_drop(FrameDrop.OVERWRITTEN)
        return True
