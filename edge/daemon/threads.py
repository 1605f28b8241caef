"""The daemon's threads: each tells the watchdog that it gets on, and the first that fails ends them all."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from functools import partial

from edge.clock import Clock
from edge.ops.heartbeats import Heartbeats

log = logging.getLogger(__name__)

TICK = 1.0
"""Seconds: every thread looks up at least this often, so that time passes also for a camera that is down."""

Beat = Callable[[], None]
"""Tells the watchdog that the thread got on."""


class Threads:
    """Makes them, notes the first failure, waits for their end.

    on_failure is called in the thread that failed, at once.
    """

    def __init__(self, heartbeats: Heartbeats, clock: Clock, on_failure: Callable[[], None]) -> None:
        self._heartbeats = heartbeats
        self._clock = clock
        self._on_failure = on_failure
        self.failure: BaseException | None = None
        """The first exception that nobody expected."""

    def make(self, name: str, work: Callable[[Beat], object], *, watched: bool = True) -> threading.Thread:
        """A thread that is to be started. watched: it must beat; one that may hang outside cannot."""

        def guarded() -> None:
            try:
                if watched:
                    self._heartbeats.beat(name)
                work(partial(self._heartbeats.beat, name))
            except BaseException as error:  # whatever it is, the process must end with it
                log.critical("thread %s failed: %s", name, error, exc_info=error)
                self.failure = self.failure or error
                self._on_failure()
            finally:
                self._heartbeats.forget(name)

        return threading.Thread(target=guarded, name=name, daemon=True)

    def join(self, threads: Iterable[threading.Thread], deadline: float) -> bool:
        """Wait for them until `deadline` (monotonic seconds) for all together; whether all have ended."""
        late = []
        for thread in threads:
            thread.join(max(0.1, deadline - self._clock.monotonic()))
            late += [thread.name] if thread.is_alive() else []
        if late:
            log.warning("threads that do not end: %s", ", ".join(late))
        return not late
