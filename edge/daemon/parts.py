"""The factories that a daemon is built with, so that a test or a benchmark can put its own in their place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edge.bundle import Bundle
from edge.capture import LatestFrame, Source, open_source
from edge.clock import Clock
from edge.config import CameraSettings, Settings
from edge.daemon.queue import MessageQueue
from edge.delivery.connection import Connection
from edge.delivery.outbox import Outbox
from edge.delivery.publisher import Connect
from edge.inference.fallback import ServingBackend, serve
from edge.ops.metrics import Metrics
from edge.vision.detect import SharedDetectors
from edge.vision.detect.served import serve_faces
from edge.vision.pipeline import Vision, build_vision, open_ahead


class OpenSource(Protocol):
    """Opens a camera's source; raises SourceError."""

    def __call__(
        self, settings: CameraSettings, /, *, secrets_beside: Path, clock: Clock, turn: float | None
    ) -> Source: ...


class BuildVision(Protocol):
    """Builds a camera's vision, in the thread that will use it."""

    def __call__(
        self,
        camera: CameraSettings,
        settings: Settings,
        bundle: Bundle,
        metrics: Metrics,
        /,
        *,
        detectors: SharedDetectors,
    ) -> Vision: ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What a daemon is made of.

    open_ahead: opens what the cameras' visions will share. serve: the age model's backend; see
    `edge.inference.fallback.serve`. serve_faces: that of the face networks, where a GPU is looked for; see
    `edge.vision.detect.served`. outbox: where released messages wait. queue: takes the number of crops that
    it may hold. slot: between a camera's two threads. connect: a connection to the broker.
    """

    open_source: OpenSource = open_source
    build_vision: BuildVision = build_vision
    open_ahead: Callable[[Sequence[CameraSettings], Settings, SharedDetectors], None] = open_ahead
    serve: Callable[..., ServingBackend] = serve
    serve_faces: Callable[..., ServingBackend] = serve_faces
    outbox: Callable[..., Outbox] = Outbox
    queue: Callable[[int], MessageQueue] = MessageQueue
    slot: Callable[[], LatestFrame] = LatestFrame
    connect: Connect = Connection
    metrics: Callable[..., Metrics] = Metrics
