"""The one-frame slot between a camera and its analysis: a newer frame replaces an older one."""

from __future__ import annotations

import threading
from typing import Final

from edge.capture.frames import Shot
from edge.types import Frame

_STOP_CHECK: Final = 0.1


class LatestFrame:
    """One slot that a capturing thread fills and an analysing thread empties.

    A shot is converted by the thread that takes it. Either side may call `close`: the frame in the slot can
    still be taken, and no frame is put any more.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._frame: Frame | Shot | None = None
        self._closed = False

    @property
    def ended(self) -> bool:
        """Closed and empty: `take` will give no more frames."""
        with self._changed:
            return self._closed and self._frame is None

    def put(self, frame: Frame | Shot) -> bool:
        """Put a frame into the slot; True if it replaced a frame that was not taken."""
        with self._changed:
            if self._closed:
                return False
            displaced = self._frame is not None
            self._frame = frame
            self._changed.notify_all()
            return displaced

    def put_when_taken(self, frame: Frame | Shot, stop: threading.Event) -> bool:
        """Wait until the slot is empty, then put; False if `stop` was set or the slot closed before."""
        with self._changed:
            while self._frame is not None and not self._closed and not stop.is_set():
                self._changed.wait(_STOP_CHECK)  # setting `stop` does not wake this wait
            if self._closed or stop.is_set():
                return False
            self._frame = frame
            self._changed.notify_all()
            return True

    def wait(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds; whether there is a frame. `ended` says whether one can still come."""
        with self._changed:
            self._changed.wait_for(lambda: self._frame is not None or self._closed, timeout)
            return self._frame is not None

    def take(self, timeout: float = 0.0) -> Frame | None:
        """Take the frame, waiting up to `timeout` seconds for one; None if none came.

        Raises SourceError where it cannot be converted.
        """
        with self._changed:
            self.wait(timeout)
            frame, self._frame = self._frame, None
            self._changed.notify_all()
        return frame.frame() if isinstance(frame, Shot) else frame

    def close(self) -> None:
        """Accept no more frames, and wake all who wait."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
