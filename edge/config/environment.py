"""Every key as an environment variable: `INSTORE_MQTT__HOST` is `mqtt.host`, `INSTORE_BOX` is `box`.

Two underscores stand for the dot. A camera goes by its name, in capitals and with `_` for what a variable's
name cannot hold, `INSTORE_CAMERAS__BACK_DOOR__MAX_FPS`, or by its number from 0 where no camera has this
name. `INSTORE_CAMERAS` is the whole list, in TOML.

A variable with two underscores that names no key is an error, and so is a key with one underscore where two
belong (`INSTORE_MQTT_HOST`). Others (`INSTORE_VERSION`) are not ours: they are ignored, with a warning.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from edge.config.fields import Section
from edge.config.settings import Settings
from edge.config.tables.lines import Key
from edge.config.tables.toml import put
from edge.errors import ConfigurationError

PREFIX = "INSTORE_"

CAMERAS = f"{PREFIX}CAMERAS"
"""The variable that makes a configuration file unnecessary: all other keys have defaults."""

_OF_KUBERNETES = re.compile(
    PREFIX + r"([A-Z0-9]+_)*(SERVICE_(HOST|PORT(_[A-Z0-9]+)*)|PORT|PORT_[0-9]+_(TCP|UDP|SCTP)(_[A-Z]+)?)"
)
"""What Kubernetes sets in every container beside a service named "instore", or "instore-" and more words."""


def set_by_environment(table: dict[str, Any], environment: Mapping[str, str]) -> dict[Key, str]:
    """Set keys of the tables by variables; returns the variable of each key: ("cameras", 0, "source").

    Variables that are no keys are left out, see `ignored`. Raises ConfigurationError that names the variable.
    """
    named = [name for name, value in environment.items() if name.startswith(PREFIX) and _is_key(name, value)]
    variables: dict[Key, str] = {}
    for name in sorted(named, key=lambda name: (name.count("__"), name)):  # a table before its keys
        variables[put(table, _key(table, name), environment[name], name)] = name
    return variables


def ignored(environment: Mapping[str, str]) -> list[str]:
    """The variables that begin as keys do but set none, such as `INSTORE_VERSION`; none of Kubernetes."""
    ours = [(name, value) for name, value in environment.items() if name.startswith(PREFIX)]
    return sorted(n for n, value in ours if not _is_key(n, value) and not _is_of_kubernetes(n, value))


def _is_key(name: str, value: str) -> bool:
    """Whether a variable was meant as a key, even as an unknown one or with one underscore for the dot."""
    key = name.removeprefix(PREFIX).lower()
    if "__" in key or key in Settings.model_fields:
        return True
    return not _is_of_kubernetes(name, value) and (key.startswith("cameras_") or key in _joined())


def _is_of_kubernetes(name: str, value: str) -> bool:
    """`INSTORE_MQTT_PORT` is a mistake for `INSTORE_MQTT__PORT`, unless its value is an address."""
    mistake = name.removeprefix(PREFIX).lower() in _joined() and "://" not in value
    return bool(_OF_KUBERNETES.fullmatch(name)) and not mistake


@cache
def _joined() -> set[str]:
    """The keys of all tables with one underscore for the dot: `mqtt_host`."""
    tables = {name: field.annotation for name, field in Settings.model_fields.items()}
    return {
        f"{name}_{key}"
        for name, table in tables.items()
        if isinstance(table, type) and issubclass(table, Section)
        for key in table.model_fields
    }


def _key(table: Mapping[str, Any], name: str) -> list[str | int]:
    first, *rest = name.removeprefix(PREFIX).lower().split("__")
    if first not in Settings.model_fields:
        raise ConfigurationError(
            f"{name}: unknown key; allowed: the table and the key with two underscores between them, "
            f"such as {PREFIX}MQTT__HOST for mqtt.host"
        )
    if first == "cameras" and rest:
        return [first, _camera(table.get("cameras"), rest[0], name), *rest[1:]]
    return [first, *rest]


def _camera(cameras: object, part: str, name: str) -> str | int:
    """The number of the camera with this name; the part as it is where there is no such camera."""
    found = [
        number
        for number, camera in enumerate(cameras if isinstance(cameras, list) else [])
        if isinstance(camera, dict) and _as_variable(str(camera.get("name"))) == part
    ]
    if len(found) > 1:
        raise ConfigurationError(f"{name}: several cameras have this name; use a number from 0")
    return found[0] if found else part


def _as_variable(camera: str) -> str:
    return re.sub(r"[^a-z0-9]", "_", camera.lower())
