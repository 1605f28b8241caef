"""What a new configuration changes in a running daemon, and what it cannot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from edge.config import CameraSettings, Settings
from edge.config.toml import faults
from edge.errors import ConfigurationError

FIXED = ("site", "box", "windows.length", "model", "mqtt", "outbox", "metrics")
"""What holds until the next start: the names of topics and windows, and what is opened once."""

SEEING = ("detection", "tracking", "crops")
"""What every camera's analysis is made with."""


@dataclass(frozen=True, slots=True)
class Change:
    """From one configuration to another.

    settings: those in force afterwards. gone, changed and new: names of cameras; a changed one is made anew,
    but not for its zone alone. needs_restart: keys that stay what they are until then.
    """

    settings: Settings
    gone: tuple[str, ...]
    changed: tuple[str, ...]
    new: tuple[str, ...]
    needs_restart: tuple[str, ...]

    def __str__(self) -> str:
        parts = [
            f"{what} {', '.join(names)}"
            for what, names in (("gone:", self.gone), ("changed:", self.changed), ("new:", self.new))
            if names
        ]
        return "; ".join(parts) or "all cameras as before"


def compare(old: Settings, new: Settings) -> Change:
    """What changes where `new` is loaded while `old` is in force.

    Raises ConfigurationError where `new` is at odds with what holds until the next start.
    """
    before, after = _table(old), _table(new)
    needs_restart = tuple(key for fixed in FIXED for key in _differences(before, after, fixed))
    in_force = _keep(before, after)
    cameras, wanted = _by_name(old), _by_name(in_force)
    renewed = any(before[section] != after[section] for section in SEEING)
    return Change(
        in_force,
        gone=tuple(name for name in cameras if name not in wanted),
        changed=tuple(n for n in wanted if n in cameras and (renewed or not _same(cameras[n], wanted[n]))),
        new=tuple(name for name in wanted if name not in cameras),
        needs_restart=needs_restart,
    )


def _table(settings: Settings) -> dict[str, Any]:
    return settings.model_dump()


def _keep(before: dict[str, Any], after: dict[str, Any]) -> Settings:
    """The new settings, with what is fixed as it was."""
    table = {**after, **{key: before[key] for key in FIXED if "." not in key}}
    table["windows"] = {**after["windows"], "length": before["windows"]["length"]}
    try:
        return Settings.model_validate(table)
    except ValidationError as error:
        raise ConfigurationError(faults(error, Settings, "until a restart")) from None


def _differences(before: dict[str, Any], after: dict[str, Any], key: str) -> list[str]:
    """The keys at or below `key` that differ."""
    section, _, rest = key.partition(".")
    old, new = before[section], after[section]
    if rest:
        return [key] if old[rest] != new[rest] else []
    if isinstance(old, dict):
        return [f"{section}.{name}" for name in old if old[name] != new[name]]
    return [section] if old != new else []


def _by_name(settings: Settings) -> dict[str, CameraSettings]:
    return {camera.name: camera for camera in settings.cameras}


def _same(one: CameraSettings, other: CameraSettings) -> bool:
    """Whether a camera may go on as it is: its zone is no matter of its pictures."""
    return one.model_copy(update={"zone": other.zone}) == other
