"""The thread `counting`: messages from the queue, through `Counting`, to windows that are stored."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime

from edge.clock import Clock
from edge.counting.pipeline import Counting
from edge.daemon.queue import MessageQueue
from edge.daemon.threads import TICK, Beat
from edge.errors import OutsideError
from edge.ops.metrics import Metrics
from edge.types import Progress, WindowCounts

log = logging.getLogger(__name__)


CHECKPOINT = 5.0
"""Seconds between two checkpoints of the open windows: a crash loses the visits of this time at most."""

STORE_RETRY = 5.0
"""Seconds between two attempts to store a window that the disk refused."""

LAST_ATTEMPTS = 3
"""Attempts to store the last windows before they are given up: the process is about to end."""

LAST_RETRY = 0.5
"""Seconds between these."""

MOST_UNSTORED = 10_000
"""Closed windows that are kept in memory while the disk refuses them, about 20 MB: then the oldest go. With
eight cameras and windows of five minutes that is four days."""


class CountingWorker:
    """The thread counting: messages from the queue, through `Counting`, to windows that are stored.

    store: raises OutsideError where the disk refuses; the window is then kept and tried again. real_time:
    whether a camera's event time is the clock's, so that the time to a decision can be told.
    """

    def __init__(
        self,
        counting: Counting,
        queue: MessageQueue,
        *,
        store: Callable[[WindowCounts], object],
        keep_open: Callable[[list[WindowCounts]], None] = lambda windows: None,
        metrics: Metrics,
        clock: Clock,
        real_time: Callable[[str], bool] = lambda camera: False,
    ) -> None:
        self._counting = counting
        self._queue = queue
        self._put = store
        self._keep_open = keep_open
        self._next_checkpoint = clock.monotonic() + CHECKPOINT
        self._metrics = metrics
        self._clock = clock
        self._real_time = real_time
        self._unstored: deque[WindowCounts] = deque()
        self._next_attempt = 0.0
        self._complaint = ""

    @property
    def unstored(self) -> int:
        """Closed windows that the disk has not taken yet."""
        return len(self._unstored)

    def open_since(self, camera: str) -> datetime | None:
        """The start of a camera's oldest open window."""
        return self._counting.open_since(camera)

    def resume(self, windows: Iterable[WindowCounts]) -> None:
        """Go on with the windows that were open when the daemon ended."""
        self._store(self._counting.resume(windows))

    def run(self, beat: Beat) -> None:
        """Work until the queue is closed and empty, then keep what is open for the next start."""
        while not self._queue.finished:
            beat()
            self.step()
        self.end()

    def step(self) -> None:
        """Wait for the next message and take it; keep what is open when that is due."""
        self._step()
        if self._clock.monotonic() >= self._next_checkpoint:
            self._checkpoint()

    def end(self) -> None:
        """Hold nothing back, and keep what is open for the next start."""
        self._store(self._counting.flush())
        for attempt in range(LAST_ATTEMPTS):
            if self._unstored:
                self._clock.wait(threading.Event(), LAST_RETRY if attempt else 0.0)
                self._next_attempt = 0.0  # there is no later one
                self._store([])
        if self._unstored:
            log.critical("%d closed windows are lost: the disk refuses them", len(self._unstored))
        self._checkpoint()

    def _step(self) -> None:
        patience = self._counting.patience(self._clock.monotonic())
        message = self._queue.take(TICK if patience is None else min(patience, TICK))
        now = self._clock.monotonic()
        if message is None:
            self._store(self._counting.poll(now))
            return
        self._store(self._counting.handle(message, now))
        if isinstance(message, Progress) and message.analysed and self._real_time(message.camera_id):
            self._metrics.decision.observe((self._clock.now() - message.event_time).total_seconds())

    def _checkpoint(self) -> None:
        self._next_checkpoint = self._clock.monotonic() + CHECKPOINT
        try:
            self._keep_open(self._counting.open_windows())
        except OutsideError as error:
            self._complain(error)
        else:
            self._complaint = ""

    def _store(self, closed: list[WindowCounts]) -> None:
        self._unstored.extend(closed)
        self._bound()
        now = self._clock.monotonic()
        if not closed and now < self._next_attempt:
            return
        while self._unstored:
            try:
                self._put(self._unstored[0])
            except OutsideError as error:
                self._next_attempt = now + STORE_RETRY
                self._complain(error)
                return
            self._unstored.popleft()
            self._complaint = ""

    def _complain(self, error: OutsideError) -> None:
        """Count every refusal of the disk, log it once until the reason changes or the disk works again."""
        self._metrics.outbox_failures.inc()
        if str(error) != self._complaint:
            self._complaint = str(error)
            waiting = len(self._unstored)
            log.error("%s; %d closed windows and what is open wait in memory", error, waiting)

    def _bound(self) -> None:
        excess = len(self._unstored) - MOST_UNSTORED
        for _ in range(excess):
            given_up = self._unstored.popleft()
            self._metrics.outbox_dropped.inc()
            log.error(
                "camera %s: the window from %s is given up: the disk has refused %d younger ones, too",
                given_up.camera_id,
                given_up.start.isoformat(),
                MOST_UNSTORED,
            )
