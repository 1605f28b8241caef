"""`instore-edge demo`: broker, daemon, scene and subscriber on one machine, and what comes of them."""

from __future__ import annotations

import random
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from rich.console import Console
from rich.live import Live

from edge.capture import is_live, open_source
from edge.clock import Clock, SystemClock
from edge.commands.demo.broker import Broker, start_broker
from edge.commands.demo.scene import Scene, write_clip
from edge.commands.demo.view import (
    COMPOSED_NOTICE,
    PRIVACY_NOTICE,
    CameraRow,
    OpenWindow,
    ViewState,
    plain_lines,
    render,
    summary,
)
from edge.config import (
    CameraSettings,
    MqttSettings,
    Settings,
    load_settings,
)
from edge.config.redaction import holds_credentials, is_mistyped_url, redact_value
from edge.daemon.cameras.camera_state import CameraSnapshot
from edge.daemon.runtime import Runtime
from edge.delivery import Subscriber, Topics
from edge.errors import ConfigurationError
from edge.ops.terminal import progress_bars
from edge.release.messages import decode_counts

REFRESH = 0.25
"""Seconds between two pictures of the live view."""

LIVE_SECONDS = 60.0
"""How long a camera is shown unless told otherwise; a recording is shown to its end."""

SPEED_OVER = 2.0
"""Seconds over which frames per second are taken."""

LAST_WORDS = 5.0
"""Seconds to wait at the end for windows that are acknowledged and still on their way back."""

DEFAULTS = {"privacy": {"minimum": 1}, "windows": {"length": 10}, "metrics": {"port": 0}}
"""What differs from production where the user's own file says nothing else."""


def demo(
    *,
    source: str | None,
    broker: str | None,
    seconds: float | None,
    config: Path | None,
    overrides: Sequence[str],
    stop: threading.Event,
) -> int:
    """Run the demo until the scene ends, `seconds` have passed or `stop` is set; the exit status.

    source: None for the composed scene. broker: None for one of its own. Relative paths in `config` start
    from its folder. Raises ConfigurationError and OutsideError as the daemon does.
    """
    clock = SystemClock()
    beside = config.parent if config else Path.cwd()
    with tempfile.TemporaryDirectory(prefix="instore-demo-") as name, ExitStack() as stack:
        folder = Path(name)
        camera, expected = _scene(folder) if source is None else (_own_camera(source, folder), None)
        own = stack.enter_context(start_broker(folder)) if broker is None else None
        mqtt = _own_broker(own) if own else _named_broker(broker or "", folder)
        # An outbox of its own too: the daemon's holds windows that are not the demo's to send.
        tables = {"site": "demo", "cameras": [camera], "mqtt": mqtt, "outbox": {"directory": str(folder)}}
        settings = load_settings(config, overrides, tables, DEFAULTS)
        _refuse_broken_recording(settings.cameras[0], beside, clock)
        limit = seconds or (LIVE_SECONDS if is_live(settings.cameras[0]) else None)
        notices = [PRIVACY_NOTICE] if settings.privacy.minimum == 1 else []
        notices = [COMPOSED_NOTICE, *notices] if source is None else notices
        kind = own.kind if own else f"{settings.mqtt.host}:{settings.mqtt.port}"
        start = ViewState(
            notices=notices,
            brackets=settings.windows.brackets,
            broker=kind,
            seconds=limit,
            expected=expected if limit is None else None,
        )
        return _Show(settings, beside, start, clock).run(stop, limit)


def _scene(folder: Path) -> tuple[dict[str, Any], int]:
    """Compose the scene's clip: the camera that plays it, and how many visitors it holds."""
    clip = folder / "scene.mp4"
    with progress_bars("%", {"composing the scene": 100.0}) as advance:
        visitors = write_clip(Scene(), clip, progress=lambda done: advance("composing the scene", 100 * done))
    return {"name": "scene", "source": str(clip)}, visitors


def _own_camera(source: str, folder: Path) -> dict[str, Any]:
    """The user's camera; credentials in its URL go into a secret file, where the daemon looks for them."""
    if "://" in source:
        bare, credentials = _without_credentials("--source", source, folder / "camera-password")
        return {"name": "camera", "source": bare, **credentials}
    if source.isdecimal():
        return {"name": "camera", "source": source}
    if not Path(source).exists():
        hint = "; a URL is scheme://host/path" if is_mistyped_url(source) else ""
        raise ConfigurationError(
            f"--source {redact_value(source)}: there is no such device, file or folder{hint}"
        )
    # It was named at the command line: relative to where that stands, not to the configuration.
    return {"name": "camera", "source": str(Path(source).absolute())}


def _own_broker(broker: Broker) -> dict[str, Any]:
    """Every key, so that nothing stays of a broker that the file names."""
    return MqttSettings(host=broker.host, port=broker.port, protocol=broker.protocol).model_dump()


def _named_broker(url: str, folder: Path) -> dict[str, Any]:
    """What the URL says of the broker, and no more: the rest is the configuration's."""
    full = url if "://" in url else f"mqtt://{url}"
    bare, credentials = _without_credentials("--broker", full, folder / "mqtt-password")
    parts = urlsplit(bare)
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname or parts.path.strip("/"):
        raise ConfigurationError(
            f"--broker {redact_value(url)}: wants mqtt://host[:port], or mqtts:// for TLS"
        )
    table: dict[str, Any] = {"host": parts.hostname, **credentials}
    if parts.scheme == "mqtts":
        table |= {"tls": True, "port": 8883}
    if parts.port is not None:
        table["port"] = parts.port
    return table


def _without_credentials(option: str, url: str, secret: Path) -> tuple[str, dict[str, str]]:
    """The URL without them, and the settings that they are, if any: a password is put into a file."""
    try:
        parts = urlsplit(url)
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2])
        cut_short = holds_credentials(bare)
        _ = parts.port if not cut_short else None
    except ValueError:  # its message repeats what stands for the port
        raise ConfigurationError(
            f"{option} {redact_value(url)}: wants scheme://host[:port], the port a number up to 65535"
        ) from None
    if cut_short:
        raise ConfigurationError(
            f"{option} {redact_value(url)}: '#', '/' and '?' in a password must be percent-encoded: "
            "%23, %2F and %3F"
        )
    if parts.username is None:
        return urlunsplit(bare), {}
    user, password = unquote(parts.username), unquote(parts.password or "")
    if password:
        secret.touch(mode=0o600)
        secret.write_text(password, encoding="utf-8")
    return urlunsplit(bare), {"username": user, "password_file": str(secret) if password else ""}


def _refuse_broken_recording(camera: CameraSettings, beside: Path, clock: Clock) -> None:
    """A camera may come back, a broken file will not: raises SourceError now instead of trying for ever."""
    if not is_live(camera):
        open_source(camera, beside, clock).close()


@dataclass(frozen=True, slots=True)
class _Sample:
    """How many frames were analysed by a moment, for the speed."""

    at: float
    frames: int


class _Show:
    """One run of the daemon, watched through the broker."""

    def __init__(self, settings: Settings, beside: Path, start: ViewState, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._runtime = Runtime(settings, beside=beside, clock=clock, rng=random.Random(), resumes=False)
        self._windows: dict[str, dict[str, Any]] = {}
        self._subscriber = Subscriber(
            settings.mqtt,
            Topics(settings.mqtt.prefix, settings.site, settings.box).counts("+"),
            f"{settings.box}-demo",
            on_payload=self._hear,
            clock=clock,
            rng=random.Random(),
            secrets_beside=beside,
        )
        self._start = start
        self._samples: dict[str, deque[_Sample]] = {camera.name: deque() for camera in self._runtime.cameras}
        self._begun = clock.monotonic()

    def run(self, stop: threading.Event, seconds: float | None) -> int:
        """Show until the end; the exit status."""
        console = Console(highlight=False)
        enough = threading.Event()
        threading.Thread(target=self._subscriber.run, args=(enough,), name="subscriber", daemon=True).start()
        self._clock.wait(self._subscriber.subscribed, self._settings.mqtt.connect_timeout)
        self._begun = self._clock.monotonic()
        finished = self._in_background(stop)
        with _screen(console) as draw:
            while not finished.is_set():
                draw(self._state())
                if seconds is not None and self._clock.monotonic() - self._begun >= seconds:
                    stop.set()
                self._clock.wait(finished, REFRESH)
            self._await_windows()
            draw(self._state())
        enough.set()
        if self._failure is not None:
            raise self._failure
        console.print(summary(self._state()))
        return 0

    def _hear(self, payload: bytes) -> None:
        """Upsert by window id, as every consumer should; runs in the subscriber's thread."""
        try:
            window = decode_counts(payload)
        except ValueError:
            return  # somebody else's message on the user's own broker
        self._windows = {**self._windows, window["window_id"]: window}

    def _in_background(self, stop: threading.Event) -> threading.Event:
        finished = threading.Event()
        self._failure: BaseException | None = None

        def work() -> None:
            try:
                self._runtime.run(stop)
            except BaseException as error:  # noqa: BLE001 - it is raised again in the main thread
                self._failure = error
            finally:
                finished.set()

        threading.Thread(target=work, name="daemon", daemon=True).start()
        return finished

    def _await_windows(self) -> None:
        """Acknowledged windows may still be on their way to us."""
        deadline = self._clock.monotonic() + LAST_WORDS
        while len(self._windows) < self._runtime.stored:
            if self._clock.monotonic() >= deadline:
                return
            self._clock.wait(threading.Event(), 0.05)

    def _state(self) -> ViewState:
        return replace(
            self._start,
            cameras=[self._row(camera) for camera in self._runtime.cameras],
            window=self._open_window(),
            windows=list(self._windows.values()),
            elapsed=self._clock.monotonic() - self._begun,
        )

    def _row(self, camera: CameraSnapshot) -> CameraRow:
        speed = self._speed(camera.name, camera.analysed)
        state, reason = camera.status.state.value, camera.status.reason
        return CameraRow(camera.name, state, speed, camera.in_view, camera.visitors, reason)

    def _speed(self, camera: str, frames: int) -> float:
        samples, now = self._samples[camera], self._clock.monotonic()
        samples.append(_Sample(now, frames))
        while now - samples[0].at > SPEED_OVER:
            samples.popleft()
        seconds = now - samples[0].at
        return (frames - samples[0].frames) / seconds if seconds > 0 else 0.0

    def _open_window(self) -> OpenWindow | None:
        start = self._runtime.open_since(self._runtime.cameras[0].name)
        if start is None:
            return None
        length = timedelta(seconds=self._settings.windows.length)
        elapsed = (self._clock.now() - start) / length
        return OpenWindow(start, start + length, min(1.0, max(0.0, elapsed)))


@contextmanager
def _screen(console: Console) -> Iterator[Callable[[ViewState], None]]:
    """A function that shows a state: redrawn in place on a terminal, a line for each event elsewhere."""
    if console.is_terminal:
        with Live(console=console, screen=False, transient=True, auto_refresh=False) as live:
            yield lambda state: live.update(render(state), refresh=True)
        return
    shown: list[ViewState] = []

    def tell(state: ViewState) -> None:
        for line in plain_lines(shown[-1] if shown else None, state):
            sys.stdout.write(line + "\n")
        sys.stdout.flush()
        shown[:] = [state]

    yield tell
