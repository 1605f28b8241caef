"""`instore-training compare`: compares two model bundles on the same faces."""

from __future__ import annotations

import argparse
import sys

from training.commands.options import add_data, add_judging, chosen_brackets, describe, named_folder


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    describe(
        parser,
        "Compare two model bundles on the same faces, and say which one is better beyond chance: "
        "simultaneous 95 % intervals of the differences, from a paired bootstrap.",
        "instore-training compare builtin runs/bundle faces",
    )
    parser.add_argument("a", metavar="BUNDLE", help="folder of a bundle, or builtin")
    parser.add_argument("b", metavar="BUNDLE", help="the other bundle")
    add_data(parser, several=True)
    add_judging(parser)
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> None:
    """Compare the bundles, and print the figures and the verdict."""
    from edge.bundle import load_bundle
    from edge.ops.terminal import progress_bars
    from training.evaluation.command import Request, run_compare
    from training.evaluation.evaluate import Options

    a, b = (load_bundle(named_folder(name)) for name in (arguments.a, arguments.b))
    options = Options(chosen_brackets(arguments), arguments.seed)
    request = Request(arguments.data, arguments.split, arguments.cache, options, arguments.json)
    with progress_bars(keep=True) as progress:
        figures = run_compare(a, b, request, progress)
    print(figures, file=sys.stderr if arguments.json == "-" else sys.stdout)
