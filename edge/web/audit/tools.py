"""What the page's audit gets from the daemon."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from edge.audit.book import AuditBook
from edge.capture import LatestFrame
from edge.config import CameraSettings, Settings
from edge.web.setup.tools import Finder

JITTER = timedelta(seconds=1)
"""A frame is a little older than the moment at which it comes."""


@dataclass(slots=True, eq=False)
class Counted:
    """What a camera has counted since somebody audits it. ended: when each visitor was last seen. reached: up
    to when it has analysed and given its visitors, None before its first frame. set_back: its time went back.
    """

    ended: list[datetime] = field(default_factory=list)
    reached: datetime | None = None
    set_back: bool = False

    def reach(self, at: datetime) -> None:
        """The camera has come to this moment."""
        self.set_back |= self.reached is not None and at < self.reached - JITTER
        self.reached = at


@dataclass(frozen=True, slots=True)
class AuditTools:
    """watch: the frames of a camera as they are analysed, while the context is open. visits: the same of
    its visitors, as they are counted. find, start, on_preview: as of `Tools`.
    book: what is kept. setup: of a camera by its name, see `setup_of`; empty where it is not configured.
    publish: the results of the book have changed.
    """

    watch: Callable[[str], AbstractContextManager[LatestFrame]]
    visits: Callable[[str], AbstractContextManager[Counted]]
    find: Callable[[CameraSettings], Finder]
    start: Callable[[str, Callable[[], None]], None]
    on_preview: Callable[[bool], None]
    book: AuditBook
    setup: Callable[[str], str]
    publish: Callable[[], None]


DECIDES = {"source", "max_fps", "rotation", "roi", "range", "tile"}
"""What of a camera's settings decides who is counted."""

COUNTED_AS = 6
"""Raised with each version that counts others in the same pictures: audits before say nothing of it."""


def setup_of(camera: CameraSettings, settings: Settings, model: str) -> str:
    """A hash of what decides who is counted. model: name and version. No setting of it holds a secret."""
    decides = [
        camera.model_dump(mode="json", include=DECIDES),
        settings.detection.model_dump(mode="json"),
        settings.tracking.model_dump(mode="json"),
        model,
        COUNTED_AS,
    ]
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:16]
