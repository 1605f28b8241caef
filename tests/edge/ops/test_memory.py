"""A crash leaves no core, and nobody else reads the memory."""

from __future__ import annotations

import ctypes
import gc
import os
import subprocess
import sys
import weakref
from pathlib import Path

import pytest

from edge.ops.memory import settle

PREPARE = "from edge.ops.memory import forbid_core_dumps; forbid_core_dumps();"


def test_a_process_that_crashes_leaves_no_core(tmp_path: Path) -> None:
    done = subprocess.Popen([sys.executable, "-c", PREPARE + "import os; os.abort()"], cwd=tmp_path)
    _, status = os.waitpid(done.pid, 0)
    assert os.WIFSIGNALED(status)
    assert not os.WCOREDUMP(status)
    assert list(tmp_path.iterdir()) == []


def test_the_process_is_not_dumpable() -> None:
    asked = "import ctypes; print(ctypes.CDLL(None).prctl(3))"  # PR_GET_DUMPABLE
    before, after = (
        subprocess.run(
            [sys.executable, "-c", code + asked], capture_output=True, text=True, check=True
        ).stdout
        for code in ("", PREPARE)
    )
    assert (before.strip(), after.strip()) == ("1", "0")


class Cycle:
    def __init__(self) -> None:
        self.itself = self


def test_what_the_start_has_left_is_collected_and_so_is_what_comes_later() -> None:
    gc.disable()
    left = weakref.ref(Cycle())
    assert left() is not None
    settle()
    assert left() is None
    assert gc.isenabled()


HEAPS = """
import ctypes, os, sys, threading
from edge.ops.memory import limit_arenas
os.sched_getaffinity = lambda _: set(range(int(sys.argv[1])))
limit_arenas()
together, held = threading.Barrier(20), []
def hold():
    held.append(bytearray(50_000))
    together.wait()
threads = [threading.Thread(target=hold) for _ in range(20)]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
out = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, out)
libc.fflush(out)
"""


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "malloc_info"), reason="only glibc has heaps that it names"
)
@pytest.mark.parametrize(("cores", "heaps"), [(1, 2), (2, 4), (4, 8), (5, 8), (16, 8)])
def test_all_threads_share_two_heaps_a_core_and_eight_at_most(cores: int, heaps: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HEAPS, str(cores)], capture_output=True, text=True, check=True
    )
    assert done.stdout.count("<heap nr=") == heaps
