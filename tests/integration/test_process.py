"""A kill costs nothing that was closed and seconds of what is open; a stop takes ten seconds at most."""

from __future__ import annotations

import itertools
import json
import random
import threading
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.clock import SystemClock
from edge.commands.replay_driver import replay
from edge.config import load_settings
from edge.daemon.counting_thread import CHECKPOINT
from edge.release.messages import COUNTS
from tests.daemon import Daemon
from tests.fake_broker import SUCCESS, FakeBroker
from tests.fakes import PaintedAges, bundle, painted_vision
from tests.forked_daemon import ForkedDaemon
from tests.integration.scrape import ANALYSED, wait_for_metric
from tests.integration.series import check_series
from tests.mjpeg_server import MjpegServer, jpeg
from tests.mosquitto import Mosquitto, Received, Subscriber, free_port
from tests.painted_daemon import PEOPLE, write_crowd

CAMERAS = ("door", "till")
KILLS, DAYS = 10, 5
"""So many kills on each of so many days; a day is one recording, which is begun anew after every kill."""

VISITS = 15
"""Visitors of each camera on a day."""

LATE = 3.0
"""Seconds that the checkpoint and the first picture may be late by on a busy machine."""


def tables(folder: Path, start: datetime, host: str, port: int) -> dict[str, Any]:
    return {
        "cameras": [
            {
                "name": name,
                "source": str(folder / "crowd"),
                "pace": "full",
                "max_fps": 5.0,
                "start": start,
                "tile": 0,
            }
            for name in CAMERAS
        ],
        "windows": {"length": 1, "lateness": 0.5},
        "tracking": {"lost_after": 0.5},
        "privacy": {"minimum": 1},
        "metrics": {"enabled": False},
        "outbox": {"directory": str(folder / "state")},
        "mqtt": {"host": host, "port": port},
    }


def truth(folder: Path, configured: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The windows of a recording by id, without threads, processes and kills."""
    settings = load_settings(None, instead=configured)
    vision = partial(painted_vision, people=PEOPLE)
    messages = replay(
        settings,
        bundle(),
        PaintedAges(),
        beside=folder,
        clock=SystemClock(),
        start=configured["cameras"][0]["start"],
        make_vision=vision,
    )
    read = [json.loads(message) for message in messages]
    return {message["window_id"]: message for message in read if message["schema"] == COUNTS}


def of(messages: list[Received], camera: str) -> list[dict[str, Any]]:
    return [json.loads(m.payload) for m in messages if m.topic == f"instore/store/{camera}/all/counts"]


def facts(window: dict[str, Any]) -> dict[str, Any]:
    """All but what tells of the run: a cell's last release may be that of the day before."""
    return {key: value for key, value in window.items() if key not in ("sequence", "model", "since")}


def seconds_of_a_day(folder: Path) -> float:
    """How long this machine takes from a start to the last acknowledgement: kills are to come all over it."""
    with Mosquitto(folder / "rehearsal") as broker:
        configured = tables(folder, datetime(2026, 1, 31, 8, tzinfo=UTC), broker.host, broker.port)
        configured["outbox"]["directory"] = str(folder / "rehearsed")
        with ForkedDaemon(folder, configured) as daemon:
            daemon.wait_for_line(lambda line: "model licence" in line)
            begun = time.monotonic()
            assert daemon.wait() == 0, daemon.log
            return time.monotonic() - begun


@pytest.mark.timeout(1800)
def test_after_fifty_kills_every_window_is_there_once_and_right(tmp_path: Path) -> None:
    """At least once, in order per camera, without a gap, and equal to the truth of the recording."""
    rng = random.Random(20260131)
    write_crowd(tmp_path / "crowd", VISITS, frames=5, gap=5)
    expected: dict[str, dict[str, Any]] = {}
    run = seconds_of_a_day(tmp_path)
    with (
        Mosquitto(tmp_path / "broker") as broker,
        Subscriber(broker, "instore/+/+/+/counts") as subscriber,
    ):
        for day in range(DAYS):
            start = datetime(2026, 1, 31, 8, tzinfo=UTC) + timedelta(days=day)
            configured = tables(tmp_path, start, broker.host, broker.port)
            expected |= truth(tmp_path, configured)
            struck = 0
            while struck < KILLS:
                with ForkedDaemon(tmp_path, configured) as daemon:
                    daemon.wait_for_line(lambda line: "model licence" in line)
                    threading.Event().wait(rng.uniform(0.0, run))  # the moment is what is random
                    if daemon.running:
                        struck += 1
                    else:  # it had come to the end before: the machine has become faster
                        run *= 0.9
                    daemon.kill()
            with ForkedDaemon(tmp_path, configured) as daemon:
                assert daemon.wait() == 0, daemon.log
        subscriber.wait_for(lambda m: {json.loads(r.payload)["window_id"] for r in m} == set(expected))

    for camera in CAMERAS:
        delivered = of(subscriber.messages, camera)
        windows = list({window["window_id"]: window for window in delivered}.values())
        check_series(windows, begin_anew=DAYS)
        assert all(facts(window) == facts(expected[window["window_id"]]) for window in delivered)
        assert [w["start"] for w in windows] == sorted(w["start"] for w in windows)
        # Twice is allowed, at the seam of two runs; out of order never.
        assert sum(b["sequence"] < a["sequence"] for a, b in itertools.pairwise(delivered)) <= KILLS * DAYS
    assert sum(window["released"] for window in expected.values()) == len(CAMERAS) * VISITS * DAYS


def test_what_a_kill_lost_is_missing_in_the_coverage_and_no_more(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pictures = [jpeg(rng.integers(60, 200, (48, 64, 3), np.uint8)) for _ in range(7)]
    port, fps, window = free_port(), 10, 5
    with (
        MjpegServer(pictures, every=1 / fps, loop=True) as camera,
        Mosquitto(tmp_path / "broker") as broker,
        Subscriber(broker, "instore/#") as subscriber,
    ):
        configured = {
            "cameras": [{"name": "door", "source": camera.url, "max_fps": fps, "tile": 0}],
            "windows": {"length": window},
            "privacy": {"minimum": 1},
            "metrics": {"port": port},
            "outbox": {"directory": str(tmp_path / "state")},
            "mqtt": {"host": broker.host, "port": broker.port},
        }
        with Daemon(tmp_path, configured, module="tests.painted_daemon") as daemon:
            daemon.wait_for_line(lambda line: "ready" in line)
            wait_for_metric(port, ANALYSED, lambda count: count >= 1.5 * CHECKPOINT * fps)
            killed_at = time.time()
            daemon.kill()
        with Daemon(tmp_path, configured, module="tests.painted_daemon") as daemon:
            daemon.wait_for_line(lambda line: "camera door: up" in line)
            subscriber.wait_for(lambda m: seen_up(m)[-1] > killed_at)
            back_at = seen_up(subscriber.messages)[-1]
            dead = back_at - killed_at
            # The window after the one of the kill: all that was open then is out.
            subscriber.wait_for(lambda m: bool(of(m, "door")) and ended(of(m, "door")[-1]) > back_at + window)
            windows = of(subscriber.messages, "door")
            assert daemon.stop() == 0
    check_series(windows)
    # The first one was begun in the middle; all others were watched but for the kill.
    missing = sum(window - w["coverage"]["seconds"] for w in windows[1:])
    assert dead - 1 < missing < dead + CHECKPOINT + LATE, (dead, windows)


def seen_up(messages: list[Received]) -> list[float]:
    """The times, in seconds of the epoch, since which the camera gave pictures."""
    told = [json.loads(m.payload) for m in messages if m.topic == "instore/store/door/status"]
    return [datetime.fromisoformat(one["since"]).timestamp() for one in told if one["state"] == "up"]


def ended(window: dict[str, Any]) -> float:
    return datetime.fromisoformat(window["end"]).timestamp()


def test_a_stop_ends_within_ten_seconds_whatever_hangs(tmp_path: Path) -> None:
    """The broker acknowledges no window and the camera has stopped in the middle of its stream."""
    write_crowd(tmp_path / "crowd", 4, frames=5, gap=5)
    hanging = [jpeg(np.full((48, 64, 3), 90, np.uint8))]
    with (
        FakeBroker(lambda heard: None if heard.topic.endswith("/counts") else SUCCESS) as broker,
        MjpegServer(hanging, hang=True) as camera,
    ):
        configured = tables(tmp_path, datetime(2026, 1, 31, 8, tzinfo=UTC), broker.host, broker.port)
        configured["cameras"].append({"name": "stuck", "source": camera.url, "read_timeout": 60.0})
        with Daemon(tmp_path, configured, module="tests.painted_daemon") as daemon:
            broker.wait_for(lambda b: len(b.payloads("instore/store/door/all/counts")) >= 3)
            asked_at = time.monotonic()
            assert daemon.stop() == 0
            took = time.monotonic() - asked_at
            assert "messages; they are sent after the next start" in daemon.log
    assert took < 10
