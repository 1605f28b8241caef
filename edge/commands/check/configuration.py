"""Is the configuration as it was meant? Whether it is valid was decided before."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edge.commands.check.verdict import Warn
from edge.config import Settings, blanks_in_secrets
from edge.config.environment import ignored


def check_configuration(settings: Settings, folder: Path, environment: Mapping[str, str]) -> str:
    """Raises `Warn` where a secret begins or ends with blanks, or a variable looks like a key and is none."""
    unknown = [f"{name}: ignored, because it names no key" for name in ignored(environment)]
    if warnings := blanks_in_secrets(settings, folder) + unknown:
        raise Warn("; ".join(warnings))
    return f"valid; site {settings.site.name}, box {settings.box}"
