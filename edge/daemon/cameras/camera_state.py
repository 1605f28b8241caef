"""What is known of one camera: written by its two threads, read by any; every access is under one lock."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from edge.capture import is_live
from edge.clock import Clock
from edge.config import CameraSettings
from edge.ops.reasons import FrameDrop
from edge.types import CameraState, CameraStatus


@dataclass(frozen=True, slots=True)
class CameraSnapshot:
    """One camera at one moment.

    ready: its models are loaded. analysed: frames. in_view: visitors in the last frame. visitors: all so far.
    """

    name: str
    status: CameraStatus
    ready: bool = False
    analysed: int = 0
    in_view: int = 0
    visitors: int = 0


class WatchedCamera:
    """One camera's state, shared by its capturing thread, its vision thread and all who display it.

    on_status: called for every change of state or reason, in order, by the thread that found it; the lock is
    held then, so it must not call this object.
    """

    def __init__(
        self, camera: CameraSettings, clock: Clock, on_status: Callable[[CameraStatus], None]
    ) -> None:
        status = CameraStatus(camera.name, CameraState.DOWN, clock.now(), "not opened yet")
        self._snapshot = CameraSnapshot(camera.name, status)
        self._clock = clock
        self._on_status = on_status
        self._live = is_live(camera)
        self._longest_silence = camera.open_timeout + camera.read_timeout
        self._lock = threading.Lock()
        self._reported = status
        self._heard_at = clock.monotonic()
        self._down_since: datetime | None = None
        self._lost_frames: Counter[str] = Counter()
        self._retired = self._removed = False

    @property
    def snapshot(self) -> CameraSnapshot:
        """The state now."""
        with self._lock:
            return self._snapshot

    @property
    def removed(self) -> bool:
        """Whether the camera was retired for good: no other worker takes over."""
        with self._lock:
            return self._removed

    @property
    def silent_for(self) -> float:
        """Seconds since the source gave a frame or reported a state."""
        with self._lock:
            return self._clock.monotonic() - self._heard_at

    def report(self, status: CameraStatus) -> None:
        """The source's new state; called by the capturing thread."""
        with self._lock:
            if self._retired:
                return
            self._reported = status
            self._heard_at = self._clock.monotonic()
            if self._live and status.state is CameraState.DOWN:
                self._down_since = status.since
            self._adopt(status)

    def lose_frame(self, reason: FrameDrop) -> bool:
        """Note a lost frame; called by the capturing thread. False: the camera is retired, ignore it."""
        with self._lock:
            if not self._retired:
                self._lost_frames[reason] += 1
            return not self._retired

    def retire(self, *, removed: bool) -> None:
        """Ignore the capturing thread from now on: it may hang in the source for a while.

        removed: the camera is gone from the configuration; else another worker takes over.
        """
        with self._lock:
            self._retired = True
            self._removed = removed

    def become_ready(self) -> None:
        """The models are loaded."""
        with self._lock:
            self._snapshot = replace(self._snapshot, ready=True)

    def take_frame(self, captured_at: datetime) -> bool:
        """A frame is about to be analysed; whether the camera was down at some moment before it."""
        with self._lock:
            self._heard_at = self._clock.monotonic()
            self._adopt(self._reported)
            interrupted = self._down_since is not None and self._down_since <= captured_at
            if interrupted:
                self._down_since = None
            return interrupted

    def suspect_silence(self, now: datetime) -> None:
        """Report a source as down that hangs beyond its own timeouts and gives neither frames nor faults."""
        with self._lock:
            silent = self._clock.monotonic() - self._heard_at
            if self._snapshot.status.state is not CameraState.DOWN and silent > self._longest_silence:
                reason = f"no frame for {self._longest_silence:g} s: the source hangs"
                self._adopt(CameraStatus(self._snapshot.name, CameraState.DOWN, now, reason))

    def note(self, *, in_view: int, visitors: int = 0, analysed: int = 0) -> None:
        """What a step of the analysis gave: who is in view now, further visitors and frames."""
        with self._lock:
            seen = self._snapshot
            self._snapshot = replace(
                seen,
                in_view=in_view,
                visitors=seen.visitors + visitors,
                analysed=seen.analysed + analysed,
            )

    def take_lost_frames(self) -> Counter[str]:
        """Frames lost since the last call, by reason."""
        with self._lock:
            lost, self._lost_frames = self._lost_frames, Counter()
            return lost

    def _adopt(self, status: CameraStatus) -> None:
        if status != self._snapshot.status:
            self._snapshot = replace(self._snapshot, status=status)
            self._on_status(status)
