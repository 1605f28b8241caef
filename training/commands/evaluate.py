"""`instore-training evaluate`: measures a model bundle on labelled faces."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import get_args

from edge.config import Precision
from edge.errors import ConfigurationError
from training.commands.options import add_data, add_judging, chosen_brackets, describe, named_folder


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    describe(
        parser,
        "Measure a model bundle on labelled faces, cropped and classified as a box does it: a report, and "
        "the figures as JSON.",
        "instore-training evaluate runs/bundle faces --out runs/evaluated --json runs/figures.json",
    )
    parser.add_argument("bundle", metavar="BUNDLE", help="folder of a bundle, or builtin")
    add_data(parser, several=True)
    parser.add_argument("--out", type=Path, help="folder of the report; must not exist")
    parser.add_argument(
        "--precision", choices=get_args(Precision), default="fp32", help="graph to run (default: %(default)s)"
    )
    add_judging(parser)
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> None:
    """Measure the bundle, and print the main figures."""
    from edge.bundle import load_bundle
    from edge.ops.terminal import progress_bars
    from training.evaluation.command import Request, run_evaluate
    from training.evaluation.evaluate import Options

    if not arguments.out and not arguments.json:
        raise ConfigurationError("evaluate: nothing to write; give --out DIR, --json FILE or both")
    options = Options(chosen_brackets(arguments), arguments.seed)
    request = Request(arguments.data, arguments.split, arguments.cache, options, arguments.json)
    bundle = load_bundle(named_folder(arguments.bundle))
    with progress_bars(keep=True) as progress:
        figures = run_evaluate(bundle, arguments.precision, request, arguments.out, progress)
    print(figures, file=sys.stderr if arguments.json == "-" else sys.stdout)
