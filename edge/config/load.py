"""From a TOML file and overrides to validated settings."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edge.config.environment import set_by_environment
from edge.config.settings import Settings
from edge.config.toml import laid_over, named, override, read_toml
from edge.config.validation_errors import faults
from edge.errors import ConfigurationError


def load_settings(
    path: Path | None,
    overrides: Sequence[str] = (),
    instead: Mapping[str, Any] | None = None,
    beneath: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Read a configuration file, if any, put `instead` over it and `beneath` under it, override, validate.

    Tables are merged key by key, other values are replaced as a whole. environment: variables that set keys,
    over the file and under `instead`. overrides: `KEY=VALUE` each, over all, the last one wins. Raises
    ConfigurationError with one line for each fault.
    """
    name, variables = named(path) if path else "configuration", dict[str, str]()
    try:
        table = laid_over(beneath or {}, read_toml(path) if path else {})
        variables = set_by_environment(table, environment or {})
        table = laid_over(table, instead or {})
        for assignment in overrides:
            override(table, assignment, example="privacy.minimum=1")
        return Settings.model_validate(table)
    except ValidationError as error:
        raise ConfigurationError(faults(error, Settings, name, variables)) from None
    except RecursionError:
        raise ConfigurationError(f"{name}: tables or lists are nested too deeply") from None


def state_directory(settings: Settings, beside: Path = Path()) -> Path:
    """The folder of the outbox: configured, else systemd's `$STATE_DIRECTORY`, else in the user's home.

    beside: the folder of the configuration file, to which a configured relative path is relative.
    """
    if settings.outbox.directory:
        return beside / settings.outbox.directory
    if state := os.environ.get("STATE_DIRECTORY"):
        return Path(state.partition(":")[0])
    if home := os.environ.get("XDG_STATE_HOME"):
        return Path(home) / "instore"
    try:
        return Path.home() / ".local" / "state" / "instore"
    except RuntimeError:  # $HOME is not set, and this user has no entry in the password database
        raise ConfigurationError(
            "outbox.directory = '': this user has no home folder; allowed: a folder that it may write to"
        ) from None
