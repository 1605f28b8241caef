"""The memory of the process that asks; imports nothing of ours, so that a peer can have it, too."""

from __future__ import annotations

import resource
from pathlib import Path


def resident_mb() -> float:
    """Megabytes (10^6 bytes) of this process that are in memory now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6
