"""What a new configuration changes in a running daemon, and which keys need a restart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from edge.config import CameraSettings, Settings
from edge.config.validation_errors import faults
from edge.errors import ConfigurationError

FIXED = (
    *("site", "box", "windows.length", "model", "detection.engine"),
    *("mqtt", "home_assistant", "webhook", "outbox", "history", "metrics", "web"),
)
"""Keys that need a restart: the names of topics and windows, and what is opened once."""

VISION = ("detection", "tracking", "attention", "groups", "missed", "crops")
"""Tables that the vision of every camera depends on."""


COUNTING = ("zone", "group", "ages")
"""What concerns a camera's counts and not its pictures."""


@dataclass(frozen=True, slots=True)
class Change:
    """The difference between two configurations.

    settings: in force afterwards. gone, changed and new: names of cameras; a changed camera gets new threads,
    except where only its zone differs. keys: what differs, such as "zone of entrance" or "privacy.minimum".
    needs_restart: keys whose old values stay in force until then.
    """

    settings: Settings
    gone: tuple[str, ...]
    changed: tuple[str, ...]
    new: tuple[str, ...]
    keys: tuple[str, ...]
    needs_restart: tuple[str, ...]

    def __str__(self) -> str:
        parts = [
            f"{what} {', '.join(names)}"
            for what, names in (
                ("cameras gone:", self.gone),
                ("new cameras:", self.new),
                ("changed:", self.keys),
            )
            if names
        ]
        return "; ".join(parts) or "nothing changed"


def compare(old: Settings, new: Settings) -> Change:
    """What changes when `new` is loaded while `old` is in force.

    Raises ConfigurationError where `new` conflicts with the values that stay until a restart.
    """
    before, after = _table(old), _table(new)
    needs_restart = tuple(key for fixed in FIXED for key in _differences(before, after, fixed))
    in_force = _keep(before, after)
    cameras, wanted = _by_name(old), _by_name(in_force)
    kept = _table(in_force)
    renewed = any(before[section] != kept[section] for section in VISION)
    return Change(
        in_force,
        gone=tuple(name for name in cameras if name not in wanted),
        changed=tuple(n for n in wanted if n in cameras and (renewed or not _same(cameras[n], wanted[n]))),
        new=tuple(name for name in wanted if name not in cameras),
        keys=_changed_keys(old, in_force),
        needs_restart=needs_restart,
    )


def _table(settings: Settings) -> dict[str, Any]:
    return settings.model_dump()


def _keep(before: dict[str, Any], after: dict[str, Any]) -> Settings:
    """The new settings with the old values of the keys that need a restart."""
    table = {**after, **{key: before[key] for key in FIXED if "." not in key}}
    for section, _, name in (key.partition(".") for key in FIXED if "." in key):
        table[section] = {**after[section], name: before[section][name]}
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


def _changed_keys(old: Settings, new: Settings) -> tuple[str, ...]:
    """The keys that differ: those of cameras that stay first, then those of the tables."""
    before, after = _table(old), _table(new)
    cameras, found = _by_name(old), list[str]()
    for name, camera in _by_name(new).items():
        if name in cameras:
            was, now = cameras[name].model_dump(), camera.model_dump()
            found += [f"{key} of {name}" for key in now if was[key] != now[key]]
    tables = [section for section in after if section != "cameras"]
    return (*found, *(key for section in tables for key in _differences(before, after, section)))


def _by_name(settings: Settings) -> dict[str, CameraSettings]:
    return {camera.name: camera for camera in settings.cameras}


def _same(one: CameraSettings, other: CameraSettings) -> bool:
    """Whether a camera's threads may continue: they do not depend on its zone."""
    return one.model_copy(update={key: getattr(other, key) for key in COUNTING}) == other
