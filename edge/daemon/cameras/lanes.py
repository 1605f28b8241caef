"""The cameras of the running daemon: each has a capturing and a vision thread, made and ended while it runs.

capture-<camera> ──► LatestFrame ──► vision-<camera> ──► MessageQueue
     (one slot, overwritten)              (crops bounded)
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from edge.capture import Camera
from edge.clock import Clock
from edge.config import CameraSettings, Settings
from edge.daemon.cameras.camera_state import CameraSnapshot
from edge.daemon.cameras.vision_thread import VisionWorker
from edge.daemon.threads import Threads

HANDOVER = 20.0
"""Seconds that a vision thread may take to end before another takes over from it."""


@dataclass(frozen=True, slots=True, eq=False)
class Lane:
    """One camera's two threads. stop: ends the capturing one, as soon as its source returns."""

    worker: VisionWorker
    capture: threading.Thread
    vision: threading.Thread
    stop: threading.Event

    def start(self) -> None:
        """Start both threads."""
        self.vision.start()
        self.capture.start()

    def end(self) -> None:
        """Take no more frames."""
        self.stop.set()
        self.worker.slot.close()


class Lanes:
    """The lanes of all cameras; used by the main thread, and read by any.

    make_worker: the vision worker of a camera under these settings. make_camera: what fills its slot.
    """

    def __init__(
        self,
        threads: Threads,
        clock: Clock,
        make_worker: Callable[[CameraSettings, Settings], VisionWorker],
        make_camera: Callable[[VisionWorker], Camera],
    ) -> None:
        self._threads = threads
        self._clock = clock
        self._make_worker = make_worker
        self._make_camera = make_camera
        self._lanes: dict[str, Lane] = {}

    @property
    def cameras(self) -> list[CameraSnapshot]:
        """The cameras as they are now, in the order of the configuration."""
        return [lane.worker.watched.snapshot for lane in self]

    @property
    def watching(self) -> bool:
        """Whether any camera may still give frames."""
        return any(lane.vision.is_alive() for lane in self)

    def make(self, cameras: Iterable[CameraSettings], settings: Settings) -> list[Lane]:
        """New lanes, in place of those of the same names; they are to be started."""
        made = {camera.name: self._lane(camera, settings) for camera in cameras}
        self._lanes = {**self._lanes, **made}
        return list(made.values())

    def retire(self, removed: Iterable[str], changed: Iterable[str]) -> None:
        """End the lanes of these cameras, so that all that they saw is in the queue.

        Raises RuntimeError where one does not end: it could send messages of a camera that is gone.
        """
        removed = tuple(removed)
        ended = [self._lanes[name] for name in (*removed, *changed)]
        for lane in ended:
            lane.worker.watched.retire(removed=lane.worker.camera.name in removed)
            lane.end()
        now = self._clock.monotonic()
        if not self._threads.join([lane.vision for lane in ended], now + HANDOVER):
            raise RuntimeError("a camera's thread does not end")
        self._lanes = {name: lane for name, lane in self._lanes.items() if name not in removed}

    def end(self, deadline: float) -> None:
        """End all, and wait for the vision threads until `deadline` (monotonic seconds)."""
        for lane in self:
            lane.end()
        self._threads.join([lane.vision for lane in self], deadline)

    def wait_for_sources(self, deadline: float) -> bool:
        """Give the capturing threads until `deadline` (monotonic seconds); whether all ended.

        One that hangs ends with its time-out.
        """
        return self._threads.join([lane.capture for lane in self], deadline, may_hang=True)

    def __iter__(self) -> Iterator[Lane]:
        return iter(list(self._lanes.values()))

    def _lane(self, camera: CameraSettings, settings: Settings) -> Lane:
        worker, stop = self._make_worker(camera, settings), threading.Event()
        source = self._make_camera(worker)
        return Lane(
            worker,
            # Not watched: a camera may hang for as long as its time-outs allow; the vision thread notices.
            self._threads.make(f"capture-{camera.name}", lambda _: source.run(stop), watched=False),
            self._threads.make(f"vision-{camera.name}", worker.run),
            stop,
        )
