"""The one still of the box: made when somebody asks, in memory, and gone when nobody looks any more."""

from __future__ import annotations

import logging
import threading
from contextlib import closing
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import cv2

from edge.capture import LatestFrame
from edge.clock import Clock
from edge.config import CameraSettings
from edge.errors import ConfigurationError, OutsideError
from edge.types import Image
from edge.vision.setup.still import MINUTE, NoStillError, Taking
from edge.web.access import Access
from edge.web.setup.tools import Tools

log = logging.getLogger(__name__)

MAKING = 300.0
"""Seconds that a camera gets to give the pictures for a still."""

LONGEST = 900.0
"""Seconds for which a still is kept."""

UNATTENDED = 30.0
"""Seconds without a question of its page after which a still is gone."""

STEP = 0.5
"""Seconds between two looks whether it should still be there."""

TROUBLE = (OutsideError, ConfigurationError, OSError, MemoryError)
"""What cameras, disks, detectors and memory raise; anything else is a bug, which ends the daemon."""


class State(StrEnum):
    """Of a still."""

    MAKING = "making"
    READY = "ready"
    FAILED = "failed"


@dataclass(slots=True, eq=False)
class Still:
    """A still that somebody asked for. token: of their session. picture: PNG, empty until it is made."""

    number: int
    camera: CameraSettings
    token: str
    asked_at: float
    state: State = State.MAKING
    seconds: float = 0.0
    reason: str = ""
    size: tuple[int, int] = (0, 0)
    picture: bytes = field(default=b"", repr=False)
    ended: threading.Event = field(default_factory=threading.Event)

    def as_json(self) -> dict[str, Any]:
        """For the page."""
        return {
            "number": self.number,
            "camera": self.camera.name,
            "state": self.state,
            "seconds": round(self.seconds),
            "of": MINUTE.seconds,
            "reason": self.reason,
            "size": self.size,
        }


class Stills:
    """Makes the still; for several threads. There is one at a time, and its own session alone gets it."""

    def __init__(self, tools: Tools, access: Access, clock: Clock, stop: threading.Event) -> None:
        self._tools = tools
        self._access = access
        self._clock = clock
        self._stop = stop
        self._guard = threading.Lock()
        self._still: Still | None = None
        self._number = 0
        self._idle = threading.Event()
        self._idle.set()

    def ask(self, camera: CameraSettings, token: str) -> bool:
        """Begin a still; False where another session has one.

        A session has one thread: the still that it asks for later follows the one that is being made.
        """
        with self._guard:
            earlier = self._still
            if earlier is not None and earlier.token != token:
                return False
            self._number += 1
            self._still = Still(self._number, camera, token, self._clock.monotonic())
            if earlier is not None:
                earlier.ended.set()
                return True
            self._idle.clear()
        try:
            self._tools.start("still", self._run)
        except BaseException:  # there is no thread that would end the still
            with self._guard:
                self._still = None
                self._idle.set()
            raise
        return True

    def of(self, token: str) -> Still | None:
        """The still of a session, whose page is there: it is kept on."""
        with self._guard:
            still = self._still
            if still is None or still.token != token or still.ended.is_set():
                return None
            still.asked_at = self._clock.monotonic()
            return still

    def end(self, token: str) -> None:
        """The session needs it no more."""
        if still := self.of(token):
            still.ended.set()

    def close(self, timeout: float) -> None:
        """Wait until the thread of a still has ended, as it does soon after `stop`."""
        self._idle.wait(timeout)

    def _run(self) -> None:
        """Keep one still after the other, until none is asked for."""
        self._tools.on_preview(True)
        kept: Still | None = None
        while (still := self._next(kept)) is not None:
            self._keep(still)
            kept = still

    def _next(self, kept: Still | None) -> Still | None:
        """The still that was asked for after this one. Where there is none, no preview runs any more."""
        with self._guard:
            if self._still is kept:
                self._still = None
                if not self._stop.is_set():
                    self._tools.on_preview(False)
                self._idle.set()
            return self._still

    def _keep(self, still: Still) -> None:
        """Make a still and keep it for as long as somebody looks at it."""
        log.info("a preview of camera %s begins", still.camera.name)
        try:
            self._make(still)
        except NoStillError as none:
            still.reason, still.state = str(none), State.FAILED
        except TROUBLE as error:  # a click must not end the daemon where memory, disk or a library fails
            self._tools.on_fault()
            log.warning("no still of camera %s: %s: %s", still.camera.name, type(error).__name__, error)
            still.reason, still.state = f"not made: {error}", State.FAILED
        until = self._clock.monotonic() + LONGEST
        while self._is_looked_at(still, until):
            self._clock.wait(self._stop, STEP)
        still.ended.set()
        still.picture = b""
        log.info("the preview of camera %s has ended", still.camera.name)

    def _make(self, still: Still) -> None:
        if still.ended.is_set():  # before a detector is loaded
            return
        with (
            closing(self._tools.find(still.camera)) as find,
            self._tools.watch(still.camera.name) as slot,
        ):
            self._take(still, Taking(find, find.likely), slot)

    def _take(self, still: Still, taking: Taking, slot: LatestFrame) -> None:
        until = self._clock.monotonic() + MAKING
        while not taking.is_enough and self._is_looked_at(still, until):
            frame = slot.take(STEP)
            if frame is not None:
                taking.add(frame)
                still.seconds = taking.seconds
        if not still.ended.is_set() and not self._stop.is_set():
            self._show(still, taking.still())

    def _show(self, still: Still, image: Image) -> None:
        done, content = cv2.imencode(".png", image)
        if not done:
            raise OutsideError("OpenCV encodes no PNG")
        still.size = (image.shape[1], image.shape[0])
        still.picture = content.tobytes()
        still.state = State.READY

    def _is_looked_at(self, still: Still, until: float) -> bool:
        now = self._clock.monotonic()
        if still.ended.is_set() or self._stop.is_set():
            return False
        return now < until and now - still.asked_at < UNATTENDED and self._access.knows(still.token)
