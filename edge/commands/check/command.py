"""`instore-edge check`: tests everything that the daemon depends on, once, and reports each result."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

from edge.clock import Clock, SystemClock
from edge.commands.check.verdict import Live, Status, Verdict, attempt
from edge.commands.options import add_common, add_json, config_folder, read_settings
from edge.config import CameraSettings, Settings
from edge.ops import machine
from edge.ops.terminal import spinner

Tests = dict[str, Callable[[], str]]
"""By what they test; see `edge.commands.check.verdict.attempt` for what one returns and raises."""

COLOURS = {Status.OK: "green", Status.WARNING: "yellow", Status.FAILED: "bold red"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.description = (
        f"{parser.description}\n"
        "The exit status is 0 if nothing failed (a warning is no failure), 2 if the configuration is not\n"
        "valid, and 1 otherwise."
    )
    examples = [
        "instore-edge check",
        "instore-edge check --config config.toml --json",
        "instore-edge check --picture entrance.png",
    ]
    add_common(parser, examples, log_level="error")
    add_json(parser)
    parser.add_argument(
        "--picture",
        type=_picture,
        metavar="FILE",
        help="write a still of each camera with its lines and zones to this .png or .jpg; takes a minute for "
        "each camera. No face is on it: it is the median of the minute, and faces are covered. With several "
        "cameras their names go into the file names",
    )
    parser.set_defaults(command=_command)


def _command(arguments: argparse.Namespace) -> int:
    settings = read_settings(arguments)
    with spinner() as show:
        verdicts = check(settings, config_folder(arguments), on_begin=show, picture=arguments.picture)
    if arguments.json:
        sys.stdout.write(json.dumps([verdict.as_dict() for verdict in verdicts], indent=2) + "\n")
    else:
        render(verdicts)
    return 1 if any(verdict.status is Status.FAILED for verdict in verdicts) else 0


def check(
    settings: Settings,
    folder: Path,
    clock: Clock | None = None,
    *,
    is_synchronised: Callable[[], bool | None] = machine.is_clock_synchronised,
    show_unit: machine.Show = machine.show_unit,
    on_begin: Callable[[str], None] = lambda what: None,
    picture: Path | None = None,
    faces: bool = True,
    live: Live | None = None,
) -> list[Verdict]:
    """Test what the daemon of `settings` depends on, one thing after the other.

    folder: where relative paths of the configuration start. on_begin: called with each thing before its test.
    picture: the file for stills of the cameras; None: none is made. faces: as of `check_camera`.
    live: the daemon in whose process the tests run.
    """
    clock = clock or SystemClock()
    tests = _configuration(settings, folder, clock, faces=faces)
    tests |= _model(settings, folder, clock, live)
    tests |= _receivers(settings, folder, clock, live)
    tests |= _machine(settings, folder, clock, is_synchronised, show_unit)
    if picture is not None:
        tests |= _stills(settings, folder, clock, picture)
    return [_attempt(what, test, on_begin) for what, test in tests.items()]


# What tests is imported where it is used: it loads OpenCV, which `check --help` does not need.


def _configuration(settings: Settings, folder: Path, clock: Clock, *, faces: bool) -> Tests:
    from edge.commands.check.configuration import check_configuration
    from edge.commands.check.privacy import check_privacy, check_site, check_views

    return {
        "configuration": partial(check_configuration, settings, folder, os.environ),
        "site": partial(check_site, settings, clock),
        **_cameras(settings, folder, clock, faces=faces),
        "views": partial(check_views, settings),
        "privacy": partial(check_privacy, settings),
    }


def _model(settings: Settings, folder: Path, clock: Clock, live: Live | None) -> Tests:
    from edge.commands.check.model import check_model, check_terms

    return {
        "model": partial(check_model, settings, folder, clock, live),
        "terms": partial(check_terms, settings, folder),
    }


def _receivers(settings: Settings, folder: Path, clock: Clock, live: Live | None) -> Tests:
    from edge.commands.check.broker import check_broker
    from edge.commands.check.webhook import check_webhook

    tests: Tests = {}
    for number in range(len(settings.mqtt.brokers) if settings.mqtt.enabled else 0):
        name = f"broker {number + 1}" if number else "broker"
        tests[name] = partial(check_broker, settings, folder, clock, number, live)
    if settings.webhook.url:
        tests["webhook"] = partial(check_webhook, settings, folder, clock)
    return tests


def _machine(
    settings: Settings,
    folder: Path,
    clock: Clock,
    is_synchronised: Callable[[], bool | None],
    show_unit: machine.Show,
) -> Tests:
    from edge.commands.check.host import check_clock, check_service
    from edge.commands.check.port import check_port
    from edge.commands.check.state import check_disk, check_outbox

    return {
        "outbox": partial(check_outbox, settings, folder, clock),
        "disk": partial(check_disk, settings, folder),
        "clock": partial(check_clock, clock, is_synchronised),
        "metrics": partial(check_port, settings),
        "service": partial(check_service, show_unit),
    }


def _cameras(settings: Settings, folder: Path, clock: Clock, *, faces: bool) -> Tests:
    """Each camera, and what is drawn on its picture."""
    from edge.commands.check.camera import check_camera
    from edge.vision.setup.words import line_in_words, zone_in_words

    tests: Tests = {}
    for camera in settings.cameras:
        tests[f"camera {camera.name}"] = partial(check_camera, camera, settings, folder, clock, faces=faces)
        for line in camera.lines:
            tests[f"line {line.name} of {camera.name}"] = partial(line_in_words, line)
        for zone in camera.zones:
            tests[f"zone {zone.name} of {camera.name}"] = partial(zone_in_words, zone)
    return tests


def _picture(text: str) -> Path:
    if Path(text).suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise argparse.ArgumentTypeError(f"{text}: must end in .png or .jpg")
    return Path(text)


def _stills(settings: Settings, folder: Path, clock: Clock, picture: Path) -> Tests:
    """A still of each camera; with several, each file has the camera's name."""
    from edge.commands.check.still import check_still
    from edge.vision.setup.still import FaceLikes

    def still(camera: CameraSettings, target: Path) -> str:
        with closing(FaceLikes(camera, settings.detection.engine)) as find:
            return check_still(camera, folder, clock, find, target, likely=find.likely)

    cameras = settings.cameras
    names = (
        [picture] if len(cameras) == 1 else [picture.with_stem(f"{picture.stem}-{c.name}") for c in cameras]
    )
    return {f"picture of {c.name}": partial(still, c, name) for c, name in zip(cameras, names, strict=True)}


def _attempt(what: str, test: Callable[[], str], on_begin: Callable[[str], None]) -> Verdict:
    on_begin(what)
    return attempt(what, test)


def render(verdicts: list[Verdict]) -> None:
    """Print a table on standard output."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("result", "what", "detail"):
        table.add_column(heading, overflow="fold")
    for verdict in verdicts:
        result = f"[{COLOURS[verdict.status]}]{verdict.status}[/]"
        table.add_row(result, verdict.what, escape(verdict.detail))
    Console(highlight=False).print(table)
