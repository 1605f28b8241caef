"""The thread vision-<camera>: frames from the slot, through `Vision`, to messages in the queue."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, closing, nullcontext
from datetime import datetime

from edge.capture import LatestFrame, is_live
from edge.clock import Clock
from edge.config import CameraSettings
from edge.daemon.cameras.camera_state import WatchedCamera
from edge.daemon.queue import MessageQueue
from edge.daemon.threads import TICK, Beat
from edge.errors import SourceError
from edge.ops.metrics import Metrics
from edge.ops.reasons import CropDrop, FrameDrop
from edge.types import (
    CameraState,
    CameraStatus,
    Decided,
    Frame,
    Message,
    Progress,
    StreamEnded,
    TrackEnded,
)
from edge.vision.pipeline import Vision, VisionResult


class VisionWorker:
    """Analyses the frames of one camera.

    watched: what the worker finds out about the camera, for other threads. turn: held while a frame is
    analysed; a thread that waits for it holds no frame, so that the newest is analysed next. lost_after:
    seconds without a frame after which a live camera's visitors count as out of view. resumes: whether a
    later run resumes a live camera's open windows; else they close at the end. show: gets each frame first.
    count: gets each visit as well. reach: gets how far the camera has come, after its visits.
    """

    def __init__(
        self,
        camera: CameraSettings,
        make_vision: Callable[[], Vision],
        queue: MessageQueue,
        watched: WatchedCamera,
        *,
        slot: LatestFrame,
        metrics: Metrics,
        clock: Clock,
        turn: AbstractContextManager[object] = nullcontext(),  # noqa: B008 - it has no state
        lost_after: float = 3.0,
        resumes: bool = False,
        show: Callable[[Frame], None] = lambda frame: None,
        count: Callable[[TrackEnded], None] = lambda visit: None,
        reach: Callable[[str, datetime], None] = lambda camera, at: None,
    ) -> None:
        self.camera = camera
        self.watched = watched
        self.slot = slot
        self._make_vision = make_vision
        self._queue = queue
        self._metrics = metrics
        self._clock = clock
        self._turn = turn
        self._lost_after = lost_after
        self._resumes = resumes
        self._show = show
        self._count = count
        self._reach = reach
        self._live = is_live(camera)
        self._lossless = camera.pace == "full" and not self._live
        self._analysed_at: datetime | None = None

    def lose_frame(self, reason: FrameDrop) -> None:
        """Count a lost frame; called by the capturing thread."""
        if self.watched.lose_frame(reason):
            self._metrics.captured.labels(self.camera.name).inc()
            self._metrics.dropped.labels(self.camera.name, reason).inc()

    def run(self, beat: Beat) -> None:
        """Work until the slot has ended, then end every track and the stream."""
        with closing(self._make_vision()) as vision:
            self.watched.become_ready()
            last = self._analyse_all(vision, beat)
            if last is not None:
                # With the frames that were lost after the last one, and what is foreseen no more.
                ended = VisionResult(vision.finish(), foreseen=vision.pass_time(last).foreseen)
                self._send(ended, last, self._status.state)
        if self._stream_ends(last):
            self._queue.put(StreamEnded(self.camera.name, last or self._clock.now()))

    @property
    def _status(self) -> CameraStatus:
        return self.watched.snapshot.status

    def _analyse_all(self, vision: Vision, beat: Beat) -> datetime | None:
        """Work until the slot has ended; the camera's event time then, None where nothing happened."""
        last: datetime | None = None
        while not self.slot.ended:
            beat()
            last = self._step(vision) or last
        return last

    def _stream_ends(self, last: datetime | None) -> bool:
        """Whether the windows close: not those of a live camera that the next run or worker goes on with."""
        removed = self.watched.removed
        stays = self._resumes and self._live and not removed
        return not stays and (last is not None or removed)

    def _step(self, vision: Vision) -> datetime | None:
        """Analyse the next frame, or let time pass without one; the camera's event time then."""
        if self.slot.wait(TICK):
            return self._analyse(vision)
        # The time of a recording is that of its frames.
        if self.slot.ended or not self._live:
            return None
        return self._pass_time(vision)

    def _pass_time(self, vision: Vision) -> datetime:
        """Let a live camera's time pass without a frame."""
        now = self._clock.now()
        self.watched.suspect_silence(now)
        state, in_view = self._status.state, self.watched.snapshot.in_view
        # The pause between two frames of a slow camera does not mean that its visitors have left. Its windows
        # wait for as long: the next frame tells who has.
        absent = self.watched.silent_for > self._lost_after
        at = now if absent or state is CameraState.DOWN else self._analysed_at or now
        result = vision.pass_time(now) if absent else VisionResult(in_view=in_view)
        self._send(result, at, state)
        return at

    def _analyse(self, vision: Vision) -> datetime | None:
        """Analyse the newest frame when its turn comes.

        It is converted in the turn: of frames that are overwritten while they wait none costs time.
        """
        name = self.camera.name
        with self._turn:
            frame = self._take()
            if frame is None:
                return None
            at = self._analysed_at = frame.captured_at
            interrupted = self.watched.take_frame(at)
            self._metrics.last_frame.labels(name).set(at.timestamp())
            self._show(frame)
            result = vision.process(frame)
        self._send(result, at, frame.state, analysed=1, interrupted=interrupted)
        self._metrics.analysed.labels(name).inc()
        return at

    def _take(self) -> Frame | None:
        """The newest frame; None where there is none, or it cannot be converted."""
        try:
            return self.slot.take()
        except SourceError:
            self.lose_frame(FrameDrop.CORRUPT)
            return None

    def _send(
        self,
        result: VisionResult,
        at: datetime,
        state: CameraState,
        analysed: int = 0,
        *,
        interrupted: bool = False,
    ) -> None:
        """Queue what a step gave, then the progress. interrupted: nobody watched since the frame before."""
        visitors = self._send_messages(result.messages)
        if not self._lossless:  # nothing waits for a recording at full speed
            for foreseen in result.foreseen:
                self._queue.put(foreseen)
        if interrupted:  # behind the visits: it closes windows
            self._queue.put(Progress(self.camera.name, at, state=CameraState.DOWN))
        if analysed and result.messages:
            self._queue.put(Decided(self.camera.name, at))
        self._reach(self.camera.name, at)
        self._metrics.captured.labels(self.camera.name).inc(analysed)
        lost = self.watched.take_lost_frames()
        nothing_to_count = not result.messages
        self._queue.put(Progress(self.camera.name, at, analysed, lost, state, nothing_to_count))
        self.watched.note(in_view=result.in_view, visitors=visitors, analysed=analysed)

    def _send_messages(self, messages: Iterable[Message]) -> int:
        """Queue these; how many visitors were among them."""
        visitors = 0
        for message in messages:
            if isinstance(message, TrackEnded):
                visitors += 1
                self._count(message)
            if not self._queue.put(message, wait=self._lossless):
                self._metrics.crops_dropped.labels(CropDrop.QUEUE_FULL).inc()
        return visitors
