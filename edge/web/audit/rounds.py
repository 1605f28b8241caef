"""One round of an audit: the masked live picture, the person's count, and the box's, in this order.

The box counts the visitors who leave the view while the picture is shown. Their tracks end a while after they
were last seen, so its number is known that much after the picture. Until the person's count is there, nothing
of it is answered to anybody.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import cv2

from edge.clock import Clock
from edge.config import CameraSettings
from edge.vision.setup.masked import Masked
from edge.web.access import Access
from edge.web.audit.tools import AuditTools
from edge.web.setup.stills import TROUBLE

log = logging.getLogger(__name__)

LONGEST = 900.0
"""Seconds of a round: errors that cancel within one are not seen, so short ones show more."""

UNATTENDED = 30.0
"""Seconds without a question of its page after which a round is dropped."""

ANSWERED_WITHIN = 600.0
"""Seconds after the picture in which the person may enter the count."""

EVERY = 0.5
"""Seconds between two pictures."""

MARGIN = 2.0
"""Seconds that the box gets, beside `tracking.lost_after`, to end the tracks of a round."""

QUALITY = 80
"""Of the JPEGs."""


class State(StrEnum):
    """Of a round."""

    COUNTING = "counting"
    ASKED = "asked"
    """The picture has ended; the person's count is waited for, and then the box's."""
    DONE = "done"
    FAILED = "failed"


@dataclass(slots=True, eq=False)
class Round:
    """A round that somebody has begun. token: of their session. since, until: of the frames of its picture.

    picture: the newest, JPEG. seen: the person's count; None until it is entered. counted: the box's.
    """

    number: int
    camera: CameraSettings
    token: str
    lost_after: float
    begun_at: float
    asked_at: float
    state: State = State.COUNTING
    since: datetime | None = None
    until: datetime | None = None
    ended_at: float | None = None
    pictures: int = 0
    picture: bytes = field(default=b"", repr=False)
    seen: int | None = None
    counted: int | None = None
    reason: str = ""
    ended: threading.Event = field(default_factory=threading.Event)
    dropped: threading.Event = field(default_factory=threading.Event)

    def as_json(self, now: float) -> dict[str, Any]:
        """For the page. The box's count is in it where the round is done only."""
        return {
            "number": self.number,
            "camera": self.camera.name,
            "state": self.state,
            "seconds": round((self.ended_at or now) - self.begun_at),
            "of": round(LONGEST),
            "pictures": self.pictures,
            "seen": self.seen,
            "counted": self.counted if self.state is State.DONE else None,
            "reason": self.reason,
        }


class Rounds:
    """Runs the rounds; for several threads. There is one at a time, and its own session alone gets it."""

    def __init__(self, tools: AuditTools, access: Access, clock: Clock, stop: threading.Event) -> None:
        self._tools = tools
        self._access = access
        self._clock = clock
        self._stop = stop
        self._guard = threading.Lock()
        self._round: Round | None = None
        self._runs = False
        self._number = 0
        self._idle = threading.Event()
        self._idle.set()

    def begin(self, camera: CameraSettings, token: str, lost_after: float) -> bool:
        """Begin a round; False where one runs. lost_after: seconds after which the camera's tracks end."""
        with self._guard:
            if self._runs:
                return False
            self._runs = True
            self._number += 1
            now = self._clock.monotonic()
            found = self._round = Round(self._number, camera, token, lost_after, now, now)
            self._idle.clear()
        self._tools.start("audit", lambda: self._run(found))
        return True

    def of(self, token: str) -> Round | None:
        """The round of a session, whose page is there: it is kept on."""
        with self._guard:
            found = self._round
            if found is None or found.token != token or found.dropped.is_set():
                return None
            found.asked_at = self._clock.monotonic()
            return found

    def end(self, token: str) -> None:
        """The person has stopped counting: no more pictures."""
        if found := self.of(token):
            found.ended.set()

    def answer(self, token: str, seen: int) -> bool:
        """The person's count. False where there is no round whose picture has ended, or it has one."""
        found = self.of(token)
        with self._guard:
            if found is None or found.state is not State.ASKED or found.seen is not None:
                return False
            found.seen = seen
            return True

    def drop(self, token: str) -> bool:
        """Leave the round out. False where the person's count is there: an audit must not be chosen."""
        found = self.of(token)
        with self._guard:
            if found is None or found.seen is not None:
                return False
            found.dropped.set()
            return True

    def close(self, timeout: float) -> None:
        """Wait until the thread of a round has ended, as it does soon after `stop`."""
        self._idle.wait(timeout)

    def _run(self, found: Round) -> None:
        try:
            self._keep(found)
        except TROUBLE as error:  # a click must not end the daemon where memory, disk or a library fails
            log.warning("audit of camera %s: %s: %s", found.camera.name, type(error).__name__, error)
            found.reason, found.state = f"not done: {error}", State.FAILED
        finally:
            with self._guard:
                self._runs = False
                self._idle.set()

    def _keep(self, found: Round) -> None:
        with self._tools.visits(found.camera.name) as visits:
            self._tools.on_preview(True)
            log.info("a live picture of camera %s begins", found.camera.name)
            try:
                self._show(found)
            finally:
                found.picture = b""
                log.info("the live picture of camera %s has ended", found.camera.name)
                if not self._stop.is_set():
                    self._tools.on_preview(False)
            self._compare(found, visits)

    def _show(self, found: Round) -> None:
        """Make pictures until the person or the time ends them."""
        until = self._clock.monotonic() + LONGEST
        with (
            closing(self._tools.find(found.camera)) as find,
            self._tools.watch(found.camera.name) as slot,
        ):
            masked = Masked(find, find.likely)
            while not found.ended.is_set() and self._is_attended(found, until):
                frame = slot.take(EVERY)
                if frame is None:
                    continue
                image = masked.picture(frame)
                found.since, found.until = found.since or frame.captured_at, frame.captured_at
                if image is not None:
                    found.picture = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, QUALITY))[
                        1
                    ].tobytes()
                    found.pictures += 1
                self._clock.wait(found.ended, EVERY)

    def _compare(self, found: Round, visits: Sequence[datetime]) -> None:
        """Wait for the person's count and the end of the tracks; then add the round to the book."""
        if found.dropped.is_set() or self._stop.is_set():
            return
        if found.since is None or found.until is None:
            found.reason, found.state = "not done: the camera gave no picture", State.FAILED
            return
        ended = found.ended_at = self._clock.monotonic()
        found.state = State.ASKED
        while found.seen is None or self._clock.monotonic() < ended + found.lost_after + MARGIN:
            if not self._is_attended(found, ended + ANSWERED_WITHIN):
                return
            self._clock.wait(self._stop, EVERY / 5)
        found.counted = sum(found.since < at <= found.until for at in visits)
        self._tools.book.add(found.camera.name, found.seen, found.counted)
        found.state = State.DONE

    def _is_attended(self, found: Round, until: float) -> bool:
        """Whether the round goes on; it is dropped where nobody is there, or the time is over."""
        now = self._clock.monotonic()
        if found.state is State.COUNTING and now >= until:
            return False
        if now >= until or now - found.asked_at >= UNATTENDED or not self._access.knows(found.token):
            found.dropped.set()
        return not found.dropped.is_set() and not self._stop.is_set()
