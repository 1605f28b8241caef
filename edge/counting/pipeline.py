"""The stages of counting put together, without threads or clocks: messages in, closed windows out.

FaceCrop, Foreseen, TrackEnded, Progress, StreamEnded, CountingPlan
    ──► batching ──► Visit ──► windows ──► WindowCounts
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from edge.bundle import Bundle, calibrate
from edge.config import Settings
from edge.counting.batching import Classifier, Output
from edge.counting.windows import Aggregator
from edge.inference.backend import AgeBackend, largest_gain
from edge.ops.metrics import Metrics
from edge.types import (
    CountingPlan,
    Decided,
    GroupEnded,
    Image,
    Message,
    Progress,
    StreamEnded,
    TrackMissed,
    Visit,
    WindowCounts,
)

OnDecided = Callable[[str, datetime], None]
"""Called with a camera and the time of a frame of it when all results of that are counted."""


class Counting:
    """Everything that happens to the messages of all cameras; used by one thread."""

    def __init__(
        self, classifier: Classifier, aggregator: Aggregator, metrics: Metrics, on_decided: OnDecided
    ) -> None:
        self._classifier = classifier
        self._aggregator = aggregator
        self._metrics = metrics
        self._on_decided = on_decided

    def handle(self, message: Message, now: float) -> list[WindowCounts]:
        """Take one message in its turn at `now` (monotonic seconds); the windows that close."""
        return self._advance(self._classifier.handle(message, now))

    def overtake(self, progress: Progress, now: float) -> list[WindowCounts]:
        """Take a progress that `may_overtake` before what waits for a batch; the windows that close, of what
        has waited long enough by `now`.
        """
        return self._advance([progress]) + self.poll(now)

    def may_overtake(self, progress: Progress) -> bool:
        """Whether the counts are the same if this progress is taken before the visits that wait."""
        return not self._classifier.holds_back and self._aggregator.stays_open(progress)

    @property
    def may_judge_ahead(self) -> bool:
        """Whether `judge_ahead` has something to do, while no message comes."""
        return self._classifier.may_judge_ahead

    def judge_ahead(self) -> None:
        """Let the age model judge a few crops of visitors who are still in view."""
        self._classifier.judge_ahead()

    def poll(self, now: float) -> list[WindowCounts]:
        """Count what has waited long enough for a batch by `now`; the windows that close."""
        return self._advance(self._classifier.poll(now))

    def patience(self, now: float) -> float | None:
        """Seconds until the next `poll` is due; None while nothing waits."""
        return self._classifier.patience(now)

    def flush(self) -> list[WindowCounts]:
        """Count everything that waits for a batch; the windows that close."""
        return self._advance(self._classifier.flush())

    def open_windows(self) -> list[WindowCounts]:
        """The counts so far of the windows that are still open."""
        return self._aggregator.open_windows()

    def resume(self, windows: Iterable[WindowCounts]) -> list[WindowCounts]:
        """Continue the windows of an earlier run; those that no longer fit the configuration, closed."""
        return self._aggregator.resume(windows)

    def open_since(self, camera: str) -> datetime | None:
        """The start of a camera's oldest open window; None before its first frame."""
        return self._aggregator.open_since(camera)

    def _advance(self, outputs: Iterable[Output]) -> list[WindowCounts]:
        closed: list[WindowCounts] = []
        for output in outputs:
            late = self._aggregator.late
            with self._metrics.timed("aggregate"):
                closed += self._apply(output)
            self._metrics.late.inc(self._aggregator.late - late)
            if frame := _frame_completed_by(output):
                self._on_decided(*frame)
        for window in closed:
            self._metrics.windows.labels(window.camera_id).inc()
        return closed

    def _apply(self, output: Output) -> list[WindowCounts]:
        match output:
            case Progress():
                return self._aggregator.progress(output)
            case StreamEnded():
                return self._aggregator.end(output)
            case Visit():
                self._aggregator.count(output)
            case GroupEnded():
                self._aggregator.count_group(output)
            case TrackMissed():
                self._aggregator.count_missed(output)
            case CountingPlan():
                self._aggregator.replan(output)
                self._metrics.follow(output.zones)
        return []


def _frame_completed_by(output: Output) -> tuple[str, datetime] | None:
    """Camera and time of the frame whose last result this is."""
    if isinstance(output, Decided):
        return output.camera_id, output.captured_at
    if isinstance(output, Progress) and output.analysed and output.nothing_to_count:
        return output.camera_id, output.event_time
    return None


def build_counting(
    settings: Settings,
    bundle: Bundle,
    backend: AgeBackend,
    metrics: Metrics,
    on_decided: OnDecided = lambda camera, captured_at: None,
) -> Counting:
    """The counting of a box as configured, with `backend` as its age model."""
    model = settings.model

    def infer(batch: Image) -> NDArray[np.float32]:
        metrics.batch.observe(len(batch))
        with metrics.timed("classify"):
            return calibrate(backend.infer(batch), bundle.temperature)

    classifier = Classifier(
        infer,
        size=bundle.input_size,
        batch=lambda: min(model.max_batch, largest_gain(backend)),
        max_delay=model.max_delay,
        max_spread=model.max_spread,
    )
    aggregator = Aggregator(settings.site.name, counting_plan(settings), length=settings.windows.length)
    return Counting(classifier, aggregator, metrics, on_decided)


def counting_plan(settings: Settings) -> CountingPlan:
    """The plan that these settings describe."""
    cameras = settings.cameras
    zones = {camera.name: camera.counted_zones for camera in cameras}
    lines = {c.name: tuple(line.name for line in c.lines) for c in cameras if c.lines}
    cells = {camera.name: settings.cells_of(camera) | settings.crossed_cells_of(camera) for camera in cameras}
    tallies = {name: found for name, found in cells.items() if found}
    return CountingPlan(zones, settings.windows.brackets, settings.windows.lateness, lines, tallies)
