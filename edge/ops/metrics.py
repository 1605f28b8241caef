"""Prometheus series: the only module that imports prometheus_client.

The labels are `camera`, `stage` and `reason` only. No series is broken down by age: a scrape every 15 seconds
would undo the anonymity of the windows.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    Metric,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from edge.clock import Clock
from edge.ops.reasons import CropDrop, FrameDrop, MqttFailure, OutboxFault, ReloadResult, TrackEnd
from edge.types import CameraState, CameraStatus

disable_created_metrics()  # type: ignore[no-untyped-call]  # they double the number of series

STAGES = ("detect", "track", "crops", "classify", "aggregate")
STAGE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
LAG_BUCKETS = (0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0, 3600.0, 86400.0)
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)

PROCESS_EVERY = 300.0
"""Seconds between two readings of the `process_*` series."""

MODEL_FALLBACKS = ("library", "driver", "no_gpu", "engine", "wrong", "memory", "lost")
ENGINE_FAULTS = ("truncated", "corrupt", "foreign")


class Metrics:
    """All series, on their own registry; every series exists from the start, with the value 0."""

    def __init__(self, clock: Clock, cameras: Iterable[str] = ()) -> None:
        self._clock = clock
        self.registry = CollectorRegistry()
        self.registry.register(_Process(clock))
        self._make_frames()
        self._make_stages()
        self._make_model()
        self._make_delivery()
        self._cameras: list[str] = []
        self._guard = threading.Lock()
        self.follow(cameras)

    def _make_frames(self) -> None:
        camera = ("camera",)
        self.captured = self._counter("frames_captured", "Frames captured from a camera.", camera)
        self.analysed = self._counter("frames_analysed", "Frames searched for faces.", camera)
        self.dropped = self._counter(
            "frames_dropped", "Frames captured and not analysed, by reason.", ("camera", "reason")
        )
        self.last_frame = self._gauge(
            "last_frame_timestamp_seconds",
            "Time at which a camera's last analysed frame was captured.",
            camera,
        )
        self.up = self._gauge("camera_up", "1 while a camera gives usable pictures.", camera)
        self.frozen = self._gauge("camera_frozen", "1 while a camera repeats the same picture.", camera)
        self.dark = self._gauge("camera_dark", "1 while a camera's picture is black or of one tone.", camera)
        self.faces = self._counter("faces_detected", "Faces detected in frames.", camera)
        self.in_view = self._gauge("tracks_in_view", "Tracks in view that are known to be faces.", camera)
        self.tracks = self._counter(
            "tracks_ended", "Tracks ended or counted, by result.", ("camera", "reason")
        )

    def _make_stages(self) -> None:
        self.stage = Histogram(
            "instore_stage_seconds", "Time spent in a stage, per frame or batch.", ["stage"],
            buckets=STAGE_BUCKETS, registry=self.registry,
        )  # fmt: skip
        for stage in STAGES:
            self.stage.labels(stage)
        self.decision = Histogram(
            "instore_decision_seconds", "Time from a frame's capture until all its results are counted.",
            buckets=STAGE_BUCKETS, registry=self.registry,
        )  # fmt: skip
        self.late = self._counter("visits_late", "Visits counted in a later window than their own.")
        self.refused = self._counter("windows_refused", "Windows not stored because they were stored before.")
        self.reloads = self._counter_by("reloads", "Reloads of the configuration, by result.", ReloadResult)
        self._build = Info("instore_build", "Version of the program.", registry=self.registry)
        self._config = Info("instore_config", "The configuration in force.", registry=self.registry)

    def _make_model(self) -> None:
        self.batch = Histogram(
            "instore_batch_crops", "Face crops per batch of the age model.", buckets=BATCH_BUCKETS,
            registry=self.registry,
        )  # fmt: skip
        self.crops_dropped = self._counter_by(
            "crops_dropped", "Face crops that did not reach the age model, by reason.", CropDrop
        )
        self._model = Info(
            "instore_model", "The age model and the backend that runs it.", registry=self.registry
        )
        self.fallbacks = self._counter_by(
            "model_fallbacks", "Fallbacks to the baseline backend, by reason.", MODEL_FALLBACKS
        )
        self.accelerated = self._gauge(
            "model_accelerated", "1 while a faster backend than the baseline runs the age model."
        )
        self.engines_refused = self._counter_by(
            "engines_refused", "Engine files that were found and not loaded, by reason.", ENGINE_FAULTS
        )

    def _make_delivery(self) -> None:
        self.windows = self._counter("windows_closed", "Windows closed.", ("camera",))
        self.published = self._counter("windows_published", "Windows acknowledged by the broker.")
        self.connected = self._gauge("mqtt_connected", "1 while connected to the broker.")
        self.failures = self._counter_by(
            "mqtt_failures", "Failed connections and deliveries, by reason.", MqttFailure
        )
        self.lag = Histogram(
            "instore_publish_lag_seconds", "Time from a window's storing to the broker's acknowledgement.",
            buckets=LAG_BUCKETS, registry=self.registry,
        )  # fmt: skip
        self.last_publish = self._gauge(
            "last_publish_timestamp_seconds", "Time at which a window was last acknowledged."
        )
        self.outbox_rows = self._gauge("outbox_rows", "Windows waiting in the outbox.")
        self.outbox_bytes = self._gauge(
            "outbox_bytes", "Size of the windows waiting in the outbox, in bytes."
        )
        self.outbox_dropped = self._counter("outbox_dropped", "Windows lost because the outbox was full.")
        self.outbox_set_aside = self._counter_by(
            "outbox_set_aside", "Unusable outbox files moved aside, by reason.", OutboxFault
        )
        self.outbox_failures = self._counter("outbox_failures", "Writes to the outbox that failed.")

    def _counter(self, name: str, text: str, labels: Sequence[str] = ()) -> Counter:
        return Counter(f"instore_{name}", text, labels, registry=self.registry)

    def _counter_by(self, name: str, text: str, reasons: Iterable[str]) -> Counter:
        """A counter with the label `reason`, every value of which starts at 0."""
        counter = self._counter(name, text, ("reason",))
        for reason in reasons:
            counter.labels(reason)
        return counter

    def _gauge(self, name: str, text: str, labels: Sequence[str] = ()) -> Gauge:
        return Gauge(f"instore_{name}", text, labels, registry=self.registry)

    def follow(self, cameras: Iterable[str]) -> None:
        """Have series for exactly these cameras; those of a new camera start at 0."""
        wanted = list(cameras)
        with self._guard:
            for camera in wanted:
                if camera not in self._cameras:
                    for series, labels in self._camera_series(camera):
                        series.labels(*labels)
            for camera in self._cameras:
                if camera not in wanted:  # a camera that was removed must not look like one that is down
                    for series, labels in self._camera_series(camera):
                        series.remove(*labels)
            self._cameras = wanted

    def _camera_series(self, camera: str) -> Iterator[tuple[Counter | Gauge, tuple[str, ...]]]:
        """Every series of one camera, with its labels."""
        counters = (self.captured, self.analysed, self.faces, self.windows)
        gauges = (self.last_frame, self.up, self.frozen, self.dark, self.in_view)
        yield from ((series, (camera,)) for series in (*counters, *gauges))
        yield from ((self.dropped, (camera, reason)) for reason in FrameDrop)
        yield from ((self.tracks, (camera, reason)) for reason in TrackEnd)

    def describe(self, *, build: dict[str, str], model: dict[str, str], config: dict[str, str]) -> None:
        """Set the `_info` series."""
        self._build.info(build)
        self.describe_model(model)
        self._config.info(config)

    def describe_model(self, model: dict[str, str]) -> None:
        """Replace what `instore_model_info` says: which age model runs, and on which backend."""
        self._model.info(model)

    def camera_status(self, status: CameraStatus) -> None:
        """Set the gauges of a camera's state."""
        for state, gauge in (
            (CameraState.UP, self.up),
            (CameraState.FROZEN, self.frozen),
            (CameraState.DARK, self.dark),
        ):
            gauge.labels(status.camera_id).set(status.state is state)

    def window_published(self, lag: float) -> None:
        """Count a window that the broker acknowledged `lag` seconds after it was stored."""
        self.published.inc()
        self.lag.observe(lag)
        self.last_publish.set(self._clock.now().timestamp())

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Measure the time that the block takes, as one pass through `stage`."""
        begun = self._clock.monotonic()
        try:
            yield
        finally:
            self.stage.labels(stage).observe(self._clock.monotonic() - begun)

    def exposition(self, accept: str = "") -> tuple[str, bytes]:
        """Content type and all series, in OpenMetrics where the header `accept` names it, else in Prometheus'
        text format.
        """
        encode, content_type = choose_encoder(accept)
        return content_type, encode(self.registry)


class _Process(Collector):
    """The `process_*` series that every Prometheus client has: processor time, memory, descriptors, start.

    They are read anew every `PROCESS_EVERY` seconds at most: a shop in which nothing moves costs little, so
    processor time by the second would show when a single visitor came.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._collector = ProcessCollector(registry=None)
        self._guard = threading.Lock()
        self._read_at = float("-inf")
        self._families: list[Metric] = []

    def collect(self) -> list[Metric]:
        with self._guard:
            if (now := self._clock.monotonic()) - self._read_at >= PROCESS_EVERY:
                self._families, self._read_at = list(self._collector.collect()), now
            return self._families
