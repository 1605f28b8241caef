"""Options that every command takes, or several of them."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from edge.config import Settings
from edge.config.environment import CAMERAS
from edge.config.load import Loaded, load
from edge.errors import ConfigurationError
from edge.ops.logs import LEVELS

CONFIG = Path("/etc/instore-edge/config.toml")
"""Where the package installs the configuration."""


def add_common(
    parser: argparse.ArgumentParser,
    examples: Sequence[str],
    *,
    log_level: str | None = "warning",
    default_config: bool = True,
) -> None:
    """Add `--config`, `--set` and `--log-level`, and show `examples` below the help.

    log_level: the default; None for that of the configuration. default_config: use the installed
    configuration where none is given.
    """
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    heading = "example" if len(examples) == 1 else "examples"
    parser.epilog = "\n".join([f"{heading}:", *(f"  {example}" for example in examples)])
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        default=CONFIG if default_config and os.access(CONFIG, os.F_OK) else None,
        help="configuration in TOML, with the files of conf.d beside it; - for standard input "
        f"(default: {f'{CONFIG} where it exists' if default_config else 'none'})",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a key of the configuration, such as privacy.minimum=1 or cameras.entrance.max_fps=5; "
        "may be given several times",
    )
    parser.add_argument(
        "--log-level",
        choices=LEVELS,
        default=log_level,
        help=f"the least severe messages to log (default: {log_level or 'log.level of the configuration'})",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add `--json`."""
    parser.add_argument("--json", action="store_true", help="print the results as JSON")


def read_settings(arguments: argparse.Namespace) -> Settings:
    """The settings by files, environment and `--set`. Raises as `load_configuration`."""
    return load_configuration(arguments).settings


def load_configuration(arguments: argparse.Namespace, drafts: Mapping[Path, str] | None = None) -> Loaded:
    """The settings by files, environment and `--set`, and where each key was set. drafts: as of `load`.

    Raises ConfigurationError, also where no file is given or installed and no variable names the cameras.
    """
    if arguments.config is None and CAMERAS not in os.environ:
        raise ConfigurationError(
            f"--config: no file is given and {CONFIG} does not exist; name a file, or set {CAMERAS}"
        )
    return load(arguments.config, arguments.set, environment=os.environ, drafts=drafts)


def config_folder(arguments: argparse.Namespace) -> Path:
    """The folder where relative paths of the configuration start; the current one without a file."""
    config: Path | None = arguments.config
    return config.parent if config else Path.cwd()
