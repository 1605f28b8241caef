"""A box with the audit: a camera whose frames come at once, and visits that a test says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import cycle
from pathlib import Path
from typing import cast

from edge.audit.book import FILE, AuditBook
from edge.capture import LatestFrame
from edge.types import Frame
from edge.web.audit.tools import AuditTools, Counted
from edge.web.setup.tools import Finder
from tests.edge.web.setup.scene import BASE, Ahead, Box, Nobody
from tests.fakes import EPOCH

AUDITED = BASE.replace("setup = true", "audit = true")


def silent(epsilon: Fraction) -> int:
    """No noise."""
    return 0


class Live:
    """In place of `LatestFrame`: the frames again and again, each of the moment at which it is taken."""

    def __init__(self, frames: Sequence[Frame], now: Callable[[], datetime]) -> None:
        self._frames = cycle(frames)
        self._now = now

    def take(self, timeout: float) -> Frame | None:
        frame = next(self._frames, None)
        if frame is None:
            threading.Event().wait(min(timeout, 0.02))
        return frame and replace(frame, captured_at=self._now())


class AuditedBox(Box):
    """What the daemon gives to the audit. clock: of the box. counted: the visitors; published: calls of
    `publish`; set_by: seconds by which the camera's time was set.
    """

    def __init__(
        self, folder: Path, frames: Sequence[Frame] = (), find: Callable[[], Finder] = Nobody
    ) -> None:
        super().__init__(folder, frames, find, base=AUDITED)
        self.clock = Ahead()
        self.set_by = 0.0
        self.setup = "as now"
        self.counted = Counted()
        self.published = 0
        self.state = folder / FILE
        self.book = AuditBook(self.state, silent)
        self.audit = AuditTools(
            watch=self.watch, visits=self.visits, find=self.find, start=self.start,
            on_preview=self.previews.put, book=self.book, setup=lambda _: self.setup, publish=self.publish,
        )  # fmt: skip

    @contextmanager
    def visits(self, camera: str) -> Iterator[Counted]:
        yield self.counted

    @contextmanager
    def watch(self, camera: str) -> Iterator[LatestFrame]:
        self._began = self.clock.monotonic()
        frames = [frame for frame in self._frames if frame.camera_id == camera]
        yield cast("LatestFrame", Live(frames, self.now))

    def now(self) -> datetime:
        """The camera's time: from `EPOCH` on in each round."""
        return EPOCH + timedelta(seconds=self.clock.monotonic() - self._began + self.set_by)

    def publish(self) -> None:
        self.published += 1

    def leave(self, *seconds: float) -> None:
        """Visitors leave the view at these seconds of the round."""
        self.counted.ended += [EPOCH + timedelta(seconds=second) for second in seconds]

    def pass_time(self, seconds: float) -> None:
        """Let time pass, and the camera go on."""
        self.clock.by += seconds
        self.counted.reach(self.now())
