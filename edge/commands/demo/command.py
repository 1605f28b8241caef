"""`instore-edge demo`: a broker, the daemon, a camera and a subscriber on one machine, with a live view."""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.clock import Clock, SystemClock
from edge.commands.options import add_common
from edge.commands.signals import stop_on_signals
from edge.config import CameraSettings, Settings, load_settings
from edge.errors import BrokerError
from edge.ops.terminal import progress_bars

if TYPE_CHECKING:
    from edge.commands.demo.view import ViewState
    from edge.types import Passages

# The demo's other modules are imported in the functions: they load OpenCV, SciPy and the daemon, which
# `demo --help` does not need.

LIVE_SECONDS = 60.0
"""How long a live camera is shown without `--seconds`; a recording is shown to its end."""

DEFAULTS = {"privacy": {"minimum": 1}, "windows": {"length": 10}}
"""What differs from the daemon's defaults, unless the user's configuration sets it."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    examples = [
        "instore-edge demo",
        "instore-edge demo --source clip.mp4",
        "instore-edge demo --source rtsp://192.0.2.10/stream --seconds 60",
    ]
    # Not the installed configuration: it withholds small counts and its windows outlast the scene.
    add_common(parser, examples, log_level="error", default_config=False)
    parser.add_argument(
        "--source",
        help="camera number, URL, video file or folder of pictures (default: a scene composed of portraits)",
    )
    parser.add_argument(
        "--broker",
        metavar="URL",
        help="mqtt://host[:port] or mqtts://host[:port]; the rest comes from [mqtt] in the configuration "
        "(default: start a broker for the demo)",
    )
    parser.add_argument(
        "--seconds",
        type=_seconds,
        help=f"stop after this long (default: at the recording's end; {LIVE_SECONDS:g} for a camera)",
    )
    parser.set_defaults(command=_command)


def _command(arguments: argparse.Namespace) -> int:
    return demo(
        source=arguments.source,
        broker=arguments.broker,
        seconds=arguments.seconds,
        overrides=arguments.set,
        config=arguments.config,
        stop=stop_on_signals(),
    )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= 86_400:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of seconds above 0 and at most 86400, a day"
        )
    return seconds


def demo(
    *,
    source: str | None,
    broker: str | None,
    seconds: float | None,
    config: Path | None,
    overrides: Sequence[str],
    stop: threading.Event,
) -> int:
    """Run the demo until the scene ends, `seconds` have passed or `stop` is set; returns the exit status.

    source: None for the composed scene. broker: None to start one. Relative paths in `config` start from its
    folder; without it environment variables set no key. Raises ConfigurationError and OutsideError as the
    daemon does.
    """
    from edge.capture import is_live
    from edge.commands.demo.broker import start_broker
    from edge.commands.demo.show import Show
    from edge.commands.demo.sources import named_broker, named_camera, own_broker

    clock = SystemClock()
    beside = config.parent if config else Path.cwd()
    with tempfile.TemporaryDirectory(prefix="instore-demo-") as name, ExitStack() as stack:
        folder = Path(name)
        scene = _scene(folder) if source is None else None
        camera = scene.camera if scene else named_camera(source or "", folder)
        own = stack.enter_context(start_broker(folder)) if broker is None else None
        mqtt = own_broker(own) if own else named_broker(broker or "", folder)
        variables = os.environ if config else {}
        settings = load_settings(config, overrides, _tables(camera, mqtt, folder), DEFAULTS, variables)
        _require_recording(settings.cameras[0], beside, clock)
        if own is None:
            _require_broker(settings, beside, clock)
        limit = seconds or (LIVE_SECONDS if is_live(settings.cameras[0]) else None)
        kind = own.kind if own else settings.mqtt.address
        truth = scene if limit is None else None
        start = _first_view(settings, kind, limit, truth.visitors if truth else None, composed=bool(scene))
        return Show(settings, beside, start, clock, truth.passages if truth else {}).run(stop, limit)


def _tables(camera: dict[str, Any], mqtt: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What the demo sets whatever the user's configuration says.

    The outbox and the port are its own, because a daemon may use those of the configuration.
    """
    outbox, metrics = {"directory": str(folder)}, {"port": 0}
    return {"site": "demo", "cameras": [camera], "mqtt": mqtt, "outbox": outbox, "metrics": metrics}


def _first_view(
    settings: Settings, broker: str, limit: float | None, expected: int | None, *, composed: bool
) -> ViewState:
    from edge.commands.demo.view import COMPOSED_NOTICE, PRIVACY_NOTICE, ViewState

    notices = [COMPOSED_NOTICE] if composed else []
    if settings.privacy.minimum == 1:
        notices.append(PRIVACY_NOTICE)
    return ViewState(
        notices=notices,
        brackets=settings.windows.brackets,
        broker=broker,
        seconds=limit,
        expected=expected,
    )


@dataclass(frozen=True, slots=True)
class _Played:
    """The camera that plays the composed scene, and what is true of it. passages: by line."""

    camera: dict[str, Any]
    visitors: int
    passages: dict[str, Passages]


def _scene(folder: Path) -> _Played:
    """Write the scene's clip."""
    from edge.commands.demo.line_zone import LINE, ZONE, passages
    from edge.commands.demo.scene import Scene, write_clip

    scene, clip = Scene(), folder / "scene.mp4"
    with progress_bars("%") as progress:
        visitors = write_clip(
            scene, clip, progress=lambda share: progress("composing the scene", 100 * share, 100)
        )
    camera = {"name": "scene", "source": str(clip), "lines": [LINE], "zones": [ZONE]}
    return _Played(camera, visitors, {LINE["name"]: passages(scene.visits)})


def _require_broker(settings: Settings, beside: Path, clock: Clock) -> None:
    """Raises BrokerError on a broker that is not reached: nothing would be shown, and a clip never end."""
    from edge.delivery import probe

    result = probe(settings.mqtt, f"{settings.box}-demo", clock=clock, secrets_beside=beside)
    if not result.connected:
        raise BrokerError(f"{settings.mqtt.address}: {result.reason}")


def _require_recording(camera: CameraSettings, beside: Path, clock: Clock) -> None:
    """Raises SourceError on a recording that cannot be read. A camera may recover; a broken file cannot."""
    from edge.capture import is_live, open_source

    if not is_live(camera):
        open_source(camera, beside, clock).close()
