"""Time as a parameter: stages and drivers take a `Clock`, so tests advance time by hand; waits and limits."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """The source of time for the whole program."""

    def now(self) -> datetime:
        """The wall-clock time, timezone-aware, in UTC."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary origin; never decreases."""

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until `event` is set or `seconds` have passed; True if it was set."""


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return event.wait(max(0.0, seconds))


class Backoff:
    """How long to wait before the next attempt after an outside fault.

    Exponential, with jitter: 0.25 to 0.5 s at first, 15 to 30 s in the end.

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


@contextmanager
def ended_after(seconds: float, end: Callable[[], object]) -> Iterator[None]:
    """Limit a conversation over a socket as a whole: a socket's own timeout begins again with each byte.

    end: ends the connection, called by another thread; an OSError or RuntimeError means that it has ended.
    Raises TimeoutError after that time, in place of any error that follows from it: a reader may also take
    the end of the connection for the end of what is read.
    """
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        with suppress(OSError, RuntimeError):  # it has ended meanwhile
            end()

    timer = threading.Timer(seconds, expire)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if expired.is_set():
            raise TimeoutError("timed out")
