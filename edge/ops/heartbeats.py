"""When each thread last made progress: the watchdog and `/healthz` read it."""

from __future__ import annotations

from edge.clock import Clock


class Heartbeats:
    """The time of each thread's last progress; used by any thread."""

    def __init__(self, clock: Clock, patience: float) -> None:
        """patience: seconds without a beat after which a thread counts as stuck."""
        self._clock = clock
        self._patience = patience
        self._beats: dict[str, float] = {}

    def beat(self, thread: str) -> None:
        """Note that the thread made progress."""
        self._beats[thread] = self._clock.monotonic()

    def forget(self, thread: str) -> None:
        """Watch a thread no longer that has ended normally."""
        self._beats.pop(thread, None)

    def stuck(self) -> list[str]:
        """The names of the threads that have made no progress for too long, sorted."""
        now = self._clock.monotonic()
        return sorted(name for name, beat in list(self._beats.items()) if now - beat > self._patience)
