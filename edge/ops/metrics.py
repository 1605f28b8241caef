"""Prometheus series: the only module that imports prometheus_client.

Labels are `camera`, `stage` and `reason`, nothing else, and no series is broken down by age: a scrape every
15 seconds would undo the anonymity of the windows.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from edge.clock import Clock
from edge.types import CameraState, CameraStatus

STAGES = ("detect", "track", "crops", "classify", "aggregate")
STAGE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
LAG_BUCKETS = (0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0, 3600.0, 86400.0)
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)

FRAME_DROPS = ("overwritten", "corrupt")
TRACK_ENDS = ("visitor", "too_short", "not_a_face", "recounted")
MQTT_FAILURES = ("unreachable", "tls", "refused", "lost", "timeout", "rejected", "disk")

CROP_DROPS = ("queue_full", "stopping")
OUTBOX_FAULTS = ("damaged", "newer")
RELOADS = ("applied", "refused")

MODEL_FALLBACKS = ("library", "driver", "no_gpu", "engine", "wrong", "memory", "lost")
ENGINE_FAULTS = ("truncated", "corrupt", "foreign")


class Metrics:
    """All series, on a registry of their own, every label value initialised to 0."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, clock: Clock, cameras: Iterable[str] = ()) -> None:
        self._clock = clock
        self.registry = CollectorRegistry()
        self._make_frames()
        self._make_stages()
        self._make_delivery()
        self._cameras: list[str] = []
        self._guard = threading.Lock()
        self.follow(cameras)

    def _make_frames(self) -> None:
        camera, r = ["camera"], self.registry
        self.captured = Counter("instore_frames_captured", "Frames taken from a camera.", camera, registry=r)
        self.analysed = Counter("instore_frames_analysed", "Frames searched for faces.", camera, registry=r)
        self.dropped = Counter(
            "instore_frames_dropped", "Frames never searched.", ["camera", "reason"], registry=r
        )
        self.last_frame = Gauge(
            "instore_last_frame_timestamp_seconds",
            "When a camera's last frame was taken.",
            camera,
            registry=r,
        )
        self.up = Gauge("instore_camera_up", "1 while a camera gives usable pictures.", camera, registry=r)
        self.frozen = Gauge("instore_camera_frozen", "1 while the picture stands still.", camera, registry=r)
        self.dark = Gauge(
            "instore_camera_dark", "1 while the picture is black or covered.", camera, registry=r
        )
        self.faces = Counter("instore_faces_detected", "Boxes that a detector found.", camera, registry=r)
        self.in_view = Gauge("instore_tracks_in_view", "Confirmed tracks now in view.", camera, registry=r)
        self.tracks = Counter(
            "instore_tracks_ended", "Tracks by what became of them.", ["camera", "reason"], registry=r
        )

    def _make_stages(self) -> None:
        r = self.registry
        self.stage = Histogram(
            "instore_stage_seconds", "Time in a stage.", ["stage"], buckets=STAGE_BUCKETS, registry=r
        )
        for stage in STAGES:
            self.stage.labels(stage)
        self.decision = Histogram(
            "instore_decision_seconds", "From a frame's capture to all that it decides.",
            buckets=STAGE_BUCKETS, registry=r,
        )  # fmt: skip
        self.batch = Histogram(
            "instore_batch_crops", "Crops judged in one call.", buckets=BATCH_BUCKETS, registry=r
        )
        self.crops_dropped = Counter(
            "instore_crops_dropped", "Crops that were never judged.", ["reason"], registry=r
        )
        for reason in CROP_DROPS:
            self.crops_dropped.labels(reason)
        self.late = Counter("instore_visits_late", "Visits counted in a later window.", registry=r)
        self.refused = Counter("instore_windows_refused", "Windows that had been stored before.", registry=r)
        self.reloads = Counter(
            "instore_reloads", "Configurations read again, by what came of it.", ["reason"], registry=r
        )
        for reason in RELOADS:
            self.reloads.labels(reason)
        self._build = Info("instore_build", "The program.", registry=r)
        self._model = Info("instore_model", "The age model and what runs it.", registry=r)
        self._config = Info("instore_config", "The configuration.", registry=r)

        self.fallbacks = Counter(
            "instore_model_fallbacks", "Times that what is faster could not be used.", ["reason"], registry=r
        )
        for reason in MODEL_FALLBACKS:
            self.fallbacks.labels(reason)
        self.accelerated = Gauge(
            "instore_model_accelerated", "1 while what is faster judges ages.", registry=r
        )
        self.engines_refused = Counter(
            "instore_engines_refused", "Engine files that were not loaded.", ["reason"], registry=r
        )
        for reason in ENGINE_FAULTS:
            self.engines_refused.labels(reason)

    def _make_delivery(self) -> None:
        r = self.registry
        self.windows = Counter("instore_windows_closed", "Windows closed.", ["camera"], registry=r)
        self.published = Counter("instore_windows_published", "Windows acknowledged.", registry=r)
        self.connected = Gauge("instore_mqtt_connected", "1 while the broker accepts us.", registry=r)
        self.failures = Counter("instore_mqtt_failures", "Failed connections.", ["reason"], registry=r)
        for reason in MQTT_FAILURES:
            self.failures.labels(reason)
        self.lag = Histogram(
            "instore_publish_lag_seconds", "From a window's closing to its acknowledgement.",
            buckets=LAG_BUCKETS, registry=r,
        )  # fmt: skip
        self.last_publish = Gauge(
            "instore_last_publish_timestamp_seconds", "When a window was last acknowledged.", registry=r
        )
        self.outbox_rows = Gauge("instore_outbox_rows", "Windows that wait for the broker.", registry=r)
        self.outbox_bytes = Gauge("instore_outbox_bytes", "Size of the windows that wait.", registry=r)
        self.outbox_dropped = Counter(
            "instore_outbox_dropped", "Windows given up because the outbox was full.", registry=r
        )
        self.outbox_set_aside = Counter(
            "instore_outbox_set_aside", "Outbox files that could not be used.", ["reason"], registry=r
        )
        for reason in OUTBOX_FAULTS:
            self.outbox_set_aside.labels(reason)
        self.outbox_failures = Counter("instore_outbox_failures", "Writes that the disk refused.", registry=r)

    def follow(self, cameras: Iterable[str]) -> None:
        """Have series for these cameras, new ones from 0, and for no others."""
        wanted = list(cameras)
        with self._guard:
            for camera in wanted:
                if camera not in self._cameras:
                    self._add(camera)
            for camera in self._cameras:
                if camera not in wanted:
                    self._remove(camera)
            self._cameras = wanted

    def _remove(self, camera: str) -> None:
        """A camera that is gone must not look like one that is down."""
        for series in (self.captured, self.analysed, self.faces, self.windows):
            series.remove(camera)
        for gauge in (self.last_frame, self.up, self.frozen, self.dark, self.in_view):
            gauge.remove(camera)
        for reason in FRAME_DROPS:
            self.dropped.remove(camera, reason)
        for reason in TRACK_ENDS:
            self.tracks.remove(camera, reason)

    def _add(self, camera: str) -> None:
        """Start every series of a camera at 0."""
        for series in (self.captured, self.analysed, self.faces, self.windows):
            series.labels(camera)
        for gauge in (self.last_frame, self.up, self.frozen, self.dark, self.in_view):
            gauge.labels(camera)
        for reason in FRAME_DROPS:
            self.dropped.labels(camera, reason)
        for reason in TRACK_ENDS:
            self.tracks.labels(camera, reason)

    def describe(self, *, build: dict[str, str], model: dict[str, str], config: dict[str, str]) -> None:
        """Fill the `_info` series."""
        self._build.info(build)
        self.describe_model(model)
        self._config.info(config)

    def describe_model(self, model: dict[str, str]) -> None:
        """Tell anew which age model is at work, and on what."""
        self._model.info(model)

    def camera_status(self, status: CameraStatus) -> None:
        """Export a camera's state."""
        for state, gauge in (
            (CameraState.UP, self.up),
            (CameraState.FROZEN, self.frozen),
            (CameraState.DARK, self.dark),
        ):
            gauge.labels(status.camera_id).set(status.state is state)

    def window_published(self, lag: float) -> None:
        """Note that a window was acknowledged, `lag` seconds after it was closed."""
        self.published.inc()
        self.lag.observe(lag)
        self.last_publish.set(self._clock.now().timestamp())

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Observe how long the block takes as one pass through `stage`."""
        begun = self._clock.monotonic()
        try:
            yield
        finally:
            self.stage.labels(stage).observe(self._clock.monotonic() - begun)

    def exposition(self) -> bytes:
        """All series in Prometheus' text format."""
        return generate_latest(self.registry)
