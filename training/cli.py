"""`instore-training`: parses the command line, runs one command, and returns its exit status.

A command's module has `configure(parser)`, which adds the command's options and sets `command`, a function of
the parsed arguments. Heavy libraries are imported when a command runs, so that help and bad usage need none.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from edge import __version__
from edge.errors import ConfigurationError, InstoreError
from edge.ops.terminal import prepare_streams
from training.commands import compare, convert, demo_data, evaluate, explore, export, opinions, train
from training.commands.options import Help

COMMANDS = {
    "explore": (explore, "report what a data set holds and what is wrong with it"),
    "train": (train, "train an age model from a configuration"),
    "opinions": (opinions, "write the age distributions of other networks, for `train` to learn from"),
    "evaluate": (evaluate, "measure a model bundle on labelled faces"),
    "compare": (compare, "compare two model bundles on the same faces"),
    "export": (export, "make a model bundle from a finished run"),
    "convert": (convert, "make a model bundle from the published backbone"),
    "demo-data": (demo_data, "draw labelled faces to try the commands on"),
}
"""Every command: its module and its summary."""

EXAMPLES = """examples:
  instore-training explore faces --out runs/explored
  instore-training train ours.toml --set loop.epochs=3
  instore-training export runs/ours --out runs/bundle --terms "our own pictures, for our own use"
  instore-training evaluate runs/bundle faces --out runs/evaluated
  instore-training compare builtin runs/bundle faces
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; 0 when done, 2 on bad usage or input and when interrupted, 1 on anything else."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported
    if argv is None:  # a process of its own
        prepare_streams()
    try:
        return _run(argv)
    except InstoreError as error:
        print(f"instore-training: {error}", file=sys.stderr)
        return 2 if isinstance(error, ConfigurationError) else 1


def _run(argv: Sequence[str] | None) -> int:
    try:
        arguments = parser().parse_args(argv)
    finally:  # help ends by SystemExit, and may be what cannot be written
        sys.stdout.flush()
    try:
        with _terminated_as_interrupted():
            arguments.command(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print(f"instore-training: interrupted; {arguments.interrupted(arguments)}", file=sys.stderr)
        return 2
    return 0


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    root = argparse.ArgumentParser(
        prog="instore-training",
        description="Make age models for instore-edge: from labelled faces to a model bundle for the boxes.",
        epilog=EXAMPLES,
        formatter_class=Help,
    )
    root.add_argument("--version", action="version", version=f"instore-training {__version__}")
    root.set_defaults(interrupted=lambda _: "no partial result is left")
    commands = root.add_subparsers(required=True, metavar="COMMAND")
    for name, (module, summary) in COMMANDS.items():
        module.configure(commands.add_parser(name, help=summary))
    return root


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM, which schedulers and `timeout` send, ends a command as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
