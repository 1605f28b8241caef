"""How long to wait before the next attempt at something that failed outside."""

from __future__ import annotations

import random


class Backoff:
    """Jittered exponential waits: 0.25 to 0.5 s at first, 15 to 30 s at last.

    The jitter spreads the cameras of a store, and the boxes of a chain, when what they wait for comes back; a
    floor of half the wait keeps a lucky draw from hammering (Brooker, "Exponential Backoff And Jitter", AWS
    Architecture Blog, 2015, calls it equal jitter).
    """

    FIRST = 0.5
    LONGEST = 30.0

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._failures = 0

    def next(self) -> float:
        """The next wait, in seconds."""
        delay = self.after(self._failures)
        self._failures += 1
        return delay

    def after(self, failures: int) -> float:
        """The wait after so many earlier failures in a row, in seconds."""
        return self._rng.uniform(0.5, 1.0) * min(self.LONGEST, self.FIRST * 2.0 ** min(failures, 10))

    def reset(self) -> None:
        """It works again: the next failure is the first."""
        self._failures = 0
