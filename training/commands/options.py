"""Options that several commands take, and what their values become."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from edge.brackets import Bracket, parse_brackets
from edge.errors import ConfigurationError

if TYPE_CHECKING:
    from edge.bundle import Manifest

CACHE = Path("runs/cache")
"""Where the results of looking at pictures are kept, unless a command is given another folder."""

MOST_SEED = 2**32 - 1
"""Keras and numpy take no larger one."""


class Help(argparse.HelpFormatter):
    """Wraps all text except the examples."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith("example") else super()._fill_text(text, width, indent)


def describe(parser: argparse.ArgumentParser, description: str, example: str) -> None:
    """Set the help of a command: its description, and an example below the options."""
    parser.description = description
    parser.epilog = f"example:\n  {example}\n"
    parser.formatter_class = Help


def add_data(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """Add the folder of labelled faces, or several of them."""
    if several:
        text = "folder of labelled faces; of several, figures of all and of each"
        parser.add_argument("data", type=Path, nargs="+", metavar="DATA", help=text)
        return
    parser.add_argument("data", type=Path, metavar="DATA", help="folder of labelled faces")


def add_config(parser: argparse.ArgumentParser, assignment: str) -> None:
    """Add the configuration file and `--set`; `assignment` is the example of an override."""
    parser.add_argument(
        "config", type=Path, metavar="CONFIG", help="configuration in TOML; see training/configs"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="overrides",
        metavar="KEY=VALUE",
        help=f"override a key of the configuration, such as {assignment}; may be given several times",
    )


def add_cache(parser: argparse.ArgumentParser) -> None:
    """Add `--cache`."""
    parser.add_argument(
        "--cache",
        type=Path,
        default=CACHE,
        help="folder for detected faces and crops, so that they are made once (default: %(default)s)",
    )


def add_seed(parser: argparse.ArgumentParser, use: str) -> None:
    """Add `--seed`; `use` says what follows from it."""
    parser.add_argument("--seed", type=_seed, default=0, help=f"{use} (default: %(default)s)")


def add_brackets(parser: argparse.ArgumentParser) -> None:
    """Add `--brackets`."""
    parser.add_argument(
        "--brackets",
        nargs="+",
        metavar="BRACKET",
        help="age brackets for the figures, such as 0-17 18+ (default: the age groups of the data, "
        "otherwise the daemon's brackets)",
    )


def add_measured_on(parser: argparse.ArgumentParser) -> None:
    """Add the options of the commands that make a bundle and measure it."""
    parser.add_argument(
        "--also", type=Path, nargs="+", default=[], metavar="DATA", help="more data to measure the bundle on"
    )
    parser.add_argument(
        "--against", nargs="+", default=[], metavar="BUNDLE", help="bundles to compare with in the model card"
    )
    add_brackets(parser)


def add_judging(parser: argparse.ArgumentParser) -> None:
    """Add the options of the commands that measure bundles on faces."""
    parser.add_argument("--json", help="write the figures to this file; - is the standard output")
    parser.add_argument(
        "--split",
        choices=("test", "validation", "train", "all"),
        help="part of the data to measure on (default: test where a bundle was trained on these data, "
        "otherwise all)",
    )
    add_brackets(parser)
    add_seed(parser, "seed of the bootstrap samples")
    add_cache(parser)


def chosen_brackets(arguments: argparse.Namespace) -> tuple[Bracket, ...] | None:
    """The brackets of `--brackets`; None where it is not given. Raises ConfigurationError."""
    try:
        return tuple(parse_brackets(arguments.brackets)) if arguments.brackets else None
    except ValueError as error:
        raise ConfigurationError(f"--brackets {' '.join(arguments.brackets)}: {error}") from error


def named_folder(name: str) -> Path:
    """The folder of a bundle, relative to the current one, or of the built-in bundle."""
    from edge.bundle import bundle_folder

    return bundle_folder(name, Path())


def made(out: Path, manifest: Manifest) -> str:
    """The line that reports a new bundle."""
    return f"{out}: {manifest.name} {manifest.version}, {manifest.input.size} px; see MODEL_CARD.md"


def whole_number(least: int) -> Callable[[str], int]:
    """A type of options: whole numbers from `least` on."""

    def parse(text: str) -> int:
        if text.isdecimal() and int(text) >= least:
            return int(text)
        raise argparse.ArgumentTypeError(f"{text}: not a whole number of at least {least}")

    return parse


def _seed(text: str) -> int:
    if text.isdecimal() and int(text) <= MOST_SEED:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text}: not a whole number from 0 to {MOST_SEED}")


def load_keras() -> None:
    """Import Keras without the lines that TensorFlow writes regardless of its log level."""
    from training.dataset.looks import native_silence

    with native_silence():
        import keras  # noqa: F401 - for its effect
