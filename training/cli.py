"""The workstation's command: `instore-training`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from edge.errors import ConfigurationError, InstoreError

CACHE = Path("runs/cache")
"""Where what was seen in pictures is kept, unless a command is told otherwise."""

SIZES = range(64, 513, 16)
"""Input sizes in px; the last layers of a smaller one would see a single point."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; 0 when done, 2 on bad usage or input, 1 on anything else."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported
    arguments = _parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except InstoreError as error:
        _say(f"instore-training: {error}", sys.stderr)
        return 2 if isinstance(error, ConfigurationError) else 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="instore-training", description="Make age models for instore-edge.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    convert = commands.add_parser(
        "convert",
        help="make a model bundle from the published backbone",
        description="Make a model bundle from the published backbone, and measure it.",
    )
    convert.add_argument(
        "--backbone", type=Path, required=True, help="folder of the TensorFlow.js graph model"
    )
    convert.add_argument("--out", type=Path, required=True, help="the bundle to make; must not exist")
    convert.add_argument(
        "--size", type=_size, default=160, help="side of the model's input in px (%(default)s)"
    )
    convert.add_argument("--faces", type=Path, help="crops labelled in years: labels.csv and final_files/")
    convert.add_argument("--sample", type=_count, default=1500, help="faces drawn from them (%(default)s)")
    convert.add_argument("--seed", type=int, default=0, help="of the draw (%(default)s)")
    convert.add_argument(
        "--photos", type=Path, help="photos labelled by age group: labels.csv and final_files/"
    )
    convert.add_argument(
        "--compare",
        type=_size,
        nargs="+",
        default=[],
        metavar="SIZE",
        help="other sizes to measure; wants --faces",
    )
    convert.set_defaults(run=_convert)
    _add_explore(commands)
    return parser


def _add_explore(commands: Any) -> None:  # noqa: ANN401 (argparse gives the type no public name)
    explore = commands.add_parser(
        "explore",
        help="see what a data set holds, and what is wrong with it",
        description="Look at labelled faces: a report to read before a model is trained on them, and a list "
        "of every fault. Reads labels.csv beside final_files/, FairFace's tables, UTKFace's file names.",
    )
    explore.add_argument("data", type=Path, metavar="DATA", help="the folder of labelled faces")
    explore.add_argument("--out", type=Path, required=True, help="the report's folder; must not exist")
    explore.add_argument("--seed", type=int, default=0, help="of the split and the samples (%(default)s)")
    explore.add_argument(
        "--cache", type=Path, default=CACHE, help="keeps what was seen and cut (%(default)s)"
    )
    explore.set_defaults(run=_explore)


def _explore(arguments: argparse.Namespace) -> None:
    from training.explore import explore
    from training.progress import bars

    try:
        with bars() as progress:
            found = explore(
                arguments.data, arguments.out, cache=arguments.cache, seed=arguments.seed, progress=progress
            )
    except KeyboardInterrupt:
        raise InstoreError("interrupted; the same command goes on with what was not seen yet") from None
    _say(
        f"{arguments.out / 'report.html'}: {len(found.seen):,} of {found.labelled:,} labelled pictures are "
        f"usable; {len(found.faults):,} faults found",
        sys.stdout,
    )


def _convert(arguments: argparse.Namespace) -> None:
    from training.convert import Plan, convert

    if arguments.compare and not arguments.faces:
        raise ConfigurationError("--compare: wants --faces to measure on")
    manifest = convert(
        Plan(
            backbone=arguments.backbone,
            out=arguments.out,
            size=arguments.size,
            faces=arguments.faces,
            photos=arguments.photos,
            sample=arguments.sample,
            seed=arguments.seed,
            other_sizes=arguments.compare,
        )
    )
    _say(
        f"{arguments.out}: {manifest.name} {manifest.version}, {manifest.input.size} px, see MODEL_CARD.md",
        sys.stdout,
    )


def _size(text: str) -> int:
    if text.isdigit() and int(text) in SIZES:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r}: wants a multiple of 16 from {SIZES[0]} to {SIZES[-1]}")


def _count(text: str) -> int:
    if text.isdigit() and int(text) >= 2:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r}: wants a number of at least 2")


def _say(text: str, file: TextIO) -> None:
    print(text, file=file)
