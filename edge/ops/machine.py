"""The machine around the program: is its clock right, has its disk room, how does systemd see the service?"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

UNIT = "instore-edge.service"
"""What the service is called."""

_BOOTED = Path("/run/systemd/system")  # there where systemd runs the machine, see sd_booted(3)
_PROPERTIES = ("LoadState", "ActiveState", "SubState", "UnitFileState", "NRestarts", "Result", "StatusText")
_TIME_ERROR = 5  # of adjtimex(2): nobody keeps the clock right
_PATIENCE = 5.0

Show = Callable[[str], Mapping[str, str]]
"""The properties of a unit, by name; empty where there is no systemd."""


def is_clock_kept() -> bool | None:
    """Whether the kernel's clock is kept right by a time server; None where it does not tell.

    adjtimex(2) without anything to adjust: every time daemon keeps the kernel's flag, whichever runs.
    """
    structure = ctypes.create_string_buffer(512)  # struct timex is smaller everywhere; all zeros only asks
    state: int = ctypes.CDLL(None).adjtimex(structure)
    return None if state < 0 else state != _TIME_ERROR


def room(folder: Path) -> int:
    """Bytes that the service may still write there. Raises OSError."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def show_unit(unit: str) -> Mapping[str, str]:
    """What systemd knows of a unit: its states, restarts, and what the service last said of itself."""
    if not _BOOTED.exists():
        return {}
    command = ["systemctl", "show", f"--property={','.join(_PROPERTIES)}", unit]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
