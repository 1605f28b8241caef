"""Cameras that are absent, refuse, hang, stall or send rubbish: each is named, and none harms another."""

from __future__ import annotations

import random
import threading
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from edge.capture import Camera, LatestFrame, open_source
from edge.clock import SystemClock
from edge.config import CameraSettings
from edge.ops.memory import limit_arenas, trim
from edge.types import CameraState, CameraStatus
from tests.integration.faulty_cameras import (
    COUNTING,
    FAULTS,
    GOOD,
    WINDOW,
    Published,
    is_named,
    noise,
    run_among_faults,
)
from tests.integration.series import check_series
from tests.mjpeg_server import MjpegServer, jpeg
from tests.patience import PATIENCE


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    """What the daemon published while it ran once among all these cameras."""
    return run_among_faults(tmp_path_factory.mktemp("cameras"))


def test_every_fault_is_named_and_the_good_cameras_count_on(published: Published) -> None:
    assert published.exit_status == 0
    for name in FAULTS:
        assert is_named(published.messages, name), name
    for name in (*GOOD, COUNTING):
        check_series(published.windows(name))


@pytest.mark.parametrize("name", GOOD)
def test_a_good_camera_comes_up_once_and_stays(published: Published, name: str) -> None:
    states = [status["state"] for status in published.statuses(name)]
    assert states[-2:] == ["up", "down"] and states.count("up") == 1  # down at the daemon's end alone


@pytest.mark.parametrize("name", GOOD)
def test_a_good_camera_is_covered_beside_faulty_ones(published: Published, name: str) -> None:
    covered = [window["coverage"]["seconds"] for window in published.windows(name)[1:]]
    assert median(covered) > 0.8 * WINDOW


def test_a_camera_of_a_thousand_pictures_a_second_is_read_at_the_configured_rate(
    published: Published,
) -> None:
    analysed = [window["coverage"]["frames_analysed"] for window in published.windows("fast")]
    assert 0 < max(analysed) <= 11 * WINDOW


def test_visitors_are_counted_beside_faulty_cameras(published: Published) -> None:
    """One visitor in a second and a half, unless the machine was busy."""
    windows = published.windows(COUNTING)[1:-1]
    assert windows
    for window in windows:
        assert window["released"] <= 3
        assert window["released"] >= 1 or window["coverage"]["frames_dropped"]


@pytest.mark.parametrize("name", FAULTS)
def test_the_windows_of_a_faulty_camera_show_the_outage(published: Published, name: str) -> None:
    """Zero visitors because of a fault must not look like zero visitors in view of a good camera."""
    windows = published.windows(name)
    assert max(window["coverage"]["seconds"] for window in windows[1:]) < 0.7 * WINDOW
    assert all(window["released"] == 0 for window in windows)


class Impatient(SystemClock):
    """Nobody waits long on it."""

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return event.wait(min(seconds, 0.001))


def test_a_camera_that_is_opened_and_lost_five_hundred_times_leaves_nothing_behind() -> None:
    """Lost after two pictures, and refused in between: no memory, no thread, no file descriptor."""
    limit_arenas()
    stop, slot = threading.Event(), LatestFrame()
    openings = 0
    measured: list[Any] = []

    def lost(status: CameraStatus) -> None:
        nonlocal openings
        if status.state is CameraState.DOWN:
            openings += 1
            if openings in (100, 600):
                server.wait_until_idle()
                trim()
                measured.append(resources())
            if openings >= 600:
                stop.set()

    big = jpeg(noise(640, 480))
    with MjpegServer([big, big]) as server:
        settings = CameraSettings(
            name="door", source=server.url, open_timeout=PATIENCE, read_timeout=PATIENCE, max_fps=120
        )
        camera = Camera(
            settings,
            partial(open_source, secrets_beside=Path(), clock=Impatient()),
            slot,
            Impatient(),
            rng=random.Random(1),
            on_status=lost,
            on_drop=lambda reason: None,
        )
        camera.run(stop)
    (memory, threads, files), (memory_after, threads_after, files_after) = measured
    assert server.clients >= 590
    assert threads_after <= threads
    assert files_after <= files
    assert memory_after - memory < 5_000_000  # a picture is one million


def resources() -> tuple[int, int, int]:
    """Resident memory in bytes, threads and file descriptors of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    tasks, files = (len(list(Path(f"/proc/self/{kind}").iterdir())) for kind in ("task", "fd"))
    return 4096 * pages, tasks, files
