"""A box with the audit: a camera whose frames come at once, and visits that a test says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from edge.audit.book import FILE, AuditBook
from edge.types import Frame
from edge.web.audit.tools import AuditTools
from edge.web.setup.tools import Finder
from tests.edge.web.setup.scene import BASE, Box, Nobody
from tests.fakes import EPOCH

AUDITED = BASE.replace("setup = true", "audit = true")


class AuditedBox(Box):
    """What the daemon gives to the audit. ended: when each visitor left; published: calls of `publish`."""

    def __init__(
        self, folder: Path, frames: Sequence[Frame] = (), find: Callable[[], Finder] = Nobody
    ) -> None:
        super().__init__(folder, frames, find, base=AUDITED)
        self.ended: list[datetime] = []
        self.published = 0
        self.state = folder / FILE
        self.book = AuditBook(self.state)
        self.audit = AuditTools(
            watch=self.watch, visits=self.visits, find=self.find, start=self.start,
            on_preview=self.previews.put, book=self.book, publish=self.publish,
        )  # fmt: skip

    @contextmanager
    def visits(self, camera: str) -> Iterator[list[datetime]]:
        yield self.ended

    def publish(self) -> None:
        self.published += 1

    def leave(self, *seconds: float) -> None:
        """Visitors leave the view at these seconds of the frames."""
        self.ended += [EPOCH + timedelta(seconds=second) for second in seconds]
