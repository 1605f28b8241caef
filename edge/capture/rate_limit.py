"""Limits a source to `max_fps` pictures a second."""

from __future__ import annotations

import math

ROUNDED = 1e-6
"""Seconds by which a time may be off because it was added up."""


class RateLimit:
    """Selects at most `max_fps` pictures a second, evenly and without drift.

    Pictures are due at multiples of the period. One that comes up to half a period early is kept, so neither
    network jitter nor time stamps rounded to milliseconds lose a picture. After a late picture the schedule
    catches up by half a period at most, so no burst follows a pause.
    """

    def __init__(self, max_fps: float) -> None:
        self._period = 1 / max_fps
        self._due: float | None = None

    @property
    def opens(self) -> float:
        """A time in seconds before which no picture is kept; only `keep` moves it, and never back."""
        return -math.inf if self._due is None else self._due - self._period / 2 - ROUNDED

    def keep(self, at: float) -> bool:
        """Whether to keep the picture of the time `at`, in seconds; times do not decrease."""
        slack = self._period / 2
        if self._due is not None and at < self._due - slack:
            return False
        due = at if self._due is None else max(self._due, at - slack)
        self._due = due + self._period
        return True
