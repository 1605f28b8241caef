"""The process's memory: given back when start-up has used it once (glibc only), never dumped to the disk."""

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
    """Let all threads share two heaps; call it before there are threads.

    glibc gives each thread one of its own by default, up to eight for each core, and none of them shrinks: 10
    to 30 MB for one camera.
    """
    if libc := _libc():
        libc.mallopt(_M_ARENA_MAX, _ARENAS)


def trim() -> None:
    """Give free memory back to the system: loading the models leaves about 35 MB of it."""
    if libc := _libc():
        libc.malloc_trim(0)


def forbid_core_dumps() -> None:
    """Let no crash write the memory to a disk: it holds pictures. systemd-coredump heeds the limit too."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
