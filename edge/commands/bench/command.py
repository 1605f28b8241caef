"""`instore-edge bench`: measures how long each stage takes on recordings."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from edge.clock import SystemClock
from edge.commands.options import add_common, add_json, config_folder
from edge.commands.recordings import add_clips, load_recordings
from edge.errors import ConfigurationError
from edge.ops.terminal import Progress, progress_bars

if TYPE_CHECKING:
    from edge.commands.bench.stage_times import ClipTimes


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.description = (
        f"{parser.description}\n"
        "With --cameras: how many cameras this box takes, by its own measurement in half a minute. It\n"
        "plays one recording, or a drawn 1080p scene, as several cameras at 5 frames a second; each begins\n"
        "at another place of it. The box takes a number of cameras if 95 % of their frames are decided on\n"
        "within 200 ms and at most one in 200 is dropped. Stop the daemon first: it shares the cores.\n"
        "The drawn scene is MPEG-4, which costs less to decode than a camera's H.264 or H.265, so the box\n"
        "takes fewer real cameras. Better record a busy minute of your own camera, and name that."
    )
    examples = [
        "instore-edge bench entrance.mp4",
        "instore-edge bench --cameras",
        "instore-edge bench --cameras entrance.mp4 --json",
        "instore-edge bench entrance.mp4 --set cameras.entrance.tile=0",
    ]
    add_common(parser, examples)
    add_clips(parser, nargs="*")
    parser.add_argument("--cameras", action="store_true", help="how many cameras this box takes")
    add_json(parser)
    parser.set_defaults(command=_command)


def _command(arguments: argparse.Namespace) -> int:
    if arguments.cameras:
        return _count_cameras(arguments)
    if not arguments.clips:
        raise ConfigurationError("CLIP: none is given; name a recording, or use --cameras")
    return _measure_clips(arguments)


def _count_cameras(arguments: argparse.Namespace) -> int:
    """Print how many cameras this box takes, for each clip."""
    from edge.commands.bench.density import draw, measure  # its libraries take a second to load

    found = []
    with tempfile.TemporaryDirectory(prefix="instore-bench-") as folder, progress_bars() as progress:
        if not arguments.clips:
            arguments.clips = [Path(folder) / "drawn-1080p.mp4"]
            draw(arguments.clips[0], progress)
        settings = load_recordings(arguments)
        for camera in settings.cameras:
            found.append(measure(settings, camera, config_folder(arguments), progress))
    if arguments.json:
        sys.stdout.write(json.dumps([one.as_dict() for one in found], indent=2) + "\n")
    else:
        sys.stdout.writelines(f"{one.in_words()}\n" for one in found)
    return 0


def _measure_clips(arguments: argparse.Namespace) -> int:
    """Print the times of each clip; after an error or Ctrl-C those of the clips measured so far."""
    from edge.commands.bench.environment import environment  # its libraries take a second to load
    from edge.commands.bench.report import render

    results: list[ClipTimes] = []
    try:
        with progress_bars("s") as progress:
            _measure(arguments, results, progress)
    finally:
        if results and arguments.json:
            report = {"environment": environment(), "clips": [times.as_dict() for times in results]}
            sys.stdout.write(json.dumps(report, indent=2) + "\n")
        elif results:
            render(results)
    return 0


def _measure(arguments: argparse.Namespace, results: list[ClipTimes], progress: Progress) -> None:
    """Append the times of each clip to `results` as soon as it is measured."""
    from edge.commands.bench.stage_times import bench
    from edge.commands.replay_driver import age_model

    settings, folder = load_recordings(arguments), config_folder(arguments)
    with age_model(settings, folder) as (bundle, backend):
        clips = bench(settings, bundle, backend, beside=folder, clock=SystemClock(), on_frame=progress)
        for times in clips:
            results.append(times)
