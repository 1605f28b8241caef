"""The memory of the process: returned to the system after start-up (glibc only), never dumped to disk."""

from __future__ import annotations

import ctypes
import resource
from functools import cache

_M_ARENA_MAX = -8  # malloc.h
_ARENAS = 2


@cache
def _libc() -> ctypes.CDLL | None:
    library = ctypes.CDLL(None)
    return library if hasattr(library, "malloc_trim") and hasattr(library, "mallopt") else None


def limit_arenas() -> None:
    """Let all threads share two heaps; call it before any thread starts.

    By default glibc makes one heap for each thread, up to eight for each core, and none of them shrinks: that
    costs 10 to 30 MB with one camera.
    """
    if libc := _libc():
        libc.mallopt(_M_ARENA_MAX, _ARENAS)


def trim() -> None:
    """Return free memory to the system: about 35 MB after the models were loaded."""
    if libc := _libc():
        libc.malloc_trim(0)


def forbid_core_dumps() -> None:
    """Disable core dumps, also those of systemd-coredump: memory holds pictures."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
