"""Measures how long each stage takes on recordings.

It runs `replay`, which runs every stage in one thread and loses no frame, so that the times add up. The times
are taken where `replay` creates a camera's vision and where it has finished a frame.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.bundle import Bundle
from edge.clock import Clock
from edge.commands.replay_driver import MakeVision, replay
from edge.config import CameraSettings, Settings
from edge.inference.backend import AgeBackend
from edge.ops.metrics import STAGES, Metrics
from edge.types import Frame, Message
from edge.vision.pipeline import Vision, VisionResult, build_vision

ROWS = {
    "decode": "including frames that are skipped",
    "detect": "the whole picture and its tiles",
    "track": "",
    "crops": "including the second opinion",
    "classify": "in batches, when visits end",
    "aggregate": "",
    "other": "between the stages",
}
"""The parts of a clip's time, each with a remark: decoding, the stages as the metrics name them, the rest."""


@dataclass(frozen=True, slots=True)
class StageTimes:
    """Milliseconds per analysed frame in one part of the work.

    mean_ms: the time of the whole clip, including the work after its last frame, divided by its frames.
    p50_ms and p95_ms: percentiles over single frames. share: of the clip's time, 0..1.
    """

    mean_ms: float
    p50_ms: float
    p95_ms: float
    share: float


@dataclass(frozen=True, slots=True)
class ClipTimes:
    """The times of one clip, without loading models. seconds: wall time; cpu_seconds: of all threads."""

    clip: str
    width: int
    height: int
    frames: int
    faces: int
    visitors: int
    load_seconds: float
    seconds: float
    cpu_seconds: float
    fps: float
    cpu_ms_per_frame: float
    stages: dict[str, StageTimes]

    def as_dict(self) -> dict[str, Any]:
        """For JSON, to a microsecond."""
        return cast("dict[str, Any]", _rounded(asdict(self)))


def bench(
    settings: Settings,
    bundle: Bundle,
    backend: AgeBackend,
    *,
    beside: Path,
    clock: Clock,
    cpu_clock: Callable[[], float] = time.process_time,
    make_vision: MakeVision = build_vision,
    on_frame: Callable[[str, float], None] = lambda camera, offset: None,
) -> Iterator[ClipTimes]:
    """Measure the recordings that are the configuration's cameras, one after the other.

    cpu_clock: seconds of processor time of this process. on_frame: called after every frame, see `replay`.
    Raises SourceError on a recording that cannot be read.
    """
    for camera in settings.cameras:
        watch = _Stopwatch(clock.monotonic, cpu_clock, make_vision)

        def finished(name: str, offset: float, watch: _Stopwatch = watch) -> None:
            watch.end_lap()
            on_frame(name, offset)
            watch.begin_lap()

        one = settings.model_copy(update={"cameras": (camera,)})
        with one_opencv_thread():
            windows = replay(
                one,
                bundle,
                backend,
                beside=beside,
                clock=clock,
                make_vision=watch.make_vision,
                on_frame=finished,
            )
            deque(windows, maxlen=0)
        yield watch.result(camera.name)


@contextmanager
def one_opencv_thread() -> Iterator[None]:
    """OpenCV uses one thread inside the block, as in the daemon."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


class _WatchedVision:
    """The part of `Vision` that `replay` uses; calls `on_frame` with every frame before it analyses it."""

    def __init__(self, vision: Vision, on_frame: Callable[[Frame], None]) -> None:
        self._vision = vision
        self._on_frame = on_frame
        self.finish: Callable[[], list[Message]] = vision.finish
        self.close: Callable[[], None] = vision.close

    def process(self, frame: Frame) -> VisionResult:
        self._on_frame(frame)
        return self._vision.process(frame)


class _Stopwatch:
    """Takes the times of one clip. A lap is a frame; the last lap is the work after all frames."""

    def __init__(
        self, now: Callable[[], float], cpu_clock: Callable[[], float], make_vision: MakeVision
    ) -> None:
        self._now = now
        self._cpu_clock = cpu_clock
        self._make_vision = make_vision
        self._laps: list[NDArray[np.float64]] = []
        self._in_stages = np.zeros(len(STAGES))
        self._decoding = 0.0
        self._size = (0, 0)

    def make_vision(
        self, camera: CameraSettings, settings: Settings, bundle: Bundle, metrics: Metrics
    ) -> Vision:
        """Create the vision, keep the metrics that it writes to, and start the first lap."""
        begun = self._now()
        vision = _WatchedVision(self._make_vision(camera, settings, bundle, metrics), self._decoded)
        self._metrics = metrics
        self._load_seconds = self._now() - begun
        self._cpu_begun = self._cpu_clock()
        self.begin_lap()
        return cast("Vision", vision)

    def begin_lap(self) -> None:
        """Start the time of the next frame."""
        self._lap_begun = self._now()

    def end_lap(self) -> None:
        """End the time of a frame that all stages have finished."""
        wall = self._now() - self._lap_begun
        before, self._in_stages = self._in_stages, _seconds_in_stages(self._metrics)
        known = [self._decoding, *(self._in_stages - before)]
        self._laps.append(np.array([*known, wall - sum(known)]))
        self._decoding = 0.0

    def result(self, camera: str) -> ClipTimes:
        """The times; call it once, after the end of the clip."""
        self.end_lap()
        cpu_seconds = self._cpu_clock() - self._cpu_begun
        frames, seconds = len(self._laps) - 1, float(np.sum(self._laps))
        return ClipTimes(
            clip=camera,
            width=self._size[0],
            height=self._size[1],
            frames=frames,
            faces=_value(self._metrics, "instore_faces_detected_total", camera=camera),
            visitors=_value(self._metrics, "instore_tracks_ended_total", camera=camera, reason="visitor"),
            load_seconds=self._load_seconds,
            seconds=seconds,
            cpu_seconds=cpu_seconds,
            fps=frames / seconds,
            cpu_ms_per_frame=1000 * cpu_seconds / frames,
            stages=_stage_times(np.array(self._laps)),
        )

    def _decoded(self, frame: Frame) -> None:
        self._decoding = self._now() - self._lap_begun
        self._size = (frame.image.shape[1], frame.image.shape[0])


def _seconds_in_stages(metrics: Metrics) -> NDArray[np.float64]:
    """The seconds spent in each of `STAGES` since the metrics were made, (len(STAGES),)."""
    (family,) = metrics.stage.collect()
    sums = {s.labels["stage"]: s.value for s in family.samples if s.name.endswith("_sum")}
    return np.array([sums[stage] for stage in STAGES])


def _value(metrics: Metrics, name: str, **labels: str) -> int:
    return int(metrics.private.get_sample_value(name, labels) or 0)


def _stage_times(laps: NDArray[np.float64]) -> dict[str, StageTimes]:
    """laps: seconds, (frames + 1, rows); the last lap is the end of the clip."""
    frames = laps[:-1]
    mean = 1000 * laps.sum(axis=0) / len(frames)
    p50, p95 = 1000 * np.percentile(frames, (50, 95), axis=0)
    share = laps.sum(axis=0) / laps.sum()
    columns = zip(ROWS, mean.tolist(), p50.tolist(), p95.tolist(), share.tolist(), strict=True)
    return {name: StageTimes(*times) for name, *times in columns}


def _rounded(value: Any) -> Any:  # noqa: ANN401 - a JSON tree is of any shape
    if isinstance(value, dict):
        return {key: _rounded(entry) for key, entry in value.items()}
    return round(value, 6) if isinstance(value, float) else value
