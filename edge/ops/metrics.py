"""Prometheus series: the only module that imports prometheus_client.

The labels are `camera`, `stage` and `reason` only, and no series is broken down by age. A scrape every second
must not show when a single visitor came: counts that visitors drive are measured (`Metrics.private`) and not
exported, and timings, which depend on who is in view, are exported once in a release period.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
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
from edge.ops.reasons import (
    BackendFault,
    CropDrop,
    EngineFault,
    FrameDrop,
    MqttFailure,
    OutboxFault,
    ReloadResult,
    TrackEnd,
    WebhookFailure,
)
from edge.types import CameraState, CameraStatus

disable_created_metrics()  # type: ignore[no-untyped-call]  # they double the number of series

STAGES = ("detect", "track", "crops", "classify", "aggregate")
STAGE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
LAG_BUCKETS = (0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0, 3600.0, 86400.0)
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)

RELEASE_EVERY = 1800.0
"""Seconds between two updates of timings and `process_*` series: as between two releases of counts."""

EXPORTED_STAGES = ("detect", "track")
"""Stages that every frame passes; how often and how long the others work depends on the visitors."""


class Metrics:
    """All series; every series exists from the start, with the value 0.

    registry: what is exported. private: what visitors drive, for benchmarks and tests in this process.
    """

    def __init__(
        self, clock: Clock, cameras: Iterable[str] = (), *, release_every: float = RELEASE_EVERY
    ) -> None:
        self._clock = clock
        self.registry = CollectorRegistry()
        self.private = CollectorRegistry()
        self.registry.register(_Periodic(clock, release_every, self._timings))
        self.registry.register(_Periodic(clock, release_every, ProcessCollector(registry=None).collect))
        self._make_frames()
        self._make_private()
        self._make_timings()
        self._make_windows()
        self._make_model()
        self._make_delivery()
        self._make_stores()
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
        self.visits = self._gauge(
            "window_visits", "Visits in a camera's last closed window, with noise, as published.", camera
        )

    def _make_private(self) -> None:
        registry, camera = self.private, ("camera",)
        self.faces = Counter("instore_faces_detected", "Faces detected in frames.", camera, registry=registry)
        self.tracks = Counter(
            "instore_tracks_ended", "Tracks ended or counted, by result.", ["camera", "reason"],
            registry=registry,
        )  # fmt: skip
        self.late = Counter(
            "instore_visits_late", "Visits counted in a later window than their own.", registry=registry
        )
        self.batch = Histogram(
            "instore_batch_crops", "Face crops per batch of the age model.", buckets=BATCH_BUCKETS,
            registry=registry,
        )  # fmt: skip
        self.crops_dropped = Counter(
            "instore_crops_dropped", "Face crops that did not reach the age model, by reason.", ["reason"],
            registry=registry,
        )  # fmt: skip
        for reason in CropDrop:
            self.crops_dropped.labels(reason)

    def _make_timings(self) -> None:
        self.stage = Histogram(
            "instore_stage_seconds", "Time spent in a stage, per frame or batch.", ["stage"],
            buckets=STAGE_BUCKETS, registry=self.private,
        )  # fmt: skip
        for stage in STAGES:
            self.stage.labels(stage)
        # It takes longer where a visitor left: exported, it would tell exactly how many did.
        self.decision = Histogram(
            "instore_decision_seconds", "Time from a frame's capture until all its results are counted.",
            buckets=STAGE_BUCKETS, registry=self.private,
        )  # fmt: skip

    def decided(self, seconds: float) -> None:
        """All results of a frame are counted, this long after its capture."""
        self.decision.observe(seconds)

    def _timings(self) -> Iterator[Metric]:
        """The timings that are exported."""
        for family in self.stage.collect():
            family.samples = [s for s in family.samples if s.labels["stage"] in EXPORTED_STAGES]
            yield family

    def _make_windows(self) -> None:
        self.refused = self._counter("windows_refused", "Windows not stored because they were stored before.")
        self.reloads = self._counter_by("reloads", "Reloads of the configuration, by result.", ReloadResult)
        self._build = Info("instore_build", "Version of the program.", registry=self.registry)
        self._config = Info("instore_config", "The configuration in force.", registry=self.registry)

    def _make_model(self) -> None:
        self._model = Info(
            "instore_model", "The age model and the backend that runs it.", registry=self.registry
        )
        self.fallbacks = self._counter_by(
            "model_fallbacks", "Fallbacks to the baseline backend, by reason.", BackendFault
        )
        self.accelerated = self._gauge(
            "model_accelerated", "1 while a faster backend than the baseline runs the age model."
        )
        self._detector = Info(
            "instore_detector", "The backend that runs the face networks.", registry=self.registry
        )
        self.detector_fallbacks = self._counter_by(
            "detector_fallbacks", "Fallbacks of the face networks to ONNX Runtime, by reason.", BackendFault
        )
        self.detector_accelerated = self._gauge(
            "detector_accelerated", "1 while a GPU runs the face networks."
        )
        self.engines_refused = self._counter_by(
            "engines_refused", "Engine files that were found and not loaded, by reason.", EngineFault
        )

    def _make_delivery(self) -> None:
        self.windows = self._counter("windows_closed", "Windows closed.", ("camera",))
        self.published = self._counter("messages_published", "Messages acknowledged by the broker.")
        self.connected = self._gauge("mqtt_connected", "1 while connected to the broker.")
        self.failures = self._counter_by(
            "mqtt_failures", "Failed connections and deliveries, by reason.", MqttFailure
        )
        self.lag = Histogram(
            "instore_publish_lag_seconds", "Time from a message's storing to the broker's acknowledgement.",
            buckets=LAG_BUCKETS, registry=self.registry,
        )  # fmt: skip
        self.last_publish = self._gauge(
            "last_publish_timestamp_seconds", "Time at which a message was last acknowledged."
        )
        self.posted = self._counter("webhook_delivered", "Messages that the webhook accepted.")
        self.webhook_up = self._gauge("webhook_up", "1 while the webhook accepts requests.")
        self.webhook_failures = self._counter_by(
            "webhook_failures", "Messages that the webhook did not accept, by reason.", WebhookFailure
        )
        self.webhook_rows = self._gauge("webhook_rows", "Messages waiting for the webhook.")
        self.preview_failures = self._counter(
            "preview_failures",
            "Stills of Set up that a fault of detector, memory or disk prevented.",
        )

    def _make_stores(self) -> None:
        self.outbox_rows = self._gauge("outbox_rows", "Messages waiting in the outbox.")
        self.outbox_bytes = self._gauge(
            "outbox_bytes", "Size of the messages waiting in the outbox, in bytes."
        )
        self.outbox_dropped = self._counter(
            "outbox_dropped",
            "Messages that a full outbox lost, and closed windows that its disk refused for too long.",
        )
        self.outbox_set_aside = self._counter_by(
            "outbox_set_aside", "Unusable outbox files moved aside, by reason.", OutboxFault
        )
        self.outbox_failures = self._counter("outbox_failures", "Writes to the outbox that failed.")
        self.history_set_aside = self._counter_by(
            "history_set_aside", "Unusable history files moved aside, by reason.", OutboxFault
        )
        self.history_failures = self._counter("history_failures", "Writes to the history that failed.")

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
        gauges = (self.last_frame, self.up, self.frozen, self.dark, self.visits)
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

    def describe_detector(self, detector: dict[str, str]) -> None:
        """Replace what `instore_detector_info` says: what runs the face networks."""
        self._detector.info(detector)

    def camera_status(self, status: CameraStatus) -> None:
        """Set the gauges of a camera's state."""
        for state, gauge in (
            (CameraState.UP, self.up),
            (CameraState.FROZEN, self.frozen),
            (CameraState.DARK, self.dark),
        ):
            gauge.labels(status.camera_id).set(status.state is state)

    def window_closed(self, camera: str, visits: int) -> None:
        """Set the published visits of a camera's last window; of one that was removed meanwhile, nothing."""
        with self._guard:
            if camera in self._cameras:
                self.visits.labels(camera).set(visits)

    def message_published(self, lag: float) -> None:
        """Count a message that the broker acknowledged `lag` seconds after it was stored."""
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


class _Periodic(Collector):
    """Series that are read again every so many seconds at most.

    A shop in which nothing moves costs little: processor time or the time in a stage, read each second, would
    show when a single visitor came.
    """

    def __init__(self, clock: Clock, every: float, collect: Callable[[], Iterable[Metric]]) -> None:
        self._clock = clock
        self._every = every
        self._collect = collect
        self._guard = threading.Lock()
        self._read_at = float("-inf")
        self._families: list[Metric] = []

    def describe(self) -> list[Metric]:
        """Nothing: what is collected is known only later."""
        return []

    def collect(self) -> list[Metric]:
        with self._guard:
            if (now := self._clock.monotonic()) - self._read_at >= self._every:
                self._families, self._read_at = list(self._collect()), now
            return self._families
