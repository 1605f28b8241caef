"""`instore-training demo-data`: draws labelled faces to try the commands on."""

from __future__ import annotations

import argparse
from pathlib import Path

from training.commands.options import add_seed, describe, whole_number


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    describe(
        parser,
        "Draw faces that show their age: a data set to try the commands on. A model trained on it is of no "
        "use for photos.",
        "instore-training demo-data --out runs/drawn --count 200",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the pictures; must not exist")
    parser.add_argument(
        "--count", type=whole_number(2), default=400, help="number of pictures (default: %(default)s)"
    )
    add_seed(parser, "seed of the drawings")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> None:
    """Draw the faces."""
    from training.demo_data import write_faces

    write_faces(arguments.out, arguments.count, arguments.seed)
    print(f"{arguments.out}: {arguments.count} drawn faces")
