"""One run of the demo: the daemon in this process, and a view of the messages that the broker returns."""

from __future__ import annotations

import math
import random
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.live import Live

from edge.clock import Clock
from edge.commands.demo.flow_view import Row
from edge.commands.demo.received import Received, Stays
from edge.commands.demo.view import CameraRow, OpenWindow, ViewState, plain_lines, render, summary
from edge.config import Settings
from edge.daemon.cameras.camera_state import CameraSnapshot
from edge.daemon.parts import Parts
from edge.daemon.runtime import Runtime
from edge.daemon.threads import Threads
from edge.delivery import Subscriber, Topics
from edge.ops.heartbeats import Heartbeats
from edge.types import Passages

REFRESH = 0.25
"""Seconds between two pictures of the live view."""

SPEED_OVER = 2.0
"""Seconds over which frames per second are averaged."""

LAST_WINDOWS = 5.0
"""Seconds to wait at the end for windows that the broker has and the subscriber has not received yet."""


@dataclass(frozen=True, slots=True)
class _Sample:
    """How many frames were analysed until `at`, in monotonic seconds."""

    at: float
    frames: int


class Show:
    """Runs the daemon and shows the windows that come back from the broker."""

    def __init__(
        self,
        settings: Settings,
        beside: Path,
        start: ViewState,
        clock: Clock,
        passages: Mapping[str, Passages],
    ) -> None:
        """passages: the true ones by line, where they are known."""
        self._settings = settings
        self._clock = clock
        self._stays = Stays()
        parts = Parts(queue=self._stays.queue)
        self._runtime = Runtime(
            settings, beside=beside, clock=clock, rng=random.Random(), resumes=False, parts=parts
        )
        self._received = Received()
        topics = Topics.of(settings)
        self._subscriber = Subscriber(
            settings.mqtt,
            (topics.counts("+", "+"), topics.flow("+")),
            f"{settings.box}-demo",
            on_payload=self._received.take,
            clock=clock,
            rng=random.Random(),
            secrets_beside=beside,
        )
        self._start = start
        self._passages = passages
        self._samples: dict[str, deque[_Sample]] = {camera.name: deque() for camera in self._runtime.cameras}
        self._begun = clock.monotonic()

    def run(self, stop: threading.Event, seconds: float | None) -> int:
        """Run until the recording ends, `seconds` have passed or `stop` is set; returns the exit status.

        It is 1 where the broker was never heard: nothing could be shown of what left.
        Raises what the daemon, the subscriber or the view failed with.
        """
        console = Console(highlight=False)
        threads = Threads(Heartbeats(self._clock, math.inf), self._clock, on_failure=stop.set)
        ended, received = threading.Event(), threading.Event()
        subscriber = threads.make("subscriber", lambda _: self._subscriber.run(received), watched=False)
        view = threads.make("view", lambda _: self._view(console, stop, ended, seconds), watched=False)
        subscriber.start()
        self._clock.wait(self._subscriber.subscribed, self._settings.mqtt.connect_timeout)
        self._begun = self._clock.monotonic()
        view.start()
        try:
            self._runtime.run(stop)
        finally:
            ended.set()
            threads.join([view], self._clock.monotonic() + 2 * LAST_WINDOWS)
            received.set()
            threads.join([subscriber], self._clock.monotonic() + LAST_WINDOWS)
        if threads.failure is not None:
            raise threads.failure
        console.print(summary(self._state()))
        return 0 if self._subscriber.subscribed.is_set() else 1

    def _view(
        self, console: Console, stop: threading.Event, ended: threading.Event, seconds: float | None
    ) -> None:
        """Draw the state until the daemon has ended; set `stop` after `seconds`."""
        with _screen(console) as draw:
            while not ended.is_set():
                draw(self._state())
                if seconds is not None and self._clock.monotonic() - self._begun >= seconds:
                    stop.set()
                self._clock.wait(ended, REFRESH)
            self._await_windows()
            draw(self._state())

    def _await_windows(self) -> None:
        """Wait for what the broker has acknowledged: the windows, and the day after the last one."""
        deadline = self._clock.monotonic() + LAST_WINDOWS
        while len(self._received.windows) < self._runtime.stored or not self._received.is_complete:
            if self._clock.monotonic() >= deadline or not self._runtime.stored:
                return
            self._clock.wait(threading.Event(), 0.05)

    def _state(self) -> ViewState:
        return replace(
            self._start,
            cameras=[self._row(camera) for camera in self._runtime.cameras],
            window=self._open_window(),
            windows=self._received.windows,
            flow=self._flow(),
            broker_fault=self._subscriber.fault,
            elapsed=self._clock.monotonic() - self._begun,
        )

    def _flow(self) -> list[Row]:
        """The camera's lines and zones; true stays only where the gate is off."""
        camera, privacy = self._settings.cameras[0], self._settings.privacy
        stays = self._stays if privacy.minimum == 1 else None
        received = self._received
        return [*received.lines(camera, self._passages), *received.zones(camera, stays)]

    def _row(self, camera: CameraSnapshot) -> CameraRow:
        speed = self._speed(camera.name, camera.analysed)
        state, reason = camera.status.state.value, camera.status.reason
        return CameraRow(camera.name, state, speed, camera.in_view, camera.visitors, reason)

    def _speed(self, camera: str, frames: int) -> float:
        samples, now = self._samples[camera], self._clock.monotonic()
        samples.append(_Sample(now, frames))
        while now - samples[0].at > SPEED_OVER:
            samples.popleft()
        seconds = now - samples[0].at
        return (frames - samples[0].frames) / seconds if seconds > 0 else 0.0

    def _open_window(self) -> OpenWindow | None:
        start = self._runtime.open_since(self._runtime.cameras[0].name)
        if start is None:
            return None
        length = timedelta(seconds=self._settings.windows.length)
        elapsed = (self._clock.now() - start) / length
        return OpenWindow(start, start + length, min(1.0, max(0.0, elapsed)))


@contextmanager
def _screen(console: Console) -> Iterator[Callable[[ViewState], None]]:
    """A function that shows a state: it redraws the view on a terminal, else it writes a line per event."""
    if console.is_terminal:
        with Live(console=console, screen=False, transient=True, auto_refresh=False) as live:
            yield lambda state: live.update(render(state), refresh=True)
        return
    shown: list[ViewState] = []

    def write(state: ViewState) -> None:
        for line in plain_lines(shown[-1] if shown else None, state):
            sys.stdout.write(line + "\n")
        sys.stdout.flush()
        shown[:] = [state]

    yield write
