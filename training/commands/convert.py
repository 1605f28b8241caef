"""`instore-training convert`: makes a model bundle from the published backbone."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge.errors import ConfigurationError
from training.commands.options import (
    add_cache,
    add_measured_on,
    add_seed,
    chosen_brackets,
    describe,
    load_keras,
    made,
    named_folder,
)

SIZES = range(64, 513, 16)
"""Input sizes in px; the last layers of a smaller one would see a single point."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    describe(
        parser,
        "Make a model bundle from the published backbone, and measure it.",
        "instore-training convert --backbone backbone --out runs/faceres-deep --data faces",
    )
    parser.add_argument(
        "--backbone", type=Path, required=True, help="folder of the TensorFlow.js graph model"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundle; must not exist")
    parser.add_argument(
        "--size", type=_size, default=160, help="side of the model's input in px (default: %(default)s)"
    )
    parser.add_argument(
        "--data", type=Path, help="folder of labelled faces, to fit the temperature and to measure on"
    )
    add_seed(parser, "seed of the split of --data")
    add_cache(parser)
    add_measured_on(parser)
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> None:
    """Make the bundle."""
    from edge.ops.terminal import progress_bars
    from training.convert import Plan, convert

    if (arguments.also or arguments.against) and not arguments.data:
        raise ConfigurationError("--also, --against: these options need --data")
    plan = Plan(
        backbone=arguments.backbone,
        out=arguments.out,
        size=arguments.size,
        data=arguments.data,
        also=arguments.also,
        against=[named_folder(name) for name in arguments.against],
        brackets=chosen_brackets(arguments),
        cache=arguments.cache,
        seed=arguments.seed,
    )
    load_keras()
    with progress_bars(keep=True) as progress:
        manifest = convert(plan, progress)
    print(made(arguments.out, manifest))


def _size(text: str) -> int:
    if text.isdecimal() and int(text) in SIZES:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text}: not a multiple of 16 from {SIZES[0]} to {SIZES[-1]}")
