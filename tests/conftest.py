"""Options of the whole suite."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from edge.capture.recordings import prepare_opencv
from edge.config import redaction as redact
from edge.ops.log_throttle import LogThrottle

# FFmpeg reads how much it may say at its first use, which may be a test that writes a clip.
prepare_opencv()

# How long an example takes tells of the machine's other work. What must not hang is timed by its own test.
# The same examples in every run; new ones are found with --hypothesis-profile=exploring, and by `make fuzz`.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("exploring", unhurried)
settings.register_profile("instore", unhurried, derandomize=True)
settings.load_profile("instore")


TOGETHER = tuple(
    Path(__file__).parent / name
    for name in (
        "edge/config", "edge/counting", "edge/inference", "edge/release", "edge/vision",
        "integration/test_counts.py", "privacy/test_post_processing.py", "privacy/test_privacy.py",
    )
)  # fmt: skip
"""Tests without deadlines and measurements, which may run beside another test."""


LONGEST = tuple(
    Path(__file__).parent / name
    for name in (
        "integration/test_commands.py", "edge/daemon/test_runtime.py", "integration/test_process.py",
        "edge/web/setup/test_setup_in_browser.py", "edge/commands/test_engine.py",
        "integration/test_places.py", "fleet/test_fleet.py", "edge/web/test_browser.py",
        "bench/test_memory.py", "integration/test_secrets.py", "test_soak.py",
        "integration/test_delivery.py", "privacy/test_silence.py", "privacy/test_pictures.py",
        "integration/test_reload.py", "integration/test_disk.py", "test_golden.py",
        "integration/test_cameras.py", "training/test_silence.py", "training/train/test_loop.py",
        "training/train/test_job.py", "training/train/test_workers.py",
    )
)  # fmt: skip
"""Whoever runs them beside others begins with them: one that comes last is waited for alone."""


def _is_together(path: Path) -> bool:
    return any(place == path or place in path.parents for place in TOGETHER)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A file whose tests `-m` leaves out by this mark is not read, as every worker reads what it collects."""
    wanted = config.getoption("-m").split()
    if collection_path.suffix != ".py" or "together" not in wanted or "or" in wanted:
        return None
    left_out = "not together" in " ".join(wanted)
    return _is_together(collection_path) == left_out or None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    together = {path for path in {item.path for item in items} if _is_together(path)}
    for item in items:
        if item.path in together:
            item.add_marker("together")
    turns = {path: turn for turn, path in enumerate(LONGEST)}
    items.sort(key=lambda item: turns.get(item.path, len(turns)))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write what the golden cases give as what they are expected to give; review the difference",
    )


@pytest.fixture(autouse=True)
def log_of_ones_own() -> Iterator[None]:
    """A command that ran in this process leaves neither its log's level and handlers nor secrets behind."""
    root = logging.getLogger()
    level = root.level
    yield
    redact.forget_secrets()
    root.setLevel(level)
    for handler in [handler for handler in root.handlers if isinstance(handler, LogThrottle)]:
        root.removeHandler(handler)
