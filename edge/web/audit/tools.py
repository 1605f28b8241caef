"""What the page's audit gets from the daemon."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime

from edge.audit.book import AuditBook
from edge.capture import LatestFrame
from edge.config import CameraSettings
from edge.web.setup.tools import Finder


@dataclass(frozen=True, slots=True)
class AuditTools:
    """watch: the frames of a camera as they are analysed, while the context is open. visits: the same of the
    moments at which its visitors were last seen, as they are counted. find, start, on_preview: as of `Tools`.
    book: what is kept. publish: the results of the book have changed.
    """

    watch: Callable[[str], AbstractContextManager[LatestFrame]]
    visits: Callable[[str], AbstractContextManager[Sequence[datetime]]]
    find: Callable[[CameraSettings], Finder]
    start: Callable[[str, Callable[[], None]], None]
    on_preview: Callable[[bool], None]
    book: AuditBook
    publish: Callable[[], None]
