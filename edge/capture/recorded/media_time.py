"""The time of a recording's frames, and the frames that are missing between them."""

from __future__ import annotations

import math

_DEFAULT_FPS = 25.0
_MAX_FPS = 240.0
_MAX_STEP = 86_400.0
_MAX_JITTER = 1.0
"""Seconds that a time stamp may lie before an earlier one, as coded pictures are reordered."""

_WRAP = 2**33 / 90_000
"""Seconds after which the clock of an MPEG transport stream starts again at 0 (ISO/IEC 13818-1, 2.4.3.7)."""

_MAX_WRAP_STEP = 60.0

_AFTER_FAULT = 2.0
"""Seconds of media time after a fault of the data in which a gap is taken for lost frames."""


class MediaTime:
    """Media time that starts at 0 and strictly increases, also where the file's own times do not.

    A position that is not after the one before, or more than a day after it, is wrong: the duration of a
    frame is added instead. A frame rate outside 0..240 is wrong as well (files with 0 or 1000 exist): 25 is
    used. Where the file's time jumps, or it starts again, another `segment` begins: what is seen then is not
    the continuation of what was seen before. offset: of the last frame, in seconds.
    """

    def __init__(self, fps: float) -> None:
        self.fps = fps if 0 < fps <= _MAX_FPS else _DEFAULT_FPS
        self._duration = 1 / self.fps
        self.offset = -self._duration
        self._position: float | None = None
        self._shift = 0.0  # of positions to offsets: sums of steps would depend on which frames are decoded
        self.segment = 0

    def restart(self) -> None:
        """The recording starts again; the media time continues by the duration of a frame."""
        self._position = None
        self.segment += 1

    def advance(self, position: float) -> float:
        """The offset in seconds of the next frame, which is at `position` as the file says."""
        step = self._duration if self._position is None else position - self._position
        wraps = 0 < step + _WRAP <= _MAX_WRAP_STEP
        step += _WRAP * wraps
        self.segment += step < -_MAX_JITTER or step > _MAX_STEP
        if not 0 < step <= _MAX_STEP:  # or NaN
            self.offset += self._duration
            regular = False
        else:
            regular = not wraps and self._position is not None
            self.offset = position + self._shift if regular else self.offset + step
        if not -_MAX_JITTER <= step <= 0 and not math.isnan(position):
            self._position = position
        if not regular and self._position is not None:
            self._shift = self.offset - self._position
        return self.offset


class Losses:
    """Counts the frames that a damaged recording lacks without a trace but a gap in its times.

    A gap alone proves nothing, as the rate of a recording may vary: it counts shortly after a fault.
    """

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._last = 0.0
        self._faults = 0
        self._faulty_until = -math.inf

    def before(self, offset: float, faults: int, skipped: int) -> int:
        """How many frames are missing before the one at the media time `offset`, beside those `skipped`.

        faults: of the data so far. skipped: frames between this one and the one before that were not decoded.
        """
        gap, last, self._last = offset - self._last, self._last, offset
        if faults > self._faults:
            self._faults, self._faulty_until = faults, last + _AFTER_FAULT
        if last > self._faulty_until or gap > _AFTER_FAULT:
            return 0
        return max(0, round(gap * self._fps) - 1 - skipped)
