"""A crash leaves no core, and nobody else reads the memory."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import weakref
from pathlib import Path

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
