"""`instore-edge check`: tries everything that the daemon depends on, once, and says how each fares."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from http.client import HTTPConnection, HTTPException
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from edge.bundle import Bundle, bundle_folder, load_bundle
from edge.capture import Feed, open_source, validate_source
from edge.clock import Clock, SystemClock
from edge.config import CameraSettings, Settings, state_directory
from edge.errors import ConfigurationError, InstoreError
from edge.health import SERVER, HttpServer
from edge.inference import open_backend
from edge.outbox import Outbox
from edge.publish import probe

FRAMES = 10
"""Frames taken from each camera: enough to tell its rate."""

PATIENCE = 2.0
"""Seconds that whoever has our port may take to say who it is."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one thing fares: what it is, whether it works, and what was seen or what to do."""

    what: str
    ok: bool
    detail: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def check(settings: Settings, beside: Path, clock: Clock | None = None) -> list[Verdict]:
    """Try the cameras, the model, the broker, the outbox and the port of `settings`, one after the other."""
    clock = clock or SystemClock()
    verdicts = [Verdict("configuration", True, f"site {settings.site}, box {settings.box}")]
    for camera in settings.cameras:
        verdicts.append(_try(f"camera {camera.name}", partial(_camera, camera, beside, clock)))
    verdicts.append(_try("model", partial(_model, settings, beside, clock)))
    verdicts.append(_try("broker", partial(_broker, settings, beside, clock)))
    verdicts.append(_try("outbox", partial(_outbox, settings, beside, clock)))
    verdicts.append(_try("metrics", partial(_port, settings)))
    return verdicts


def render(verdicts: list[Verdict]) -> None:
    """A table for a person, on standard output."""
    table = Table(box=None, pad_edge=False)
    for heading in ("", "what", "how it fares"):
        table.add_column(heading, overflow="fold")
    for verdict in verdicts:
        sign = "[green]ok[/]" if verdict.ok else "[bold red]failed[/]"
        table.add_row(sign, verdict.what, verdict.detail)
    Console(highlight=False).print(table)


def _try(what: str, attempt: Callable[[], str]) -> Verdict:
    try:
        return Verdict(what, True, attempt())
    except InstoreError as error:
        return Verdict(what, False, str(error))


def _camera(camera: CameraSettings, beside: Path, clock: Clock) -> str:
    validate_source(camera, beside)
    feed = Feed(camera, partial(open_source, secrets_beside=beside, clock=clock), clock)
    frames = feed.frames()
    taken = list(islice(frames, FRAMES))
    if not taken:
        raise InstoreError("gave no frame")
    height, width = taken[-1].image.shape[:2]
    seconds = (taken[-1].captured_at - taken[0].captured_at).total_seconds()
    rate = f", {(len(taken) - 1) / seconds:.1f} frames a second" if seconds > 0 else ""
    return f"{width}x{height}{rate}, {feed.status.state}"


def _model(settings: Settings, beside: Path, clock: Clock) -> str:
    bundle = load_bundle(bundle_folder(settings.model.bundle, beside))
    model = settings.model
    backend = open_backend(model.backend, bundle, max_batch=model.max_batch, threads=model.threads)
    try:
        milliseconds = 1000 * _seconds_per_face(backend.infer, bundle, backend.max_batch, clock)
        where = f"{backend.name} ({backend.device})"
        return f"{bundle.name} {bundle.version} on {where}, {milliseconds:.1f} ms a face"
    finally:
        backend.close()


def _seconds_per_face(infer: Callable[..., Any], bundle: Bundle, batch: int, clock: Clock) -> float:
    crops = np.zeros((batch, bundle.input_size, bundle.input_size, 3), np.uint8)
    infer(crops)
    begun = clock.monotonic()
    infer(crops)
    return (clock.monotonic() - begun) / batch


def _broker(settings: Settings, beside: Path, clock: Clock) -> str:
    where = f"{settings.mqtt.host}:{settings.mqtt.port}"
    result = probe(settings.mqtt, f"{settings.box}-check", clock=clock, secrets_beside=beside)
    if not result.connected:
        raise InstoreError(f"{where}: {result.reason}")
    secured = "TLS" if settings.mqtt.tls else "no TLS"
    return f"{where}: accepted us in {1000 * result.round_trip:.0f} ms ({secured})"


def _outbox(settings: Settings, beside: Path, clock: Clock) -> str:
    folder = state_directory(settings, beside)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        free = os.statvfs(folder)
    except OSError as error:
        raise InstoreError(f"outbox.directory = {str(folder)!r}: {error.strerror}") from None
    room = f"{free.f_bavail * free.f_frsize / 2**30:.1f} GiB free"
    path = folder / "outbox.db"
    # Never made here: whoever checks may be another user than the daemon, and would own it.
    return f"{path}: {_waiting(path, settings, clock)}, {room}" if path.exists() else f"{folder}: {room}"


def _waiting(path: Path, settings: Settings, clock: Clock) -> str:
    bounds = settings.outbox
    try:
        with closing(Outbox(path, bounds.max_rows, bounds.max_bytes, clock)) as outbox:
            return f"{outbox.depth} windows wait"
    except InstoreError as error:
        if "is in use" in str(error):
            return "the daemon has it"
        raise


def _port(settings: Settings) -> str:
    metrics = settings.metrics
    if not metrics.enabled:
        return "not served"
    host = f"[{metrics.host}]" if ":" in metrics.host else metrics.host
    where = f"http://{host}:{metrics.port}/metrics"
    try:
        HttpServer(metrics.host, metrics.port, {}).stop()
    except ConfigurationError:
        if _is_ours(metrics.host, metrics.port):
            return f"{where}: the daemon has it"
        raise
    return f"{where} is free to serve on"


def _is_ours(host: str, port: int) -> bool:
    """Whether a daemon of this program answers there."""
    try:
        with closing(HTTPConnection(host, port, timeout=PATIENCE)) as connection:
            connection.request("HEAD", "/healthz")
            return connection.getresponse().headers.get("Server", "").strip() == SERVER
    except (OSError, OverflowError, HTTPException, ValueError):
        return False
