"""JPEGs out of a stream of bytes, whatever stands between them.

Cameras send multipart/x-mixed-replace with a wrong boundary, without the first one, without the header of a
part, with a wrong length, or one JPEG after the other. A JPEG itself says where it ends, so none of that is
relied on.
"""

from __future__ import annotations

import re

MAX_PICTURE = 32 << 20
"""Bytes; what is longer is no picture of a camera."""

_MAX_GAP = 65_536
"""Bytes that are kept of what stands between two pictures."""

_START, _SCAN = 0xD8, 0xDA
_BEGIN, _END = b"\xff\xd8\xff", b"\xff\xd9"
_WITHOUT_LENGTH = frozenset([0x01, *range(0xD0, 0xD8)])
_APPLICATION = range(0xE0, 0xF0)
_PART = re.compile(rb"(?i)content-type:")
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""In coded data 0xFF is followed by 0, by a restart marker, or by more of itself (ITU-T T.81, B.1.1)."""


class _BrokenError(Exception):
    """The picture ends before its end. at: where the search goes on."""

    def __init__(self, at: int) -> None:
        self.at = at


class JpegReader:
    """Finds the JPEGs in a stream that comes in pieces.

    corrupt: how many pictures were announced or begun and did not come whole.
    """

    def __init__(self) -> None:
        self.corrupt = 0
        self._held = bytearray()
        self._begun = self._in_scan = False
        self._at = self._empty = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The pictures that are whole with this piece."""
        self._held += data
        found = []
        while self._begun or self._begin():
            try:
                length = self._walk()
            except _BrokenError as broken:
                self.corrupt += 1
                self._drop(broken.at)
                continue
            if length is None:
                break
            found.append(bytes(self._held[:length]))
            self._drop(length)
        return found

    def _begin(self) -> bool:
        """Go on to the next picture; count the parts before it that held none."""
        start = self._held.find(_BEGIN)
        gap = start if start >= 0 else len(self._held)
        empty = max(0, len(_PART.findall(self._held, 0, gap)) - 1)
        self.corrupt += empty - self._empty
        self._empty = empty
        if start < 0:
            if gap > _MAX_GAP:
                self._drop(gap - len(_BEGIN))
            return False
        self._drop(start)
        self._begun, self._at = True, 2
        return True

    def _walk(self) -> int | None:
        """Step on through the picture; its length, None if more bytes are needed. Raises _BrokenError."""
        if len(self._held) > MAX_PICTURE:
            raise _BrokenError(len(self._held))
        while self._at_marker():
            if self._held[self._at : self._at + 2] == _END:
                return self._at + 2
            marker = self._held[self._at + 1]
            if self._held[self._at] != 0xFF or marker in (0x00, _START):
                raise _BrokenError(self._at)
            if not self._step(marker):
                break
        return None

    def _at_marker(self) -> bool:
        """Go on to the marker that ends the coded data, if in there; False if it is not there yet."""
        if self._in_scan:
            found = _MARKER.search(self._held, self._at)
            self._at = found.start() if found else max(self._at, len(self._held) - 1)
            self._in_scan = found is None
        return not self._in_scan and len(self._held) >= self._at + 2

    def _step(self, marker: int) -> bool:
        """Step over a segment; False if more bytes are needed. Raises _BrokenError."""
        if marker == 0xFF:
            self._at += 1
        elif marker in _WITHOUT_LENGTH:
            self._at += 2
        else:
            return self._step_over(marker)
        return True

    def _step_over(self, marker: int) -> bool:
        length = max(2, int.from_bytes(self._held[self._at + 2 : self._at + 4]))
        end = self._at + 2 + length
        if len(self._held) < max(end, self._at + 4):
            return False
        # A picture within an application's segment is a preview; within others it follows a broken one.
        if marker not in _APPLICATION and (other := self._held.find(_BEGIN, self._at, end)) >= 0:
            raise _BrokenError(other)
        self._at, self._in_scan = end, marker == _SCAN
        return True

    def _drop(self, until: int) -> None:
        del self._held[:until]
        self._begun = self._in_scan = False
        self._at = self._empty = 0
