"""A daemon that measures itself: frames, drops, processor time, and the time from capture to decision."""

from __future__ import annotations

import random
import resource
import threading
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edge.capture import Source, open_source
from edge.capture.recordings import Clip
from edge.clock import Clock, SystemClock
from edge.config import CameraSettings, Settings
from edge.daemon.parts import Parts
from edge.daemon.runtime import Runtime
from edge.errors import OutsideError
from edge.ops.metrics import Metrics

WARM_UP = 2.0
"""Seconds from the last camera's first frame to the start of the measurement."""

GIVE_UP = 60.0
"""A box fails when a camera gives no frame within so many seconds."""

APART = 4.0
"""Seconds of a recording over which the beginnings of the cameras are spread, at most: what is before them is
decoded first."""

_POLL = 0.05
_NEVER = threading.Event()


@dataclass(frozen=True, slots=True)
class Work:
    """The work of a box in `seconds` of wall time.

    cores: seconds of processor time for each second. decision_p50_ms, decision_p95_ms: from a frame's capture
    to the last decision on it; 0 where time does not pass as on the clock. rss_mb: 10^6 bytes at the end.
    """

    cameras: int
    seconds: float
    analysed: int
    dropped: int
    cores: float
    decision_p50_ms: float
    decision_p95_ms: float
    rss_mb: float

    @property
    def fps(self) -> float:
        """Frames analysed a second, by all cameras together."""
        return self.analysed / self.seconds

    @property
    def cpu_ms_per_frame(self) -> float:
        """Milliseconds of processor time for each analysed frame."""
        return 1000 * self.cores * self.seconds / max(self.analysed, 1)


def open_apart(
    settings: CameraSettings, /, *, secrets_beside: Path, clock: Clock, turn: float | None
) -> Source:
    """As `open_source`, but begin each camera's recording at another place.

    Otherwise all cameras of one recording would show the same at every moment, and begin it again at the same
    moment; no two real ones do. Of one that does not tell how long it is, the beginning is read to find out.
    """
    source = open_source(settings, secrets_beside, clock, turn)
    if turn and isinstance(source, Clip):
        seconds = source.seconds or _read_length(settings, secrets_beside, clock)
        source.skip(turn * min(seconds, APART))
    return source


def _read_length(settings: CameraSettings, secrets_beside: Path, clock: Clock) -> float:
    """How many seconds a recording has, at most `APART`, by reading it once."""
    once = settings.model_copy(update={"loop": False})
    with closing(open_source(once, secrets_beside, clock, None)) as source:
        return source.skip(APART) if isinstance(source, Clip) else 0.0


class _ExactMetrics(Metrics):
    """The daemon's series; the time of every decision is also appended to `delays`, in seconds."""

    def __init__(self, delays: list[float], *arguments: Any, **named: Any) -> None:  # noqa: ANN401
        super().__init__(*arguments, **named)
        self._delays = delays

    def decided(self, seconds: float) -> None:
        self._delays.append(seconds)
        super().decided(seconds)


class WatchedBox:
    """A daemon whose work `run` measures. Raises as `Runtime` does.

    parts: by default the daemon's own, with recordings that begin apart.
    """

    def __init__(
        self, settings: Settings, beside: Path, parts: Parts | None = None, clock: Clock | None = None
    ) -> None:
        self._delays: list[float] = []
        self._clock = clock or SystemClock()
        parts = parts or Parts(open_source=open_apart)
        self.runtime = Runtime(
            settings,
            beside=beside,
            clock=self._clock,
            rng=random.Random(0),
            resumes=False,
            parts=replace(parts, metrics=partial(_ExactMetrics, self._delays)),
        )

    def run(self, seconds: float, warm_up: float = WARM_UP) -> Work:
        """Run the daemon, and measure so many seconds of it. Raises OutsideError where a camera is silent."""
        stop = threading.Event()
        found: list[Work] = []
        watch = threading.Thread(target=self._watch, args=(seconds, warm_up, stop, found), daemon=True)
        watch.start()
        self.runtime.run(stop)
        watch.join()
        if not found:
            raise OutsideError(f"no frame of some camera within {GIVE_UP:g} s")
        return found[0]

    def _watch(self, seconds: float, warm_up: float, stop: threading.Event, found: list[Work]) -> None:
        deadline = self._clock.monotonic() + GIVE_UP
        while not all(camera.analysed for camera in self.runtime.cameras):
            if self._clock.wait(stop, _POLL) or self._clock.monotonic() >= deadline:
                stop.set()
                return
        self._clock.wait(_NEVER, warm_up)
        found.append(self._measure(seconds))
        stop.set()

    def _measure(self, seconds: float) -> Work:
        self._delays.clear()
        frames, dropped = self._analysed(), self._dropped()
        wall, cpu = self._clock.monotonic(), _processor_time()
        self._clock.wait(_NEVER, seconds)
        wall, cpu = self._clock.monotonic() - wall, _processor_time() - cpu
        p50, p95 = np.percentile(np.array(self._delays or [0.0]) * 1000, (50, 95)).tolist()
        return Work(
            cameras=len(self.runtime.cameras),
            seconds=wall,
            analysed=self._analysed() - frames,
            dropped=self._dropped() - dropped,
            cores=cpu / wall,
            decision_p50_ms=p50,
            decision_p95_ms=p95,
            rss_mb=_resident_mb(),
        )

    def _analysed(self) -> int:
        return sum(camera.analysed for camera in self.runtime.cameras)

    def _dropped(self) -> int:
        (family,) = self.runtime.metrics.dropped.collect()
        return int(sum(s.value for s in family.samples if s.name.endswith("_total")))


def _processor_time() -> float:
    """Seconds that all threads of this process have computed."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6
