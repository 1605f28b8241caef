"""Every key as an environment variable: `INSTORE_MQTT__HOST` is `mqtt.host`, `INSTORE_BOX` is `box`.

Two underscores stand for the dot. A camera goes by its number from 0 or by its name, in capitals and with `_`
for what a variable's name cannot hold: `INSTORE_CAMERAS__BACK_DOOR__MAX_FPS`. `INSTORE_CAMERAS` is the whole
list, in TOML.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from edge.config.settings import Settings
from edge.config.toml import put
from edge.errors import ConfigurationError

PREFIX = "INSTORE_"

CAMERAS = f"{PREFIX}CAMERAS"
"""The variable that makes a configuration file unnecessary: all other keys have defaults."""

_OF_KUBERNETES = re.compile(PREFIX + r"(SERVICE_HOST|(SERVICE_)?PORT(_.*)?)")
"""What Kubernetes sets in every container beside a service that is named "instore"."""


def set_by_environment(table: dict[str, Any], environment: Mapping[str, str]) -> dict[str, str]:
    """Set keys of the tables by variables; returns the variable of each key, such as `cameras.0.source`.

    Raises ConfigurationError that names the variable.
    """
    named = [n for n in environment if n.startswith(PREFIX) and not _OF_KUBERNETES.fullmatch(n)]
    variables = {}
    for name in sorted(named, key=lambda name: (name.count("__"), name)):  # a table before its keys
        key = _key(table, name)
        put(table, key, environment[name], name)
        variables[key] = name
    return variables


def _key(table: Mapping[str, Any], name: str) -> str:
    first, *rest = name.removeprefix(PREFIX).lower().split("__")
    if first not in Settings.model_fields:
        raise ConfigurationError(
            f"{name}: unknown key; allowed: the table and the key with two underscores between them, "
            f"such as {PREFIX}MQTT__HOST for mqtt.host"
        )
    if first == "cameras" and rest:
        rest[0] = _number(table.get("cameras"), rest[0], name)
    return ".".join([first, *rest])


def _number(cameras: object, part: str, name: str) -> str:
    """The number of the camera with this name; the part as it is where there is no such camera."""
    found = [
        number
        for number, camera in enumerate(cameras if isinstance(cameras, list) else [])
        if isinstance(camera, dict) and _as_variable(str(camera.get("name"))) == part
    ]
    if len(found) > 1:
        raise ConfigurationError(f"{name}: several cameras have this name; use a number from 0")
    return str(found[0]) if found else part


def _as_variable(camera: str) -> str:
    return re.sub(r"[^a-z0-9]", "_", camera.lower())
