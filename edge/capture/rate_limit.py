"""Limits a source to `max_fps` pictures a second."""

from __future__ import annotations

import math

ROUNDED = 1e-6
"""Seconds by which a time may be off because it was added up."""

_SURE = 3
"""Pictures in a row, each with a spare one before it, after which a source is fast enough to choose."""

_APART = 1 / 4
"""Of the period: how long after one that is kept a spare one comes, at least; packets may come in bursts."""

_STEP = 1 / 4
"""Of the period: how much later than it would be a picture is due, at most."""

_NEAR = 1 / 16
"""Of the period: how late a picture may stay, as only a whole turn would bring it back to its own time."""


class RateLimit:
    """Selects at most `max_fps` pictures a second, evenly and without drift.

    Pictures are due at multiples of the period. One that comes up to half a period early is kept, so neither
    network jitter nor time stamps rounded to milliseconds lose a picture. After a late picture the schedule
    catches up by half a period at most, so no burst follows a pause.

    Pictures of several cameras that are due at once wait for each other. So a source that gives at least
    twice `max_fps` comes to be due at `own`, in seconds, or whole periods from it: a little later with each
    picture, never earlier. A slower one has no choice, and would lose pictures to jitter.
    """

    def __init__(self, max_fps: float, own: float | None = None) -> None:
        self._period = 1 / max_fps
        self.own = own
        self._due: float | None = None
        self._kept = -math.inf
        self._spare = False
        self._spared = 0

    @property
    def opens(self) -> float:
        """A time in seconds before which no picture is kept; only `keep` moves it, and never back."""
        return -math.inf if self._due is None else self._due - self._period / 2 - ROUNDED

    def keep(self, at: float) -> bool:
        """Whether to keep the picture of the time `at`, in seconds; times do not decrease."""
        slack = self._period / 2
        if self._due is not None and at < self._due - slack:
            self._spare = self._spare or at > self._kept + self._period * _APART
            return False
        due = at if self._due is None else max(self._due, at - slack)
        self._due = due + self._period
        self._spared, self._spare = self._spared + 1 if self._spare else 0, False
        self._kept = at
        if self.own is not None and self._spared >= _SURE:
            self._due += self._step(self.own - self._due)
        return True

    def _step(self, missing: float) -> float:
        """How much later the next picture is due; missing: seconds to `own`, from any of its periods."""
        missing %= self._period
        return 0.0 if missing > self._period * (1 - _NEAR) else min(missing, self._period * _STEP)
