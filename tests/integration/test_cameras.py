"""Cameras that are absent, refuse, hang, stall or send rubbish: each is named, and none harms another."""

from __future__ import annotations

import json
import random
import shutil
import socket
import threading
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from edge.capture import Camera, LatestFrame, open_source
from edge.clock import SystemClock
from edge.config import CameraSettings
from edge.ops.memory import limit_arenas, trim
from edge.types import CameraState, CameraStatus, Image
from tests.daemon import Daemon
from tests.integration.series import check_series
from tests.mjpeg_server import MjpegServer, jpeg
from tests.mosquitto import Mosquitto, Received, Subscriber, free_port
from tests.painted_daemon import write_crowd
from tests.patience import PATIENCE

WINDOW = 3
RNG = np.random.default_rng(7)


def noise(width: int = 64, height: int = 48) -> Image:
    return RNG.integers(60, 200, (height, width, 3), np.uint8)


MOVING = [jpeg(noise()) for _ in range(5)]


def statuses(messages: list[Received], camera: str) -> list[dict[str, Any]]:
    return [json.loads(m.payload) for m in messages if m.topic == f"instore/store/{camera}/status"]


def counts(messages: list[Received], camera: str) -> list[dict[str, Any]]:
    return [json.loads(m.payload) for m in messages if m.topic == f"instore/store/{camera}/all/counts"]


FAULTS = {
    # What is said of each camera: its state, and words of the reason.
    "absent": ("down", "Connection refused"),
    "refusing": ("down", "check the user name, password and path"),
    "hanging": ("down", "no answer within 1 s"),
    "stalling": ("down", "no frame for 1 s"),
    "corrupt": ("down", "decoded"),
    "frozen": ("frozen", "the same picture for 1 s"),
    "dark": ("dark", "black or one flat tone for 1 s"),
    "unplugged": ("down", "the device does not exist"),
}


def test_every_fault_is_named_and_the_good_cameras_count_on(tmp_path: Path) -> None:
    write_crowd(tmp_path / "crowd", 8, frames=5, gap=10)
    shutil.copytree(tmp_path / "crowd", tmp_path / "vanishing")
    sizes = [jpeg(noise(*size)) for size in ((64, 48), (320, 180), (48, 64), (640, 360)) for _ in range(4)]
    with (
        Mosquitto(tmp_path / "broker") as broker,
        Subscriber(broker, "instore/#") as subscriber,
        socket.create_server(("127.0.0.1", 0)) as silent,
        MjpegServer(MOVING, credentials=("viewer", "right")) as refusing,
        MjpegServer(MOVING, hang=True, every=0.1) as stalling,
        MjpegServer([b"no picture at all"] * 60) as corrupt,
        MjpegServer(MOVING[:1], every=0.1, loop=True) as frozen,
        MjpegServer([jpeg(np.zeros((48, 64, 3), np.uint8))], every=0.1, loop=True) as dark,
        MjpegServer(sizes, every=0.1, loop=True) as changing,
        MjpegServer(MOVING, every=0.1, loop=True) as good,
        MjpegServer(MOVING, every=0.001, loop=True) as fast,
    ):
        sources = {
            "absent": f"http://127.0.0.1:{free_port()}/",
            "refusing": refusing.url,
            "hanging": f"http://127.0.0.1:{silent.getsockname()[1]}/",
            "stalling": stalling.url,
            "corrupt": corrupt.url,
            "frozen": frozen.url,
            "dark": dark.url,
            "unplugged": "/dev/video63",
            "changing": changing.url,
            "good": good.url,
            "fast": fast.url,
        }
        # For the faulty ones alone: on a busy machine a good one may be late, too.
        timeouts = {"open_timeout": 1.0, "read_timeout": 1.0, "frozen_after": 1.0, "dark_after": 1.0}
        recording = {"source": str(tmp_path / "crowd"), "loop": True}
        configured = {
            "cameras": [
                {"name": name, "source": source, "tile": 0, **(timeouts if name in FAULTS else {})}
                for name, source in sources.items()
            ]
            + [{"name": "counting", "tile": 0, **recording}],
            "windows": {"length": WINDOW, "lateness": 0.5},
            "tracking": {"lost_after": 0.5},
            "privacy": {"minimum": 1},
            "metrics": {"enabled": False},
            "outbox": {"directory": str(tmp_path / "state")},
            "mqtt": {"host": broker.host, "port": broker.port},
        }
        with Daemon(tmp_path, configured, module="tests.painted_daemon") as daemon:
            for name, (state, reason) in FAULTS.items():
                subscriber.wait_for(
                    lambda m, name=name, state=state, reason=reason: any(
                        s["state"] == state and reason in s["reason"] for s in statuses(m, name)
                    )
                )
            subscriber.wait_for(lambda m: len(counts(m, "counting")) >= 4)
            assert daemon.stop() == 0
        messages = subscriber.messages

    for name in ("good", "changing", "fast"):
        states = [s["state"] for s in statuses(messages, name)]
        assert states[-2:] == ["up", "down"] and states.count("up") == 1  # its life, no more
        windows = counts(messages, name)
        check_series(windows)
        assert median(w["coverage"]["seconds"] for w in windows[1:]) > 0.8 * WINDOW
    # As many as were asked for, of a thousand a second.
    assert max(w["coverage"]["frames_analysed"] for w in counts(messages, "fast")) <= 11 * WINDOW
    counted = counts(messages, "counting")
    check_series(counted)
    for window in counted[1:-1]:  # one in one and a half seconds, unless the machine was busy
        assert window["released"] <= 3
        assert window["released"] >= 1 or window["coverage"]["frames_dropped"]
    for name in FAULTS:
        covered = [w["coverage"]["seconds"] for w in counts(messages, name)[1:]]
        assert max(covered) < 0.7 * WINDOW, name  # a zero must not look like an outage, nor the other way
        assert all(w["released"] == 0 for w in counts(messages, name))


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
