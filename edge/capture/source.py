"""The interface of all sources of pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from edge.types import Image


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One picture of a source: image uint8 (H, W, 3) BGR.

    offset: seconds of media time since the recording's first picture, strictly increasing; None when live.
    segment: counts the jumps of the recording's own time so far.
    """

    image: Image
    offset: float | None = None
    segment: int = 0


class Source(Protocol):
    """An open source of pictures, used by one thread."""

    @property
    def live(self) -> bool:
        """Whether its pictures show the present moment and are lost if they are not read in time."""

    @property
    def corrupt(self) -> int:
        """How many pictures so far could not be decoded and were skipped."""

    def read(self) -> Picture | None:
        """The next picture within the rate limit; None once a recording has ended.

        Raises SourceError on a fault; the source cannot be read afterwards.
        """

    def close(self) -> None:
        """Release the device, the connection or the file."""
