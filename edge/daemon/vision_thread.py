"""The loops of the daemon's own threads: one that watches each camera, one that counts for all."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime

from edge.capture import LatestFrame, is_live
from edge.clock import Clock
from edge.config import CameraSettings
from edge.daemon.queue import MessageQueue
from edge.daemon.threads import TICK, Beat
from edge.ops.metrics import Metrics
from edge.ops.reasons import CropDrop, FrameDrop
from edge.types import (
    CameraState,
    CameraStatus,
    Message,
    Progress,
    StreamEnded,
    TrackEnded,
)
from edge.vision.pipeline import Vision, VisionResult

log = logging.getLogger(__name__)


class VisionWorker:
    """The thread vision-<camera>: frames from the slot, through `Vision`, to messages in the queue.

    What it has seen (`status`, `analysed`, `in_view`, `visitors`) may be read by any thread, for a person.
    turn: held while a frame is analysed; whoever waits for it holds no frame, so the newest is analysed next.
    """

    def __init__(
        self,
        camera: CameraSettings,
        make_vision: Callable[[], Vision],
        queue: MessageQueue,
        *,
        metrics: Metrics,
        clock: Clock,
        turn: AbstractContextManager[object] = nullcontext(),  # noqa: B008 - it has no state
        lost_after: float = 1.5,
        on_status: Callable[[CameraStatus], None] = lambda status: None,
        resumes: bool = False,
    ) -> None:
        self.camera = camera
        self._resumes = resumes
        self.name = camera.name
        self.slot = LatestFrame()
        self.status = CameraStatus(camera.name, CameraState.DOWN, clock.now(), "not opened yet")
        self.ready = False
        self.analysed = 0
        self.in_view = 0
        self.visitors = 0
        self._turn = turn
        self._on_status = on_status
        self._reported = self.status
        self._heard_at = clock.monotonic()
        self._silence = camera.open_timeout + camera.read_timeout
        self._lost_after = lost_after
        self._live = is_live(camera)
        self._lossless = camera.pace == "full" and not self._live
        self._make_vision = make_vision
        self._queue = queue
        self._metrics = metrics
        self._clock = clock
        self._drops: Counter[str] = Counter()
        self._guard = threading.Lock()
        self._retired = self._gone = False
        self._down_since: datetime | None = None

    def retire(self, *, gone: bool) -> None:
        """The slot will be closed: another worker takes over, or the camera is gone and its windows close.

        What the capturing thread still has to say is not heard: it may hang in the source for a while.
        """
        with self._guard:
            self._retired = True
            self._gone = gone

    def report(self, status: CameraStatus) -> None:
        """Take over a new state of the camera; called by the capturing thread."""
        with self._guard:
            if self._retired:
                return
            self._reported = status
            self._heard_at = self._clock.monotonic()
            if self._live and status.state is CameraState.DOWN:
                self._down_since = status.since
            self._take_on(status)

    def drop(self, reason: FrameDrop) -> None:
        """Note a lost frame; called by the capturing thread."""
        if self._retired:
            return
        self._metrics.captured.labels(self.name).inc()
        self._metrics.dropped.labels(self.name, reason).inc()
        with self._guard:
            self._drops[reason] += 1

    def run(self, beat: Beat) -> None:
        """Work until the slot has ended, then end every track and the stream."""
        vision = self._make_vision()
        self.ready = True
        last: datetime | None = None
        try:
            while not self.slot.ended:
                beat()
                last = self._step(vision) or last
            if last is not None:
                # With the frames that were lost after the last one.
                self._tell(VisionResult(vision.finish()), last, self.status.state, analysed=0)
            # A camera that will be seen again, after the next start or at once, leaves its windows open.
            stays = self._resumes and self._live and not self._gone
            if not stays and (last is not None or self._gone):
                self._queue.put(StreamEnded(self.name, last or self._clock.now()))
        finally:
            vision.close()

    def _step(self, vision: Vision) -> datetime | None:
        """Analyse the next frame, or let time pass without one; the camera's event time then."""
        if self.slot.wait(TICK):
            return self._analyse(vision)
        # A recording has no time but that of its frames.
        if self.slot.ended or not self._live:
            return None
        now = self._clock.now()
        self._suspect_silence(now)
        # A slow camera's pause between two frames is no absence of its visitors.
        absent = self._clock.monotonic() - self._heard_at > self._lost_after
        result = vision.pass_time(now) if absent else VisionResult(in_view=self.in_view)
        self._tell(result, now, self.status.state, analysed=0)
        return now

    def _analyse(self, vision: Vision) -> datetime | None:
        """Analyse the newest frame when its turn comes."""
        with self._turn:
            frame = self.slot.take()
            if frame is None:
                return None
            with self._guard:
                self._heard_at = self._clock.monotonic()
                self._take_on(self._reported)
            self._tell_interruption(frame.captured_at)
            self._metrics.last_frame.labels(self.name).set(frame.captured_at.timestamp())
            result = vision.process(frame)
        self._tell(result, frame.captured_at, frame.state, analysed=1)
        self._metrics.analysed.labels(self.name).inc()
        self.analysed += 1
        return frame.captured_at

    def _tell_interruption(self, at: datetime) -> None:
        """A camera that was down before this picture, though for a moment only, was not watched then."""
        with self._guard:
            interrupted = self._down_since is not None and self._down_since <= at
            if interrupted:
                self._down_since = None
        if interrupted:
            self._queue.put(Progress(self.name, at, state=CameraState.DOWN))

    def _suspect_silence(self, now: datetime) -> None:
        """A source that hangs below its own time-outs gives neither frames nor faults: that is down, too."""
        with self._guard:
            silent = self._clock.monotonic() - self._heard_at
            if self.status.state is not CameraState.DOWN and silent > self._silence:
                reason = f"no frame for {self._silence:g} s: the source hangs"
                self._take_on(CameraStatus(self.name, CameraState.DOWN, now, reason))

    def _take_on(self, status: CameraStatus) -> None:
        if status != self.status:
            self.status = status
            self._on_status(status)

    def _tell(self, result: VisionResult, at: datetime, state: CameraState, analysed: int) -> None:
        self.in_view = result.in_view
        self._send(result.messages)
        self._metrics.captured.labels(self.name).inc(analysed)
        self._queue.put(Progress(self.name, at, analysed, self._take_drops(), state))

    def _send(self, messages: Iterable[Message]) -> None:
        for message in messages:
            self.visitors += isinstance(message, TrackEnded)
            if not self._queue.put(message, wait=self._lossless):
                self._metrics.crops_dropped.labels(CropDrop.QUEUE_FULL).inc()

    def _take_drops(self) -> Counter[str]:
        with self._guard:
            drops, self._drops = self._drops, Counter()
        return drops
