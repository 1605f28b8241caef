"""When each thread last made progress: the watchdog and `/healthz` ask."""

from __future__ import annotations

from edge.clock import Clock


class Heartbeats:
    """When each thread last got on with its work."""

    def __init__(self, clock: Clock, patience: float) -> None:
        """patience: seconds without a beat after which a thread counts as stuck."""
        self._clock = clock
        self._patience = patience
        self._beats: dict[str, float] = {}

    def beat(self, thread: str) -> None:
        """The thread got on."""
        self._beats[thread] = self._clock.monotonic()

    def forget(self, thread: str) -> None:
        """The thread ended as it should."""
        self._beats.pop(thread, None)

    def stuck(self) -> list[str]:
        """Threads that have not got on for too long, by name."""
        now = self._clock.monotonic()
        return sorted(name for name, beat in list(self._beats.items()) if now - beat > self._patience)
