"""`instore-edge`: the commands of a store's box."""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import re
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from edge import __version__
from edge.config import Settings, load_settings, state_directory
from edge.config.redaction import is_mistyped_url
from edge.errors import ConfigurationError, InstoreError
from edge.ops.logs import LEVELS, complain, set_up
from edge.ops.memory import forbid_core_dumps

if TYPE_CHECKING:
    from edge.bundle import Bundle
    from edge.inference.backend import AgeBackend

log = logging.getLogger(__name__)

REPLAY_BOX = "(replay)"
"""The box that replays: no clip's camera can bear this name, and no message does."""

PRECISIONS = ("auto", "fp32", "fp16", "int8")

EXAMPLES = """examples:
  instore-edge run --config /etc/instore-edge/config.toml
  instore-edge check --config config.toml --json
  instore-edge replay entrance.mp4 --set privacy.minimum=1
  instore-edge demo --source rtsp://192.0.2.10/stream --seconds 60
  instore-edge engine build --for sm86,sm89 --out engines
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 done, 2 bad usage or configuration, 1 anything else."""
    arguments = parser().parse_args(argv)
    set_up(arguments.log_level)
    forbid_core_dumps()
    fatal = _Fatal()
    for handler in logging.getLogger().handlers:
        handler.addFilter(fatal)
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        return command(arguments)
    except ConfigurationError as error:
        complain(str(error))
        return 2
    except InstoreError as error:
        complain(str(error))
        return 1
    except BrokenPipeError:
        # The reader went away. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 1
    except Exception as error:  # a bug; the interpreter would print it with credentials and all
        if error not in fatal.logged:
            log.critical("this is a bug: %s", error, exc_info=error)
        return 1


class _Fatal(logging.Filter):
    """Lets all pass, and remembers what was logged as fatal: the exception of a thread comes up again."""

    def __init__(self) -> None:
        super().__init__()
        self.logged: list[BaseException | None] = []

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno >= logging.CRITICAL and record.exc_info:
            self.logged.append(record.exc_info[1])
        return True


def reload_on_signal(stop: threading.Event) -> threading.Event:
    """An event that SIGHUP sets; but where the terminal is lost that the daemon was started in, `stop`."""
    reload = threading.Event()
    keeps_on = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # nohup
    interactive = _has_terminal() and not keeps_on

    tell = _teller()

    def hang_up(*_: object) -> None:
        tell(stop if interactive and not _has_terminal() else reload)

    signal.signal(signal.SIGHUP, hang_up)
    return reload


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set, and the loss of the terminal unless nohup keeps it away."""
    stop, tell = threading.Event(), _teller()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if number is not signal.SIGHUP or signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, lambda *_: tell(stop))
    return stop


@cache
def _teller() -> Callable[[threading.Event], None]:
    """Sets events for signal handlers, in a thread.

    A handler runs in the main thread at any moment, also while that holds the lock of the event: `set` would
    wait for it for ever. `SimpleQueue.put` is made for handlers.
    """
    told: SimpleQueue[threading.Event] = SimpleQueue()

    def relay() -> None:
        while True:
            told.get().set()

    threading.Thread(target=relay, name="signals", daemon=True).start()
    return told.put


def _run(arguments: argparse.Namespace) -> int:
    load = partial(load_settings, arguments.config, arguments.set)
    settings = load()
    stop = stop_on_signals()
    reload = reload_on_signal(stop)
    from edge.clock import SystemClock
    from edge.daemon.runtime import Runtime
    from edge.ops.systemd import Systemd

    runtime = Runtime(
        settings,
        beside=_beside(arguments),
        clock=SystemClock(),
        rng=random.Random(),
        systemd=Systemd(),
        load=load,
    )
    status = runtime.run(stop, reload)
    if runtime.hangs:
        # A thread that comes back from OpenCV or TensorRT while Python takes itself down ends it by a signal.
        logging.shutdown()
        os._exit(status)
    return status


def _replay(arguments: argparse.Namespace) -> int:
    from edge.bundle import bundle_folder, load_bundle
    from edge.clock import SystemClock
    from edge.commands.replay import replay
    from edge.ops.terminal import progress_bars

    beside = _beside(arguments)
    settings = load_settings(arguments.config, arguments.set, _recordings(arguments.clips))
    bundle = load_bundle(bundle_folder(settings.model.bundle, beside))
    backend = _open_backend(settings, bundle, beside)
    with progress_bars("s", {}) as advance:
        messages = replay(
            settings,
            bundle,
            backend,
            beside=beside,
            clock=SystemClock(),
            start=arguments.start,
            on_frame=advance,
        )
        for message in messages:
            sys.stdout.write(message.decode() + "\n")
            sys.stdout.flush()
    backend.close()
    return 0


def _recordings(clips: Sequence[Path]) -> dict[str, Any]:
    """The tables of a box with a camera for each clip, named after its file."""
    cameras: list[dict[str, str]] = []
    for clip in clips:
        if not clip.exists():
            shown = "***" if is_mistyped_url(str(clip)) else str(clip)  # a Path makes one `/` of a URL's two
            raise ConfigurationError(f"clip {shown!r}: there is no such file or folder")
        # Up to 64 bytes of a name fit into a topic; what is cut off makes room for the number.
        stem = re.sub(r"[^A-Za-z0-9_.-]", "-", clip.stem)[:56] or "clip"
        taken = sum(camera["name"].partition("~")[0] == stem for camera in cameras)
        # An absolute path: a file named 0 would be taken for a device.
        source = str(clip.absolute())
        cameras.append({"name": f"{stem}~{taken + 1}" if taken else stem, "source": source})
    return {"box": REPLAY_BOX, "cameras": cameras}


def _bench(arguments: argparse.Namespace) -> int:
    from edge.bundle import bundle_folder, load_bundle
    from edge.clock import SystemClock
    from edge.commands.bench import bench, environment, render
    from edge.ops.terminal import progress_bars

    beside = _beside(arguments)
    settings = load_settings(arguments.config, arguments.set, _recordings(arguments.clips))
    bundle = load_bundle(bundle_folder(settings.model.bundle, beside))
    backend = _open_backend(settings, bundle, beside)
    results = []
    try:
        with progress_bars("s", {}) as advance:
            for times in bench(
                settings, bundle, backend, beside=beside, clock=SystemClock(), on_frame=advance
            ):
                results.append(times)
    finally:
        # After Ctrl-C too: what was measured until then.
        if results and arguments.json:
            report = {"environment": environment(), "clips": [times.as_dict() for times in results]}
            sys.stdout.write(json.dumps(report, indent=2) + "\n")
        elif results:
            render(results)
        backend.close()
    return 0


def _open_backend(settings: Settings, bundle: Bundle, beside: Path) -> AgeBackend:
    """The backend that is configured, with the daemon's engines."""
    from edge.inference import open_backend
    from edge.inference.engine_store import EngineStore

    model = settings.model
    engines = EngineStore(state_directory(settings, beside) / "engines", [bundle.folder / "engines"])
    return open_backend(
        model.backend,
        bundle,
        max_batch=model.max_batch,
        threads=model.threads,
        precision=model.precision,
        store=engines,
    )


def _check(arguments: argparse.Namespace) -> int:
    from edge.commands.check import check, render
    from edge.ops.terminal import spinner

    settings = load_settings(arguments.config, arguments.set)
    with spinner() as say:
        verdicts = check(settings, _beside(arguments), on_begin=say)
    if arguments.json:
        sys.stdout.write(json.dumps([verdict.as_dict() for verdict in verdicts], indent=2) + "\n")
    else:
        render(verdicts)
    return 0 if all(verdict.ok for verdict in verdicts) else 1


def _network_policy(arguments: argparse.Namespace) -> int:
    from edge.commands.network_policy import network_policy

    settings = load_settings(arguments.config, arguments.set)
    sys.stdout.write(network_policy(settings, arguments.allow))
    return 0


def _engine_build(arguments: argparse.Namespace) -> int:
    from edge.bundle import bundle_folder, load_bundle
    from edge.commands.engine import build_engines, render
    from edge.inference.engine_store import EngineStore
    from edge.ops.terminal import progress_bars

    beside = _beside(arguments)
    # An engine depends on the model alone: a configuration without cameras will do.
    no_camera = {"cameras": [{"name": "none", "source": "0"}]}
    settings = load_settings(arguments.config, arguments.set, beneath=no_camera)
    bundle = load_bundle(bundle_folder(settings.model.bundle, beside))
    own = state_directory(settings, beside) / "engines"
    # The daemon's own folder is kept small; a chain's holds whatever was asked for.
    store = EngineStore(arguments.out, kept=None, for_others=True) if arguments.out else EngineStore(own)
    with progress_bars("%", {}, others=100) as advance:
        built = build_engines(
            bundle,
            store,
            capabilities=arguments.capabilities,
            precisions=arguments.precision or [settings.model.precision],
            max_batch=settings.model.max_batch,
            on_progress=advance,
        )
    if arguments.json:
        sys.stdout.write(json.dumps([engine.as_dict() for engine in built], indent=2) + "\n")
    else:
        render(built)
    return 0


def _demo(arguments: argparse.Namespace) -> int:
    from edge.commands.demo.command import demo

    return demo(
        source=arguments.source,
        broker=arguments.broker,
        seconds=arguments.seconds,
        overrides=arguments.set,
        config=arguments.config,
        stop=stop_on_signals(),
    )


def _beside(arguments: argparse.Namespace) -> Path:
    """The folder that relative paths of the configuration are looked up in."""
    config: Path | None = arguments.config
    return config.parent if config else Path.cwd()


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: wants a time such as 2026-01-31T08:00:00Z") from None
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r}: wants a time zone, such as 2026-01-31T08:00:00Z")
    return moment.astimezone(UTC)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r}: wants seconds, above 0 and up to a day")
    return seconds


def _capabilities(text: str) -> list[str]:
    names = [name.strip().lower() for name in text.split(",")]
    for name in names:
        if not re.fullmatch(r"sm[0-9]{2,3}", name):
            raise argparse.ArgumentTypeError(f"{name!r}: wants compute capabilities such as sm86,sm89")
    return names


def _precisions(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in PRECISIONS:
            raise argparse.ArgumentTypeError(f"{name!r}: wants some of {', '.join(PRECISIONS)}")
    return names


def parser() -> argparse.ArgumentParser:
    """The commands and their options; the manual page and the shell completion are made from it."""
    root = argparse.ArgumentParser(
        prog="instore-edge",
        description="Anonymous age counts from store cameras over MQTT.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root.add_argument("--version", action="version", version=f"instore-edge {__version__}")
    commands = root.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_run(commands)
    _add_replay(commands)
    _add_check(commands)
    _add_demo(commands)
    _add_bench(commands)
    _add_engine(commands)
    _add_network_policy(commands)
    return root


def _command(
    commands: Any,  # noqa: ANN401 - argparse's own type for subparsers is private
    name: str,
    command: Callable[[argparse.Namespace], int],
    summary: str,
    example: str,
    *,
    config_required: bool = False,
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=summary,
        epilog=f"example:\n  {example}\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=command)
    parser.add_argument(
        "--config", type=Path, metavar="FILE", required=config_required, help="configuration (TOML)"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a key of the configuration, such as privacy.minimum=1 or cameras.entrance.max_fps=5",
    )
    parser.add_argument("--log-level", choices=LEVELS, default="info", help="what to log (default: info)")
    return parser


def _add_run(commands: Any) -> None:  # noqa: ANN401
    _command(
        commands,
        "run",
        _run,
        "Count visitors until stopped: the daemon.",
        "instore-edge run --config config.toml",
        config_required=True,
    )


def _add_replay(commands: Any) -> None:  # noqa: ANN401
    parser = _command(
        commands,
        "replay",
        _replay,
        "Count the visitors of recordings; windows as JSON lines on standard output.",
        "instore-edge replay entrance.mp4 --start 2026-01-31T08:00:00Z --set privacy.minimum=1",
    )
    parser.add_argument(
        "clips", nargs="+", type=Path, metavar="CLIP", help="video file or folder of pictures"
    )
    parser.add_argument(
        "--start",
        type=_moment,
        default=datetime(1970, 1, 1, tzinfo=UTC),
        help="when each recording begins (default: 1970-01-01T00:00:00Z)",
    )
    parser.set_defaults(log_level="warning")


def _add_check(commands: Any) -> None:  # noqa: ANN401
    parser = _command(
        commands,
        "check",
        _check,
        "Try the configuration, each camera, the broker and the model, and say how each fares.",
        "instore-edge check --config config.toml",
        config_required=True,
    )
    parser.add_argument("--json", action="store_true", help="verdicts as JSON, for a machine")
    parser.set_defaults(log_level="error")


def _add_network_policy(commands: Any) -> None:  # noqa: ANN401
    parser = _command(
        commands,
        "network-policy",
        _network_policy,
        "Print a systemd drop-in that lets the service reach its cameras and its broker alone.",
        "instore-edge network-policy --config /etc/instore-edge/config.toml > "
        "/etc/systemd/system/instore-edge.service.d/network.conf",
        config_required=True,
    )
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="NETWORK",
        help="allow another address or network, such as that of Prometheus; may be repeated",
    )
    parser.set_defaults(log_level="error")


def _add_demo(commands: Any) -> None:  # noqa: ANN401
    parser = _command(
        commands,
        "demo",
        _demo,
        "Show everything at work on one machine: broker, daemon, scene and subscriber.",
        "instore-edge demo --source clip.mp4 --seconds 60",
    )
    parser.add_argument("--source", help="camera index, URL, clip or folder (default: a composed scene)")
    parser.add_argument(
        "--broker",
        metavar="URL",
        help="mqtt://host[:port] or mqtts://host[:port]; what it does not say, [mqtt] in --config does "
        "(default: one of its own)",
    )
    parser.add_argument("--seconds", type=_seconds, help="stop after this long (default: at the scene's end)")
    parser.set_defaults(log_level="error")


def _add_bench(commands: Any) -> None:  # noqa: ANN401
    parser = _command(
        commands,
        "bench",
        _bench,
        "Measure how long each stage takes on recordings, in one thread and losing no frame.",
        "instore-edge bench entrance.mp4 --set cameras.entrance.tile=0",
    )
    parser.add_argument(
        "clips", nargs="+", type=Path, metavar="CLIP", help="video file or folder of pictures"
    )
    parser.add_argument("--json", action="store_true", help="the times as JSON, for a machine")
    parser.set_defaults(log_level="warning")


def _add_engine(commands: Any) -> None:  # noqa: ANN401
    summary = "TensorRT engines of the age model: build them here or beforehand."
    engine = commands.add_parser("engine", help=summary, description=summary)
    parser = _command(
        engine.add_subparsers(title="commands", required=True, metavar="COMMAND"),
        "build",
        _engine_build,
        "Compile the age model for this machine's GPU, or for named ones without having any.",
        "instore-edge engine build                               # for the GPU of this machine\n"
        "  instore-edge engine build --for sm86,sm89 --out engines # once for a chain's boxes\n"
        "  instore-edge engine build --for sm86 --precision fp16,int8 --json",
    )
    parser.add_argument(
        "--for",
        dest="capabilities",
        type=_capabilities,
        default=[],
        metavar="SM,...",
        help="GPUs by compute capability, such as sm86 (default: this machine's)",
    )
    parser.add_argument(
        "--precision",
        type=_precisions,
        default=[],
        metavar="NAME,...",
        help=f"some of {', '.join(PRECISIONS)} (default: model.precision)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="where engines go (default: where the daemon keeps its own)",
    )
    parser.add_argument("--json", action="store_true", help="what was built as JSON, for a machine")
    parser.set_defaults(log_level="warning")
