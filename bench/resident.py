"""The memory of this process; imports nothing of the project, so that peers can use it as well."""

from __future__ import annotations

import resource
from pathlib import Path


def resident_mb() -> float:
    """Resident memory of this process in megabytes (10^6 bytes)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6
