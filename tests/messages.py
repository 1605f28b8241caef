"""A message of text alone, for tests of what stores and sends messages."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Text:
    """Its payload is `text`, or its key and sequence, filled up with blanks to `size` bytes."""

    topic: str
    key: str
    text: str = ""
    size: int = 0
    retained_as: str | None = None

    def encode(self, sequence: int) -> bytes:
        return (self.text or f"{self.key} {sequence}").encode().ljust(self.size)
