"""One round of an audit: the masked live picture, the person's count, and the box's, in this order.

The box counts the visitors who leave the view while the picture is shown. Their tracks end a while after they
were last seen, so its number is known that much after the picture. Until the person's count is there, nothing
of it is answered to anybody.
"""

from __future__ import annotations

import logging
import threading
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import cv2

from edge.clock import Clock
from edge.config import CameraSettings
from edge.errors import OutsideError
from edge.types import Frame, Image
from edge.vision.setup.masked import Masked
from edge.vision.track import HIDDEN_FOR
from edge.web.access import Access
from edge.web.audit.tools import AuditTools, Counted
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

SHORTEST = 60.0
"""Seconds of a round: the box's number of fewer seconds is shown to nobody."""

LEAP = 5.0
"""Seconds by which the times of a camera's frames may differ from the time that has passed."""

PATIENCE = 60.0
"""Seconds that the camera gets, beside `tracking.lost_after`, to come to the end of the round's tracks."""

QUALITY = 80
"""Of the JPEGs."""


FAULTS = (*TROUBLE, cv2.error)
"""What must not end the daemon in the thread of a round: a page was clicked."""


CLOCK = "the clock of the box was set, or the camera's pictures came late"


class RoundError(OutsideError):
    """A round that gives no number. Its message is for the person who counts."""


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

    setup: what decides who is counted, when it began. first_at: when the frame of `since` came, monotonic.
    picture: the newest, JPEG. seen: the person's count; None until it is entered. counted: the box's.
    """

    number: int
    camera: CameraSettings
    token: str
    lost_after: float
    setup: str
    begun_at: float
    asked_at: float
    state: State = State.COUNTING
    since: datetime | None = None
    until: datetime | None = None
    first_at: float = 0.0
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
            "least": round(SHORTEST),
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
        setup = self._tools.setup(camera.name)
        with self._guard:
            if self._runs:
                return False
            self._runs = True
            self._number += 1
            now = self._clock.monotonic()
            found = self._round = Round(self._number, camera, token, lost_after, setup, now, now)
            self._idle.clear()
        try:
            self._tools.start("audit", lambda: self._run(found))
        except BaseException:  # there is no thread that would end the round
            found.dropped.set()
            self._let_others_begin()
            raise
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
        except RoundError as error:
            found.reason, found.state = f"not done: {error}", State.FAILED
        except FAULTS as error:  # a click must not end the daemon where memory, disk or a library fails
            log.warning("audit of camera %s: %s: %s", found.camera.name, type(error).__name__, error)
            found.reason, found.state = f"not done: {error}", State.FAILED
        finally:
            self._let_others_begin()

    def _let_others_begin(self) -> None:
        with self._guard:
            self._runs = False
            self._idle.set()

    def _keep(self, found: Round) -> None:
        with self._tools.visits(found.camera.name) as counted:
            self._tools.on_preview(True)
            log.info("a live picture of camera %s begins", found.camera.name)
            try:
                self._show(found)
            finally:
                found.picture = b""
                log.info("the live picture of camera %s has ended", found.camera.name)
                if not self._stop.is_set():
                    self._tools.on_preview(False)
            self._compare(found, counted)

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
                self._note_time(found, frame)
                image = masked.picture(frame)
                if image is not None:
                    found.picture = _jpeg(image)
                    found.pictures += 1
                self._clock.wait(found.ended, EVERY)

    def _note_time(self, found: Round, frame: Frame) -> None:
        """Note the time of a frame. Raises RoundError where a clock was set: visits would be of no time."""
        now, at = self._clock.monotonic(), frame.captured_at
        if found.since is None or found.until is None:
            found.since, found.first_at = at, now
        elif at < found.until or abs(_between(found.since, at) - (now - found.first_at)) > LEAP:
            raise RoundError(CLOCK)
        found.until = at

    def _compare(self, found: Round, counted: Counted) -> None:
        """Wait for the person's count and the end of the tracks; then add the round to the book."""
        if found.dropped.is_set() or self._stop.is_set():
            return
        if found.since is None or found.until is None:
            raise RoundError("the camera gave no picture")
        if _between(found.since, found.until) < SHORTEST:
            raise RoundError(f"the round was shorter than {SHORTEST:.0f} s, so it is left out")
        found.ended_at = self._clock.monotonic()
        found.state = State.ASKED
        if not self._wait(found, counted):
            return
        if self._tools.setup(found.camera.name) != found.setup:
            raise RoundError("the settings of the camera or the model changed in the round")
        ours = sum(found.since < at <= found.until for at in counted.ended)
        self._tools.book.add(found.camera.name, found.setup, found.seen or 0, ours)
        found.counted = ours
        found.state = State.DONE

    def _wait(self, found: Round, counted: Counted) -> bool:
        """Wait for the person's count, and until all tracks of the round have ended; whether it goes on."""
        ended = found.ended_at or 0.0
        while not self._is_over(found, counted) or found.seen is None:
            if not self._is_attended(found, ended + ANSWERED_WITHIN):
                return False
            self._clock.wait(self._stop, EVERY / 5)
        return True

    def _is_over(self, found: Round, counted: Counted) -> bool:
        """Whether the camera has come to where no visitor of the round is in view. Raises RoundError."""
        since, until, reached = found.since, found.until, counted.reached
        passed = self._clock.monotonic() - found.first_at
        if since and until and reached:
            if counted.set_back or _between(since, reached) > passed + LEAP:
                raise RoundError(CLOCK)
            if _between(until, reached) > max(found.lost_after, HIDDEN_FOR.total_seconds()):
                return True
        if self._clock.monotonic() > (found.ended_at or 0.0) + found.lost_after + PATIENCE:
            raise RoundError("the camera did not come to the end of the round")
        return False

    def _is_attended(self, found: Round, until: float) -> bool:
        """Whether the round goes on; it is dropped where nobody is there, or the time is over."""
        now = self._clock.monotonic()
        if found.state is State.COUNTING and now >= until:
            return False
        if now >= until or now - found.asked_at >= UNATTENDED or not self._access.knows(found.token):
            found.dropped.set()
        return not found.dropped.is_set() and not self._stop.is_set()


def _jpeg(image: Image) -> bytes:
    """Raises OutsideError and cv2.error where it cannot be encoded."""
    done, content = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, QUALITY))
    if not done:
        raise OutsideError("OpenCV encodes no JPEG")
    return content.tobytes()


def _between(begin: datetime, end: datetime) -> float:
    """Seconds."""
    return (end - begin).total_seconds()
