"""The cameras of the running daemon: each a capturing and a watching thread, made and ended while it runs.

capture-<camera> ──► LatestFrame ──► vision-<camera> ──► MessageQueue
     (one slot, overwritten)              (crops bounded)
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from edge.capture import Camera
from edge.clock import Clock
from edge.config import CameraSettings
from edge.daemon.threads import Threads
from edge.daemon.vision_thread import VisionWorker

HANDOVER = 20.0
"""Seconds that a watching thread may take to end before another takes over from it."""

HANGING = 0.5
"""Seconds that the capturing threads get to end."""


@dataclass(frozen=True, slots=True, eq=False)
class Lane:
    """One camera's two threads. stop: ends the capturing one, as soon as its source lets go of it."""

    worker: VisionWorker
    capture: threading.Thread
    vision: threading.Thread
    stop: threading.Event

    def start(self) -> None:
        """Begin to watch."""
        self.vision.start()
        self.capture.start()

    def end(self) -> None:
        """Take no more pictures."""
        self.stop.set()
        self.worker.slot.close()


class Lanes:
    """All of them, by camera; used by the main thread, and read by any."""

    def __init__(
        self,
        threads: Threads,
        clock: Clock,
        make_worker: Callable[[CameraSettings], VisionWorker],
        make_camera: Callable[[VisionWorker], Camera],
    ) -> None:
        self._threads = threads
        self._clock = clock
        self._make_worker = make_worker
        self._make_camera = make_camera
        self._lanes: dict[str, Lane] = {}

    @property
    def workers(self) -> list[VisionWorker]:
        """Their watching halves, as configured."""
        return [lane.worker for lane in self._lanes.values()]

    @property
    def watching(self) -> bool:
        """Whether any camera may still give frames."""
        return any(lane.vision.is_alive() for lane in self._lanes.values())

    def make(self, cameras: Iterable[CameraSettings]) -> list[Lane]:
        """New lanes, in place of those of the same names; they are to be started."""
        made = {camera.name: self._lane(camera) for camera in cameras}
        self._lanes = {**self._lanes, **made}
        return list(made.values())

    def retire(self, gone: Iterable[str], changed: Iterable[str]) -> None:
        """End the lanes of these cameras, so that all that they saw is in the queue.

        Raises RuntimeError where one does not end: it might speak later, for a camera that is no more.
        """
        ended = [self._lanes[name] for name in (*gone, *changed)]
        for lane in ended:
            lane.worker.retire(gone=lane.worker.name in gone)
            lane.end()
        now = self._clock.monotonic()
        if not self._threads.join([lane.vision for lane in ended], now + HANDOVER):
            raise RuntimeError("a camera's thread does not end")
        self._lanes = {name: lane for name, lane in self._lanes.items() if name not in gone}

    def end(self, deadline: float) -> None:
        """End all, and wait for the watching threads until `deadline` (monotonic seconds)."""
        for lane in self._lanes.values():
            lane.end()
        self._threads.join([lane.vision for lane in self._lanes.values()], deadline)

    def leave(self) -> bool:
        """Give the capturing threads a moment; whether all ended. One that hangs ends with its time-out."""
        until = self._clock.monotonic() + HANGING
        return self._threads.join([lane.capture for lane in self._lanes.values()], until)

    def __iter__(self) -> Iterator[Lane]:
        return iter(list(self._lanes.values()))

    def _lane(self, camera: CameraSettings) -> Lane:
        worker, stop = self._make_worker(camera), threading.Event()
        source = self._make_camera(worker)
        return Lane(
            worker,
            # Unwatched: a camera may hang for as long as its time-outs allow; the watching thread notices.
            self._threads.make(f"capture-{camera.name}", lambda _: source.run(stop), watched=False),
            self._threads.make(f"vision-{camera.name}", worker.run),
            stop,
        )
