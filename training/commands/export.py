"""`instore-training export`: makes a model bundle from a finished run."""

from __future__ import annotations

import argparse
from pathlib import Path

from training.commands.options import (
    add_measured_on,
    chosen_brackets,
    describe,
    load_keras,
    made,
    named_folder,
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    describe(
        parser,
        "Make a model bundle from a finished run. The temperature is fitted on the run's validation part, "
        "the figures are measured on its test part; FP16 and INT8 graphs and the model card are added.",
        "instore-training export runs/ours --out runs/bundle --version 3 --against builtin",
    )
    parser.add_argument("training_run", type=Path, metavar="RUN", help="folder of a finished run")
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundle; must not exist")
    parser.add_argument("--name", default="", help="name of the bundle (default: the run's)")
    parser.add_argument(
        "--version", type=_version, default="1", help="version of the bundle (default: %(default)s)"
    )
    parser.add_argument(
        "--terms",
        default="",
        help="terms of use of the run's data, for the licence (default: as the run's configuration or the "
        "terms.txt of the data has them)",
    )
    parser.add_argument("--credit", default="", help="line that these terms require beside the model")
    parser.add_argument(
        "--commercial-use",
        choices=("allowed", "forbidden", "unknown"),
        default="unknown",
        help="whether these terms let a business use the model (default: %(default)s)",
    )
    parser.add_argument(
        "--data",
        type=Path,
        nargs="+",
        default=[],
        help="folders of the run's data in the order of its configuration, where they have moved",
    )
    add_measured_on(parser)
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> None:
    """Make the bundle."""
    brackets = chosen_brackets(arguments)  # faults show before TensorFlow is loaded
    load_keras()
    from edge.ops.terminal import progress_bars
    from training.export import Plan, export

    plan = Plan(
        run=arguments.training_run,
        out=arguments.out,
        name=arguments.name,
        version=arguments.version,
        terms=arguments.terms,
        credit=arguments.credit,
        commercial_use=arguments.commercial_use,
        data=arguments.data,
        also=arguments.also,
        against=[named_folder(name) for name in arguments.against],
        brackets=brackets,
    )
    with progress_bars(keep=True) as progress:
        manifest = export(plan, progress)
    print(made(arguments.out, manifest))


def _version(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError(f"{text!r}: must not be empty; an example is 1")
    return text
