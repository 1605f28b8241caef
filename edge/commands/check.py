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
from rich.markup import escape
from rich.table import Table

from edge import files
from edge.bundle import Bundle, bundle_folder, load_bundle
from edge.capture import Feed, open_source, validate_source
from edge.clock import Clock, SystemClock
from edge.config import CameraSettings, Settings, state_directory
from edge.delivery import Topics, probe
from edge.delivery.outbox import Outbox
from edge.errors import ConfigurationError, InstoreError
from edge.inference import open_backend
from edge.inference.engine_store import EngineStore
from edge.ops import machine
from edge.ops.http import SERVER, HttpServer
from edge.types import CameraState, Frame
from edge.vision.pipeline import build_detection

FRAMES = 10
"""Frames taken from each camera: enough to tell its rate."""

PATIENCE = 2.0
"""Seconds that whoever has our port may take to say who it is."""


SERVICE_UNITS = [Path(f"/{place}/systemd/system/{machine.UNIT}") for place in ("usr/lib", "etc")]
"""Where the service is installed."""

SERVICE_STATE = Path("/var/lib/instore-edge")
"""What it has as $STATE_DIRECTORY."""

LOOKS = 4
"""Of the last frames of a camera, those that are searched for faces: one alone may miss somebody."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one thing fares: what it is, whether it works, and what was seen or what to do.

    warning: it works, and somebody should look after it all the same.
    """

    what: str
    ok: bool
    detail: str
    warning: bool = False

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class _Warned(Exception):  # noqa: N818 - no error: it ends an attempt that succeeded, with a warning
    """What works and wants looking after."""


def check(
    settings: Settings,
    beside: Path,
    clock: Clock | None = None,
    *,
    is_clock_kept: Callable[[], bool | None] = machine.is_clock_synchronised,
    show_unit: machine.Show = machine.show_unit,
    on_begin: Callable[[str], None] = lambda what: None,
) -> list[Verdict]:
    """Try all that the daemon of `settings` depends on, one after the other.

    beside: the folder of the configuration. on_begin is told of each thing before it is tried.
    """
    clock = clock or SystemClock()
    attempts: dict[str, Callable[[], str]] = {
        "configuration": lambda: f"site {settings.site}, box {settings.box}",
        **{f"camera {c.name}": partial(_camera, c, settings, beside, clock) for c in settings.cameras},
        "model": partial(_model, settings, beside, clock),
        "broker": partial(_broker, settings, beside, clock),
        "outbox": partial(_outbox, settings, beside, clock),
        "disk": partial(_disk, settings, beside),
        "clock": partial(_clock, clock, is_clock_kept),
        "metrics": partial(_port, settings),
        "service": partial(_service, show_unit),
    }
    verdicts = []
    for what, attempt in attempts.items():
        on_begin(what)
        verdicts.append(_try(what, attempt))
    return verdicts


def render(verdicts: list[Verdict]) -> None:
    """A table for a person, on standard output."""
    table = Table(box=None, pad_edge=False)
    for heading in ("", "what", "how it fares"):
        table.add_column(heading, overflow="fold")
    for verdict in verdicts:
        sign = (
            "[bold red]failed[/]"
            if not verdict.ok
            else "[yellow]look[/]"
            if verdict.warning
            else "[green]ok[/]"
        )
        table.add_row(sign, verdict.what, escape(verdict.detail))
    Console(highlight=False).print(table)


def _try(what: str, attempt: Callable[[], str]) -> Verdict:
    try:
        return Verdict(what, True, attempt())
    except _Warned as warned:
        return Verdict(what, True, str(warned), warning=True)
    except InstoreError as error:
        return Verdict(what, False, str(error))


def _camera(camera: CameraSettings, settings: Settings, beside: Path, clock: Clock) -> str:
    validate_source(camera, beside)
    feed = Feed(camera, partial(open_source, secrets_beside=beside, clock=clock), clock)
    with closing(feed.frames()) as frames:
        taken = list(islice(frames, FRAMES))
    if not taken:
        raise InstoreError("gave no frame")
    height, width = taken[-1].image.shape[:2]
    seconds = (taken[-1].captured_at - taken[0].captured_at).total_seconds()
    rate = f", {(len(taken) - 1) / seconds:.1f} frames a second" if seconds > 0 else ""
    seen = f"{width}x{height}{rate}, {feed.status.state}"
    if feed.status.state is not CameraState.UP:
        raise _Warned(f"{seen}: {feed.status.reason}")
    faces = _faces(camera, settings, taken[-LOOKS:])
    return f"{seen}, {faces or 'no'} face{'' if faces == 1 else 's'} now"


def _faces(camera: CameraSettings, settings: Settings, frames: list[Frame]) -> int:
    """The most faces in one of these frames, by both models as the daemon judges them."""
    scanner, opinion = build_detection(camera, settings)
    nobody = np.zeros((0, 4), np.float32)
    most = 0
    with closing(scanner), closing(opinion):
        for frame in frames:
            found = scanner.scan(frame.image, frame.captured_at, nobody)
            second = np.array([opinion.examine(frame.image, box).score for box in found.xyxy])
            judged = np.sqrt(found.score * second) if len(second) else second
            most = max(most, int((judged >= settings.detection.second_opinion).sum()))
    return most


def _model(settings: Settings, beside: Path, clock: Clock) -> str:
    bundle = load_bundle(bundle_folder(settings.model.bundle, beside))
    model, engines = settings.model, state_directory(settings, beside) / "engines"
    passed_over: list[str] = []
    with tempfile.TemporaryDirectory() as nowhere:
        # The daemon's engines are tried; one that is built here is not kept, as its owner might be another.
        backend = open_backend(
            model.backend,
            bundle,
            max_batch=model.max_batch,
            threads=model.threads,
            precision=model.precision,
            store=EngineStore(Path(nowhere), [engines, bundle.folder / "engines"]),
            on_passed_over=passed_over.append,
        )
    try:
        milliseconds = 1000 * _seconds_per_face(backend.infer, bundle, backend.max_batch, clock)
        where = f"{backend.name} ({backend.device})"
        told = f"{bundle.name} {bundle.version} on {where}, {milliseconds:.1f} ms a face"
        return "; not on ".join([told, *passed_over])
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
    topics = _topics(settings)
    result = probe(settings.mqtt, f"{settings.box}-check", clock=clock, secrets_beside=beside, topics=topics)
    if not result.connected:
        raise InstoreError(f"{where}: {result.reason}")
    accepted = f"{where}: accepted us in {1000 * result.round_trip:.0f} ms ({result.security})"
    if result.refused is None:
        return f"{accepted}; it does not tell what we may publish"
    if result.refused:
        raise InstoreError(f"{accepted}, but refuses what we publish on {', '.join(result.refused)}")
    return f"{accepted}; we may publish on all {len(topics)} topics"


def _topics(settings: Settings) -> list[str]:
    """All that the daemon publishes on."""
    topics = Topics(settings.mqtt.prefix, settings.site, settings.box)
    kinds = (topics.camera_status, topics.counts, topics.latest)
    return [topics.box_status, *(kind(camera.name) for camera in settings.cameras for kind in kinds)]


def _state(settings: Settings, beside: Path) -> Path:
    """Where the daemon has its outbox, or will have it: the service, where it is installed."""
    told = settings.outbox.directory or "STATE_DIRECTORY" in os.environ
    if not told and any(unit.exists() for unit in SERVICE_UNITS):
        return SERVICE_STATE
    return state_directory(settings, beside)


def _outbox(settings: Settings, beside: Path, clock: Clock) -> str:
    folder = _state(settings, beside)
    if folder == SERVICE_STATE and not os.path.lexists(folder):
        return f"{folder}: the service makes it at its first start"
    try:
        files.make_private_folder(folder)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        hint = "; check the service as root" if folder == SERVICE_STATE else ""
        raise InstoreError(f"outbox.directory = {str(folder)!r}: {error.strerror}{hint}") from None
    path = folder / "outbox.db"
    # Never made here: whoever checks may be another user than the daemon, and would own it.
    return f"{path}: {_waiting(path, settings, clock) if path.exists() else 'not there yet'}"


def _disk(settings: Settings, beside: Path) -> str:
    folder = _state(settings, beside)
    try:
        free = machine.free_bytes(folder.parent if folder == SERVICE_STATE else folder)
    except OSError as error:
        raise InstoreError(f"{folder}: {error.strerror}") from None
    needed = max(0, settings.outbox.max_bytes - _bytes(folder / "outbox.db"))
    if free < needed:
        raise _Warned(
            f"{folder}: {_size(free)} free, while the outbox may grow by {_size(needed)} (outbox.max_bytes): "
            "a broker that is away for long would fill the disk"
        )
    return f"{folder}: {_size(free)} free, enough for a full outbox"


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # not there yet, or not ours to look at
        return 0


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def _clock(clock: Clock, is_clock_kept: Callable[[], bool | None]) -> str:
    now = f"{clock.now():%Y-%m-%dT%H:%M:%SZ}"
    match is_clock_kept():
        case True:
            return f"{now}, kept right by a time server"
        case False:
            raise _Warned(
                f"{now}, kept right by nobody: windows bear the time of day; "
                "enable systemd-timesyncd or chrony, or compare it with your own"
            )
        case None:
            return f"{now}; the kernel does not tell whether a time server keeps it right"


def _service(show_unit: machine.Show) -> str:
    facts = show_unit(machine.UNIT)
    if not facts:
        return "no systemd here"
    if facts.get("LoadState") != "loaded":
        raise _Warned(f"{machine.UNIT} is not installed: nothing starts the daemon with the machine")
    state = f"{facts['ActiveState']} ({facts['SubState']}), {facts['UnitFileState'] or 'not enabled'}"
    restarts = int(facts["NRestarts"])
    if facts["ActiveState"] == "active":
        return f"{state}, restarted {restarts} times: {facts['StatusText']}"
    if facts["ActiveState"] == "failed" or restarts:
        raise InstoreError(
            f"{state}, restarted {restarts} times, last result {facts['Result']!r}: "
            f"journalctl -u {machine.UNIT} says why"
        )
    raise _Warned(f"{state}: systemctl enable --now {machine.UNIT} starts it")


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
