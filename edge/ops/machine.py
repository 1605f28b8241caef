"""Facts about the machine: whether its clock is synchronised, free disk space, the state of the service."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

UNIT = "instore-edge.service"
"""The name of the service."""

_BOOTED = Path("/run/systemd/system")  # exists if systemd is the init system, see sd_booted(3)
_PROPERTIES = ("LoadState", "ActiveState", "SubState", "UnitFileState", "NRestarts", "Result", "StatusText")
_TIME_ERROR = 5  # of adjtimex(2): the clock is not synchronised
_PATIENCE = 5.0

Show = Callable[[str], Mapping[str, str]]
"""Gives the properties of a unit by name; empty without systemd."""


def is_clock_synchronised() -> bool | None:
    """Whether a time daemon synchronises the kernel's clock; None if the kernel does not say.

    Asked with adjtimex(2), which changes nothing here: every time daemon maintains the kernel's flag.
    """
    structure = ctypes.create_string_buffer(512)  # struct timex is smaller everywhere; all zeros only asks
    state: int = ctypes.CDLL(None).adjtimex(structure)
    return None if state < 0 else state != _TIME_ERROR


def free_bytes(folder: Path) -> int:
    """Free bytes on the file system of `folder`, for a user other than root. Raises OSError."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def is_read_only(folder: Path) -> bool:
    """Whether the file system of `folder` is mounted read-only. Raises OSError."""
    return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)


def show_unit(unit: str) -> Mapping[str, str]:
    """What systemd knows of a unit: its states, its restarts and its last status line; {} without systemd."""
    if not _BOOTED.exists():
        return {}
    command = ["systemctl", "show", f"--property={','.join(_PROPERTIES)}", unit]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    return dict(line.split("=", 1) for line in answer.splitlines() if "=" in line)
