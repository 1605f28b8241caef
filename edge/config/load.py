"""From a TOML file and overrides to validated settings."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edge.config.environment import set_by_environment
from edge.config.settings import Settings
from edge.config.tables.layers import Layer, Place, Stack, read_layers
from edge.config.tables.lines import Key
from edge.config.tables.toml import laid_over, named, override
from edge.config.validation_errors import faults
from edge.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Loaded:
    """Valid settings, and where each key was set."""

    settings: Settings
    _origins: Origins

    def origin(self, key: Key) -> str:
        """A line of a file, a variable or an option; empty for a default."""
        place = self._origins.place(key)
        return str(place) if place is not None and place.exact else ""


class Origins:
    """Where each key is set: by the command line, by a variable, or in which line of which file."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._given: dict[Key, str] = {}

    def give(self, key: Key, name: str) -> None:
        """A variable or an option of this name sets the key; the last one given wins."""
        self._given[key] = name

    def place(self, key: Key) -> Place | None:
        """Of the key itself, or else of the closest table around it."""
        for length in range(len(key), 0, -1):
            if name := self._given.get(key[:length]):
                return Place(name, None, exact=True)
        return self._stack.place(key)


def load_settings(
    path: Path | None,
    overrides: Sequence[str] = (),
    instead: Mapping[str, Any] | None = None,
    beneath: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Read a configuration file, if any, and `conf.d` beside it; put `instead` over them and `beneath` under
    them, override, validate.

    `edge.config.tables.layers` has the rule for files over each other. In `instead` and `beneath` tables are
    merged key by key, other values are replaced as a whole. environment: variables that set keys, over the
    files and under `instead`. overrides: `KEY=VALUE` each, over all, the last one wins. Raises
    ConfigurationError with one line for each fault.
    """
    return load(path, overrides, instead, beneath, environment).settings


def load(
    path: Path | None,
    overrides: Sequence[str] = (),
    instead: Mapping[str, Any] | None = None,
    beneath: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    *,
    drafts: Mapping[Path, str] | None = None,
) -> Loaded:
    """As `load_settings`, with where each key was set. drafts: as of `read_layers`."""
    name = named(path) if path else "configuration"
    try:
        files = read_layers(path, drafts) if path else []
        given = [Layer(name, instead)] if instead else []
        origins = Origins(Stack([*files, *given]))
        table = laid_over(beneath or {}, Stack(files).merged())
        for key, variable in set_by_environment(table, environment or {}).items():
            origins.give(key, variable)
        table = laid_over(table, instead or {})
        for assignment in overrides:
            option, key = override(table, assignment, example="privacy.minimum=1")
            origins.give(key, option)
        return Loaded(Settings.model_validate(table), origins)
    except ValidationError as error:
        raise ConfigurationError(faults(error, Settings, name, origins.place)) from None
    except RecursionError:
        raise ConfigurationError(f"{name}: tables or lists are nested too deeply") from None


def state_directory(settings: Settings, beside: Path = Path()) -> Path:
    """The folder of the outbox: configured, else systemd's `$STATE_DIRECTORY`, else in the user's home.

    beside: the folder of the configuration file, to which a configured relative path is relative. Raises
    ConfigurationError where none is configured and this user has no home folder.
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
