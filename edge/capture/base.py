"""What every source of pictures is, and which of its pictures are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from edge.types import Image


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """What a source gives: image uint8 (H, W, 3) BGR.

    offset: seconds of media time since the recording's first picture, strictly increasing; None when live.
    """

    image: Image
    offset: float | None = None


class Source(Protocol):
    """An open source of pictures, used by one thread."""

    @property
    def live(self) -> bool:
        """Whether its pictures are of this moment, and lost unless they are taken now."""

    @property
    def corrupt(self) -> int:
        """Pictures so far that could not be decoded and were stepped over."""

    def read(self) -> Picture | None:
        """The next picture that is kept; None once a recording has ended.

        Raises SourceError on a fault; the source is of no use afterwards.
        """

    def close(self) -> None:
        """Let go of the device, the connection or the file."""


class RateLimit:
    """Which pictures to keep so that there are at most `max_fps` of them a second, evenly and without drift.

    Pictures are due at multiples of the period. One that comes up to half a period early counts as due, so
    neither the jitter of a network nor time stamps rounded to milliseconds cost a picture; lateness is made
    up for by half a period at most, so no burst follows a pause.
    """

    def __init__(self, max_fps: float) -> None:
        self._period = 1 / max_fps
        self._due: float | None = None

    def keep(self, at: float) -> bool:
        """Whether to keep the picture of the time `at`, in seconds; times do not decrease."""
        slack = self._period / 2
        if self._due is not None and at < self._due - slack:
            return False
        due = at if self._due is None else max(self._due, at - slack)
        self._due = due + self._period
        return True
