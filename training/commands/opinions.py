"""`instore-training opinions`: age distributions from networks that were trained elsewhere."""

from __future__ import annotations

import argparse
from pathlib import Path

from training.commands.options import add_config, describe, load_keras


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    describe(
        parser,
        "Write the age distribution of each face according to networks that were trained elsewhere. A small "
        "head learns ages from their features; it never judges faces that it learnt from. `train` "
        "learns from the file where teacher.opinions names it.",
        "instore-training opinions training/configs/opinions/others.toml --out runs/opinions.npz",
    )
    add_config(parser, "heads.epochs=20")
    parser.add_argument("--out", type=Path, required=True, help=".npz file to write; must not exist")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> None:
    """Write the file, and print its errors."""
    from training.opinions.settings import load_config

    settings = load_config(arguments.config, arguments.overrides)
    load_keras()
    from edge.ops.terminal import progress_bars
    from training.opinions.opine import opine

    with progress_bars(keep=True) as progress:
        quality = opine(settings, arguments.out, progress)
    print(
        f"{arguments.out}: distributions of {quality.pictures:,} pictures, mean absolute error "
        f"{quality.learnt:.2f} years; {quality.held_out:.2f} years on the validation part"
    )
