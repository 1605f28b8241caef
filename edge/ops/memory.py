"""The memory of the process: returned to the system after start-up, never dumped to disk."""

from __future__ import annotations

import ctypes
import gc
import os
import resource
from functools import cache

_M_ARENA_MAX = -8  # malloc.h
_ARENAS = 2  # for each core
_MOST_ARENAS = 8  # measured up to four; a container may get less of many cores than it sees
_PR_SET_DUMPABLE = 4  # linux/prctl.h


@cache
def _libc() -> ctypes.CDLL | None:
    library = ctypes.CDLL(None)
    return library if hasattr(library, "malloc_trim") and hasattr(library, "mallopt") else None


def limit_arenas() -> None:
    """Let all threads share two heaps a core, eight at most; call it before any thread starts.

    By default glibc makes one heap for each thread, up to eight for each core, and none of them shrinks. With
    two in all the threads wait for each other, and look for memory in longer lists: on two cores 4 % more
    processor time. Four take up to 9 MB more with one camera, and no more with four cameras
    (`bench/results/tried.md`).
    """
    if libc := _libc():
        libc.mallopt(_M_ARENA_MAX, min(_ARENAS * len(os.sched_getaffinity(0)), _MOST_ARENAS))


def trim() -> None:
    """Return free memory to the system (glibc only): about 35 MB after the models were loaded."""
    if libc := _libc():
        libc.malloc_trim(0)


def settle() -> None:
    """Collect what the start has left, as from now on the collector does by itself, and `trim`.

    All threads wait for it, 30 to 60 ms.
    """
    gc.enable()
    gc.collect()
    trim()


def forbid_core_dumps() -> None:
    """Disable core dumps, also those that are piped to a program: memory holds pictures.

    The limit stops files; the kernel ignores it where the core pattern is a pipe. A process that is not
    dumpable has no core at all, so MADV_DONTDUMP would add nothing. It also hides the memory from other
    processes of the same user: debuggers, and readers of /proc/PID/fd, environ and smaps, need root.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl:  # Linux only
        prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
