"""`instore-training explore`: a report on a data set before a model is trained on it."""

from __future__ import annotations

import argparse
from pathlib import Path

from training.commands.options import add_cache, add_data, add_seed, describe


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    describe(
        parser,
        "Report what a set of labelled faces holds, and list every fault in it. Reads three layouts: "
        "labels.csv beside final_files/, the tables of FairFace, and the file names of UTKFace.",
        "instore-training explore faces --out runs/explored",
    )
    add_data(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder of the report; must not exist")
    add_seed(parser, "seed of the split and of the samples")
    add_cache(parser)
    parser.set_defaults(
        command=run, interrupted=lambda _: "the same command continues where this one stopped"
    )


def run(arguments: argparse.Namespace) -> None:
    """Write the report."""
    from edge.ops.terminal import progress_bars
    from training.explore import explore

    with progress_bars(keep=True) as progress:
        found = explore(
            arguments.data, arguments.out, cache=arguments.cache, seed=arguments.seed, progress=progress
        )
    print(
        f"{arguments.out / 'report.html'}: {len(found.seen):,} of {found.labelled:,} labelled pictures are "
        f"usable; {len(found.faults):,} faults found"
    )
