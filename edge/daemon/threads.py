"""The daemon's threads: each reports its progress to the watchdog, and the first that fails ends them all."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from functools import partial

from edge.clock import Clock
from edge.ops.heartbeats import Heartbeats

log = logging.getLogger(__name__)

TICK = 1.0
"""Seconds that a thread waits at most before its next step: time passes for a camera that is down as well."""

Beat = Callable[[], None]
"""Reports progress of the thread to the watchdog."""


class Threads:
    """Makes threads, keeps the first failure, waits for the end of threads.

    on_failure: called by a thread that fails, at once.
    """

    def __init__(self, heartbeats: Heartbeats, clock: Clock, on_failure: Callable[[], None]) -> None:
        self._heartbeats = heartbeats
        self._clock = clock
        self._on_failure = on_failure
        self.failure: BaseException | None = None
        """The first unexpected exception of any thread."""

    def make(self, name: str, work: Callable[[Beat], object], *, watched: bool = True) -> threading.Thread:
        """A thread, not started yet.

        watched: the watchdog expects its beat; a thread that may block outside of Python cannot give one.
        """

        def guarded() -> None:
            try:
                if watched:
                    self._heartbeats.beat(name)
                work(partial(self._heartbeats.beat, name))
            except BaseException as error:  # a thread must never die alone: `failure` ends the process
                log.critical("thread %s failed: %s", name, error, exc_info=error)
                self.failure = self.failure or error
                self._on_failure()
            finally:
                self._heartbeats.forget(name)

        return threading.Thread(target=guarded, name=name, daemon=True)

    def join(self, threads: Iterable[threading.Thread], deadline: float, *, may_hang: bool = False) -> bool:
        """Wait until `deadline` (monotonic seconds) for all of them together; whether all have ended.

        may_hang: that one has not ended is no fault of the program.
        """
        late = []
        for thread in threads:
            thread.join(max(0.1, deadline - self._clock.monotonic()))
            late += [thread.name] if thread.is_alive() else []
        if late:
            level = logging.INFO if may_hang else logging.WARNING
            log.log(level, "threads that have not ended in time: %s", ", ".join(late))
        return not late
