"""What the daemon reports about itself: to systemd, on /healthz, in the metrics and in the log."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edge.bundle import Bundle
from edge.clock import Clock
from edge.config import DAY, Settings, blanks_in_secrets
from edge.config.views import shared_host_warning, shared_hosts
from edge.daemon.cameras.camera_state import CameraSnapshot
from edge.delivery.outbox import Outbox, Receiver
from edge.inference.fallback import ServingBackend
from edge.ops.metrics import Metrics
from edge.types import CameraState, CameraStatus
from edge.vision.detect import engine_of

log = logging.getLogger(__name__)

REPORT_DROPPED_EVERY = 60.0
"""Seconds between two log lines on dropped messages: a full outbox drops one for each that comes."""

ENOUGH_DAYS = 30.0
"""Days of windows that an outbox should hold: as long as a store may be closed, or its line be dead."""

GATE_OFF = "privacy.minimum = 1: true counts leave the box"

ROWS_OF_A_WINDOW = 2.5
"""Messages of a camera's window: its counts and its flow, with a share of hours, days and the box's sums."""

BYTES_OF_A_WINDOW = 2000
"""Bytes of these: 1400 with the default brackets and names."""


class Status:
    """The daemon in one line for systemd, and as facts for /healthz.

    cameras: as they are now. waiting: messages in the outbox. gate_is_off: whether true counts leave the box.
    serves: whether the metrics are served as configured. runs_on: the library that runs each network.
    """

    def __init__(
        self,
        metrics: Metrics,
        cameras: Callable[[], Sequence[CameraSnapshot]],
        waiting: Callable[[], int],
        gate_is_off: Callable[[], bool],
        serves: Callable[[], bool],
        *,
        runs_on: Callable[[], dict[str, str]] = dict,
        has_broker: bool = True,
        has_webhook: bool = False,
    ) -> None:
        self._metrics = metrics
        self._cameras = cameras
        self._waiting = waiting
        self._gate_is_off = gate_is_off
        self._serves = serves
        self._runs_on = runs_on
        self._has_broker = has_broker
        self._has_webhook = has_webhook
        self._connected = self._posts = False
        self.reload_rejected = False
        self.needs_restart: tuple[str, ...] = ()
        """Keys of the configuration that the last reload left at their old values."""

    def set_connected(self, connected: bool) -> None:
        """The broker accepted the connection, or it ended."""
        self._connected = connected
        self._metrics.connected.set(connected)

    def set_posting(self, posts: bool) -> None:
        """The webhook accepted a message, or did not."""
        self._posts = posts
        self._metrics.webhook_up.set(posts)

    @property
    def is_connected(self) -> bool:
        """Whether the broker has accepted the connection that there is."""
        return self._connected

    @property
    def _receivers(self) -> str:
        broker = "broker connected" if self._connected else "broker not connected"
        webhook = "webhook accepts" if self._posts else "webhook has accepted nothing yet or fails"
        named = [broker] * self._has_broker + [webhook] * self._has_webhook
        return ", ".join(named) or "no broker and no webhook"

    @property
    def line(self) -> str:
        """For a person who looks at `systemctl status`."""
        cameras = self._cameras()
        up = sum(camera.status.state is CameraState.UP for camera in cameras)
        rejected = "; the last reload was rejected, see the log" if self.reload_rejected else ""
        gate = f"; {GATE_OFF}" if self._gate_is_off() else ""
        waiting = f"{self._waiting()} messages waiting"
        silent = "" if self._serves() else "; no metrics are served, see the log"
        return f"{up} of {len(cameras)} cameras up, {self._receivers}, {waiting}{gate}{silent}{rejected}"

    def facts(self) -> dict[str, Any]:
        """For /healthz."""
        cameras = {camera.name: camera.status.state.value for camera in self._cameras()}
        facts: dict[str, Any] = {
            "cameras": cameras, "mqtt_connected": self._connected, "outbox_rows": self._waiting(),
            "reload_rejected": self.reload_rejected, "needs_restart": list(self.needs_restart),
            "runs_on": self._runs_on(),
        }  # fmt: skip
        return {**facts, "webhook_accepts": self._posts} if self._has_webhook else facts


class ModelReport:
    """Reports the age model, and the backend that runs it."""

    def __init__(self, bundle: Bundle, metrics: Metrics) -> None:
        self._bundle = bundle
        self._metrics = metrics

    def facts(self, backend: ServingBackend) -> dict[str, str]:
        """Name and version of the model, backend and device that run it."""
        bundle = self._bundle
        return {
            "name": bundle.name,
            "version": bundle.version,
            "backend": backend.name,
            "device": backend.device,
        }

    def changed(self, backend: ServingBackend) -> None:
        """The model runs on this backend from now on."""
        facts = self.facts(backend)
        self._metrics.describe_model(facts)
        self._metrics.accelerated.set(backend.accelerated)
        log.info("model %(name)s %(version)s on %(backend)s (%(device)s)", facts)


class FaceReport:
    """Reports what runs the face networks."""

    def __init__(self, engine: str, metrics: Metrics) -> None:
        """engine: `detection.engine`."""
        self._engine = engine_of(engine)
        self._metrics = metrics

    def facts(self, served: ServingBackend | None) -> dict[str, str]:
        """Backend and device. served: runs the networks of all cameras; None where each has its own."""
        if served is None:
            return {"backend": self._engine, "device": "CPU"}
        return {"backend": served.name, "device": served.device}

    def changed(self, served: ServingBackend | None) -> None:
        """The networks run on this backend from now on."""
        facts = self.facts(served)
        self._metrics.describe_detector(facts)
        self._metrics.detector_accelerated.set(served is not None and served.accelerated)
        log.info("face detection on %(backend)s (%(device)s)", facts)


class OutboxReport:
    """Measures the outbox for the metrics, and warns about messages that it had to drop."""

    def __init__(self, outbox: Outbox, metrics: Metrics, clock: Clock) -> None:
        self._outbox = outbox
        self._metrics = metrics
        self._clock = clock
        self._counted = self._logged = 0
        self._next_line = 0.0

    def measure(self, *, last: bool = False) -> None:
        """Export size and drops. last: log all drops at once, as no later call will."""
        self._metrics.outbox_rows.set(self._outbox.depth)
        self._metrics.webhook_rows.set(self._outbox.depth_of(Receiver.WEBHOOK))
        self._metrics.outbox_bytes.set(self._outbox.payload_bytes)
        dropped = self._outbox.dropped
        self._metrics.outbox_dropped.inc(dropped - self._counted)
        self._counted = dropped
        if dropped > self._logged and (last or self._clock.monotonic() >= self._next_line):
            self._next_line = self._clock.monotonic() + REPORT_DROPPED_EVERY
            log.warning("the outbox is full: the oldest %d messages were dropped", dropped - self._logged)
            self._logged = dropped


STOPPED = "the daemon has stopped"
"""Why a camera is down after a stop that was asked for."""


def report_camera(status: CameraStatus, metrics: Metrics, publish: Callable[[CameraStatus], None]) -> None:
    """Report a camera's new state in the metrics, over MQTT and in the log.

    A camera that is up with a reason, such as a GPU that does not decode it, is a warning.
    """
    calm = status.reason == STOPPED or (status.state is CameraState.UP and not status.reason)
    metrics.camera_status(status)
    publish(status)
    log.log(
        logging.INFO if calm else logging.WARNING,
        "camera %s: %s%s",
        status.camera_id,
        status.state,
        f": {status.reason}" if status.reason else "",
        extra={"camera": status.camera_id, "state": status.state},
    )


def warn_of_what_leaves(settings: Settings) -> None:
    """Warn where the gate is off, and of cameras that may show one visitor twice."""
    if settings.privacy.is_off:
        log.warning("%s, also of single visitors", GATE_OFF)
    for host, cameras in shared_hosts(settings).items():
        log.warning("%s", shared_host_warning(host, cameras))


def warn_of_blanks(settings: Settings, beside: Path) -> None:
    """Warn of each secret that begins or ends with blanks."""
    for text in blanks_in_secrets(settings, beside):
        log.warning("%s", text)


def warn_of_a_small_outbox(settings: Settings) -> None:
    """Warn where the outbox holds less than `ENOUGH_DAYS`."""
    if (days := days_held(settings)) < ENOUGH_DAYS:
        log.warning(
            "the outbox holds %.1f days of windows of these cameras; %g days are recommended: increase "
            "outbox.max_rows and outbox.max_bytes",
            days,
            ENOUGH_DAYS,
        )


def days_held(settings: Settings) -> float:
    """Days of windows that the outbox has room for, by its bounds and a generous size of each."""
    a_day = len(settings.cameras) * DAY / settings.windows.length
    bounds = settings.outbox
    return min(bounds.max_rows / ROWS_OF_A_WINDOW, bounds.max_bytes / BYTES_OF_A_WINDOW) / a_day
