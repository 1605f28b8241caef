"""Is the configuration as it was meant? Whether it is valid was decided before."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edge.commands.check.verdict import Warn
from edge.config import Settings, blanks_in_secrets
from edge.config.environment import ignored
from edge.vision.track import HIDDEN_FOR


def check_configuration(settings: Settings, folder: Path, environment: Mapping[str, str]) -> str:
    """Raises `Warn` where a secret begins or ends with blanks, a variable looks like a key and is none, or
    windows close before the end of every visit in them is known.
    """
    unknown = [f"{name}: ignored, because it names no key" for name in ignored(environment)]
    if warnings := blanks_in_secrets(settings, folder) + unknown + _early_windows(settings):
        raise Warn("; ".join(warnings))
    return f"valid; site {settings.site.name}, box {settings.box}"


def _early_windows(settings: Settings) -> list[str]:
    lateness, hidden = settings.windows.lateness, HIDDEN_FOR.total_seconds()
    if lateness >= hidden:
        return []
    return [
        f"windows.lateness = {lateness}: a visitor whom somebody nearer hides at a window's end may count in "
        f"the next window; {hidden:g} or more avoids it while the camera gives pictures"
    ]
