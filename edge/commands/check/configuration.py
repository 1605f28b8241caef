"""Is the configuration as it was meant? Whether it is valid was decided before."""

from __future__ import annotations

from pathlib import Path

from edge.commands.check.verdict import Warn
from edge.config import Settings, blanks_in_secrets


def check_configuration(settings: Settings, folder: Path) -> str:
    """Raises `Warn` where a secret begins or ends with blanks."""
    if blanks := blanks_in_secrets(settings, folder):
        raise Warn("; ".join(blanks))
    return f"valid; site {settings.site.name}, box {settings.box}"
