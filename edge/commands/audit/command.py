"""`instore-edge audit`: a person counts the visitors of recordings, then the box says how far it is off."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TextIO

from edge.audit.book import FILE, Audit, read_audits
from edge.audit.error import MOST, Sums
from edge.audit.words import as_json, audit_as_json, audit_in_words, in_words
from edge.commands.options import add_common, add_json, config_folder, read_settings
from edge.commands.recordings import add_clips, load_recordings
from edge.errors import ConfigurationError

LONGEST = 9
"""Digits of an answer: Python refuses to read thousands of them."""

TRIES = 3
"""Answers that may be no number before the command ends."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.description = (
        f"{parser.description}\n"
        "The recordings are analysed in memory. For each of them you enter your own count, one on a line,\n"
        "before the box's is shown: count each visitor once who looks towards the camera at some time.\n"
        "Take many short recordings rather than a long one: errors that cancel within one are not seen.\n"
        "Without a recording: the audits that were made on the page of this box (web.audit = true)."
    )
    examples = [
        "instore-edge audit entrance-1.mp4 entrance-2.mp4",
        "instore-edge audit",
        "echo 34 | instore-edge audit entrance.mp4 --json",
    ]
    add_common(parser, examples)
    add_clips(parser, nargs="*")
    add_json(parser)
    parser.set_defaults(command=_command)


def _command(arguments: argparse.Namespace) -> int:
    return _of_recordings(arguments) if arguments.clips else _of_box(arguments)


def _of_box(arguments: argparse.Namespace) -> int:
    """Print what was audited of each camera on the page."""
    from edge.commands.check.state import state_folder  # it loads what reads the outbox

    settings = read_settings(arguments)
    audits = read_audits(state_folder(settings, config_folder(arguments)) / FILE)
    found = {camera.name: audits.get(camera.name, Audit()) for camera in settings.cameras}
    if arguments.json:
        made = {name: audit_as_json(audit) for name, audit in found.items()}
        sys.stdout.write(json.dumps(made, indent=2) + "\n")
    else:
        sys.stdout.writelines(f"{name}: {audit_in_words(audit)}\n" for name, audit in found.items())
    return 0


def _of_recordings(arguments: argparse.Namespace) -> int:
    """Print each round and the error of all; the recordings are analysed before anything is asked."""
    sums = Sums()
    for name, counted in _counts(arguments).items():
        seen = asked(f"Your count of the visitors in {name}: ", sys.stdin, sys.stderr)
        sums = sums.with_round(seen, counted)
        if not arguments.json:
            sys.stdout.write(f"{name}: {seen} by you, {counted} by the box\n")
    if arguments.json:
        sys.stdout.write(json.dumps(as_json(sums), indent=2) + "\n")
    else:
        sys.stdout.write(f"error of the box: {in_words(sums)}\n")
    return 0


def _counts(arguments: argparse.Namespace) -> dict[str, int]:
    """The visitors of each recording. Raises ConfigurationError and SourceError."""
    from edge.clock import SystemClock
    from edge.commands.replay_driver import visitors  # its libraries take a second to load
    from edge.ops.terminal import progress_bars

    settings, folder = load_recordings(arguments), config_folder(arguments)
    with progress_bars("s") as progress:
        return {
            camera.name: visitors(camera, settings, beside=folder, clock=SystemClock(), on_frame=progress)
            for camera in settings.cameras
        }


def asked(question: str, answers: TextIO, show: TextIO) -> int:
    """The number that a person enters, 0 to `MOST`. Raises ConfigurationError where none comes."""
    for _ in range(TRIES):
        show.write(question)
        show.flush()
        line = answers.readline()
        number = line.strip()
        if number.isdecimal() and len(number) <= LONGEST and int(number) <= MOST:
            return int(number)
        show.write(f"{number!r}: is no count; allowed: 0 to {MOST}\n")
        if not line:
            break
    raise ConfigurationError("your count: none was entered; one line for each recording is needed")
