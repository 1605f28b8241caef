"""Which pictures of a source are kept, so that there are at most `max_fps` a second."""

from __future__ import annotations


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
