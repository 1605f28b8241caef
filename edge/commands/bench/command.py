"""`instore-edge bench`: measures how long each stage takes on recordings."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from edge.clock import SystemClock
from edge.commands.options import add_common, add_json, config_folder
from edge.commands.recordings import add_clips, load_recordings
from edge.ops.terminal import Progress, progress_bars

if TYPE_CHECKING:
    from edge.commands.bench.stage_times import ClipTimes


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    examples = [
        "instore-edge bench entrance.mp4",
        "instore-edge bench entrance.mp4 --set cameras.entrance.tile=0",
    ]
    add_common(parser, examples)
    add_clips(parser)
    add_json(parser)
    parser.set_defaults(command=_command)


def _command(arguments: argparse.Namespace) -> int:
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
