"""How long to wait before the next attempt after an outside fault."""

from __future__ import annotations

import random


class Backoff:
    """Exponential waits with jitter: 0.25 to 0.5 s at first, 15 to 30 s in the end.

    The jitter spreads the cameras of a store, and the boxes of a chain, when the service they wait for comes
    back. No wait is shorter than half of its value, so that no client retries at once (Brooker, "Exponential
    Backoff And Jitter", AWS Architecture Blog, 2015, calls it equal jitter).
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
        """The wait after this number of earlier failures in a row, in seconds."""
        return self._rng.uniform(0.5, 1.0) * min(self.LONGEST, self.FIRST * 2.0 ** min(failures, 10))

    def reset(self) -> None:
        """Start over after a success: the next failure counts as the first."""
        self._failures = 0
