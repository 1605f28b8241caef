"""What the daemon does not load: every library costs memory and seconds at each start of each box."""

from __future__ import annotations

import subprocess
import sys

import pytest


def loaded_by(module: str) -> set[str]:
    """Top-level modules that importing `module` brings."""
    program = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["edge.daemon.runtime", "edge.commands.replay_driver"])
def test_the_drivers_load_no_library_that_only_other_commands_need(module: str):
    assert not loaded_by(module) & {
        "scipy", "matplotlib", "mediapipe", "amqtt", "rich", "tensorflow", "requests",
    }  # fmt: skip


def test_sighup_is_held_before_anything_large_is_loaded():
    assert not loaded_by("edge.cli") & {"pydantic", "numpy", "cv2"}
