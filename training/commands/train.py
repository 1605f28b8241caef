"""`instore-training train`: trains an age model from a configuration."""

from __future__ import annotations

import argparse
from pathlib import Path

from training.commands.options import add_config, describe, load_keras


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    describe(
        parser,
        "Train an age model from a configuration. The same command continues an interrupted run. "
        "Where TF_CONFIG is set, several workers train one model together.",
        "instore-training train ours.toml --set name=shorter --set loop.epochs=3",
    )
    add_config(parser, "loop.epochs=3")
    parser.set_defaults(command=run, interrupted=_how_to_continue)


def run(arguments: argparse.Namespace) -> None:
    """Train the model, and print its error on the validation part."""
    from training.train.config import load_config

    settings = load_config(arguments.config, arguments.overrides)  # faults show before TensorFlow is loaded

    load_keras()
    from edge.ops.terminal import progress_bars
    from training.train.job import train
    from training.train.workers import is_chief

    with progress_bars(keep=True) as progress:
        folder = train(settings, progress)
    if is_chief():
        print(f"{folder}: {_result(folder)}")


def _result(folder: Path) -> str:
    from training.train.runs import read_info

    info = read_info(folder)
    error = info["validation"].get("mae")
    if error is None:  # merged networks have no error where age groups overlap
        return "done"
    after = f" after epoch {info['best_epoch']} of {info['epochs']}" if info["epochs"] else ""
    return f"mean absolute error on validation {error:.2f} years{after}"


def _how_to_continue(arguments: argparse.Namespace) -> str:
    from training.train.config import load_config

    folder = load_config(arguments.config, arguments.overrides).folder
    return f"the same command continues after the last complete epoch in {folder}"
