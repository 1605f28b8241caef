"""The thread `counting`: messages from the queue, through `Counting` and the gate, to stored windows."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime

from edge.capture import is_live
from edge.clock import Clock
from edge.config import CameraSettings
from edge.counting.pipeline import Counting, OnDecided
from edge.daemon.queue import Ahead, MessageQueue
from edge.daemon.threads import TICK, Beat
from edge.errors import OutsideError
from edge.ops.metrics import Metrics
from edge.release.gate import Gate
from edge.types import Progress, WindowCounts

log = logging.getLogger(__name__)


CHECKPOINT = 5.0
"""Seconds between two checkpoints of the open windows, and for which one waits at most for a moment in which
no progress is ahead of visits: a crash loses the visits of this time, or of twice that, and of what waits."""

STORE_RETRY = 5.0
"""Seconds between two attempts to store a window that the disk refused."""

LAST_ATTEMPTS = 3
"""Attempts to store the last windows before they are lost: the process is about to end."""

LAST_RETRY = 0.5
"""Seconds between these."""

MOST_UNSTORED = 10_000
"""Closed windows that are kept in memory while the disk refuses them, about 20 MB: then the oldest go. With
eight cameras and windows of five minutes that is four days."""


class CountingWorker:
    """Counts for all cameras; `run` it in one thread. Whatever the disk refuses is kept and tried again.

    build: makes the counting, which calls what it is given. cameras: those in force. resumes: whether a later
    run resumes the open windows of live cameras, so that they belong in the checkpoint; a recording starts
    again from its beginning. on_step: called at each step, for other work with a disk.
    """

    def __init__(
        self,
        build: Callable[[OnDecided], Counting],
        queue: MessageQueue,
        gate: Gate,
        cameras: Iterable[CameraSettings],
        *,
        metrics: Metrics,
        clock: Clock,
        resumes: bool = True,
        on_step: Callable[[], None] | None = None,
    ) -> None:
        self._on_step = on_step or (lambda: None)
        self._counting = build(self._measure_delay)
        self._queue = queue
        self._gate = gate
        self._metrics = metrics
        self._clock = clock
        self._resumes = resumes
        self._next_checkpoint = clock.monotonic() + CHECKPOINT
        self._unstored: deque[WindowCounts] = deque()
        self._next_attempt = 0.0
        self._last_refusal = ""
        self.stored = 0
        """Closed windows that the disk has taken."""
        self.follow(cameras)

    @property
    def unstored(self) -> int:
        """Closed windows that the disk has not taken yet."""
        return len(self._unstored)

    def open_since(self, camera: str) -> datetime | None:
        """The start of a camera's oldest open window."""
        return self._counting.open_since(camera)

    def follow(self, cameras: Iterable[CameraSettings]) -> None:
        """These cameras are in force now; the main thread may call it."""
        cameras = tuple(cameras)
        self._live = frozenset(camera.name for camera in cameras if is_live(camera))
        self._real_time = frozenset(camera.name for camera in cameras if _is_real_time(camera))

    def resume(self) -> None:
        """Go on with the windows that the last checkpoint holds."""
        self._store(self._counting.resume(self._gate.left_open()))

    def run(self, beat: Beat) -> None:
        """Work until the queue is closed and empty, then keep what is open for the next start."""
        while not self._queue.finished:
            beat()
            self.step()
        self.end()

    def step(self) -> None:
        """Take the next message, or judge ahead while none waits; keep what is open when that is due."""
        patience = self._counting.patience(self._clock.monotonic())
        timeout = TICK if patience is None else min(patience, TICK)
        ahead = self._counting.may_judge_ahead
        taken = self._queue.take(0.0 if ahead else timeout, self._may_overtake)
        now = self._clock.monotonic()
        if taken is None and ahead:
            self._counting.judge_ahead()
        elif taken is None:
            self._store(self._counting.poll(now))
        elif isinstance(taken, Ahead):
            self._store(self._counting.overtake(taken.progress, now))
        else:
            self._store(self._counting.handle(taken, now))
        self._checkpoint_if_due()
        self._on_step()

    def end(self) -> None:
        """Classify and store all that waits, and keep what is open for the next start."""
        self._store(self._counting.flush())
        for attempt in range(LAST_ATTEMPTS):
            if self._unstored:
                self._clock.wait(threading.Event(), LAST_RETRY if attempt else 0.0)
                self._next_attempt = 0.0  # there is no later one
                self._store([])
        if self._unstored:
            log.critical("%d closed windows are lost: the disk refuses them", len(self._unstored))
        self._checkpoint()

    def _may_overtake(self, progress: Progress) -> bool:
        """None may where a checkpoint has waited for too long for a moment without any that did."""
        in_order = self._clock.monotonic() >= self._next_checkpoint + CHECKPOINT
        return not in_order and self._counting.may_overtake(progress)

    def _measure_delay(self, camera: str, captured_at: datetime) -> None:
        """Observe the time from a frame's capture until all its results are counted, which is now."""
        if camera in self._real_time:
            self._metrics.decided((self._clock.now() - captured_at).total_seconds())

    def _checkpoint_if_due(self) -> None:
        """Keep what is open, when no progress is ahead of visits: what is covered was counted, then."""
        if self._clock.monotonic() >= self._next_checkpoint and not self._queue.overtaken:
            self._store(self._counting.flush())
            self._checkpoint()

    def _checkpoint(self) -> None:
        self._next_checkpoint = self._clock.monotonic() + CHECKPOINT
        kept = self._live if self._resumes else frozenset[str]()
        try:
            self._gate.keep_open(w for w in self._counting.open_windows() if w.camera_id in kept)
        except OutsideError as error:
            self._report_refusal(error)
        else:
            self._last_refusal = ""

    def _store(self, closed: list[WindowCounts]) -> None:
        """Store what waits, oldest first; after a refusal only every `STORE_RETRY`, or when more closes."""
        self._unstored.extend(closed)
        self._drop_excess()
        now = self._clock.monotonic()
        if not closed and now < self._next_attempt:
            return
        try:
            while self._unstored:
                self._put(self._unstored[0])
                self._unstored.popleft()
                self._last_refusal = ""
        except OutsideError as error:
            self._next_attempt = now + STORE_RETRY
            self._report_refusal(error)

    def _put(self, window: WindowCounts) -> None:
        if self._gate.put(window):
            self.stored += 1
            return
        self._metrics.refused.inc()
        log.warning(
            "camera %s: the window from %s was stored before; it is not sent again",
            window.camera_id,
            window.start.isoformat(),
            extra={"camera": window.camera_id},
        )

    def _report_refusal(self, error: OutsideError) -> None:
        """Count every refusal of the disk, log it once until the reason changes or the disk works again."""
        self._metrics.outbox_failures.inc()
        if str(error) != self._last_refusal:
            self._last_refusal = str(error)
            log.error(
                "%s; %d closed windows and the open ones are kept in memory", error, len(self._unstored)
            )

    def _drop_excess(self) -> None:
        """Drop the oldest windows beyond `MOST_UNSTORED`."""
        for _ in range(len(self._unstored) - MOST_UNSTORED):
            dropped = self._unstored.popleft()
            self._metrics.outbox_dropped.inc()
            log.error(
                "camera %s: the window from %s is lost: the disk has refused it and %d later ones",
                dropped.camera_id,
                dropped.start.isoformat(),
                MOST_UNSTORED,
            )


def _is_real_time(camera: CameraSettings) -> bool:
    """Whether the camera's event time is the clock's."""
    return is_live(camera) or (camera.pace == "real" and not camera.start)
