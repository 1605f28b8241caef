"""`instore-edge replay`: recordings through the stages of the daemon, one after another."""

from __future__ import annotations

import argparse
import logging
import sys
from datetime import UTC, datetime

from edge.clock import SystemClock
from edge.commands.options import add_common, config_folder
from edge.commands.recordings import add_clips, load_recordings
from edge.errors import SourceError
from edge.ops.terminal import progress_bars
from edge.store_time import YEARS

log = logging.getLogger(__name__)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    examples = [
        "instore-edge replay entrance.mp4 --set privacy.minimum=1",
        "instore-edge replay entrance.mp4 till.mp4 --start 2026-01-31T08:00:00Z > windows.jsonl",
    ]
    add_common(parser, examples)
    add_clips(parser)
    parser.add_argument(
        "--start",
        type=_moment,
        metavar="TIME",
        default=datetime(1970, 1, 1, tzinfo=UTC),
        help="when each recording begins (default: 1970-01-01T00:00:00Z)",
    )
    parser.set_defaults(command=_command)


def _command(arguments: argparse.Namespace) -> int:
    from edge.commands.replay_driver import age_model, replay  # their libraries take a second to load

    settings, folder = load_recordings(arguments), config_folder(arguments)
    faults: list[SourceError] = []
    with age_model(settings, folder) as (bundle, backend), progress_bars("s") as progress:
        messages = replay(
            settings,
            bundle,
            backend,
            beside=folder,
            clock=SystemClock(),
            start=arguments.start,
            on_frame=progress,
            on_fault=faults.append,
        )
        for message in messages:
            sys.stdout.write(message.decode() + "\n")
            sys.stdout.flush()
    for fault in faults:
        log.error("%s", fault)
    return 1 if faults else 0


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or moment.year not in YEARS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time with a time zone in one of the years {YEARS[0]} to {YEARS[-1]}; "
            "an example is 2026-01-31T08:00:00Z"
        )
    return moment.astimezone(UTC)
