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
