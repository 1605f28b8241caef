"""Time as a parameter: stages and drivers take a `Clock`, so tests advance time by hand."""

from __future__ import annotations

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
