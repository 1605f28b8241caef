"""A store with cameras that are absent, refuse, hang, stall or send rubbish beside some that are good."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.types import Image
from tests.daemon import Daemon
from tests.mjpeg_server import MjpegServer, jpeg
from tests.mosquitto import Mosquitto, Received, Subscriber, free_port
from tests.painted_daemon import write_crowd

WINDOW = 3
"""Seconds."""

FAULTS = {
    "absent": ("down", "Connection refused"),
    "refusing": ("down", "asks for a user name and password (401)"),
    "hanging": ("down", "no answer within 1 s"),
    "stalling": ("down", "no frame for 1 s"),
    "corrupt": ("down", "decoded"),
    "frozen": ("frozen", "the same picture for 1 s"),
    "dark": ("dark", "black or one flat tone for 1 s"),
    "unplugged": ("down", "the device does not exist"),
}
"""By faulty camera: the state that its status gives, and words of the reason."""

GOOD = ("good", "changing", "fast")
"""Cameras without a fault: a steady one, one whose pictures change their size, one of a thousand a second."""

COUNTING = "counting"
"""The camera that visitors pass: a recording in a loop, one visitor in a second and a half."""

TIMEOUTS = {"open_timeout": 1.0, "read_timeout": 1.0, "frozen_after": 1.0, "dark_after": 1.0}
"""Of the faulty cameras alone: on a busy machine a good one may be late as well."""

RNG = np.random.default_rng(7)


def noise(width: int = 64, height: int = 48) -> Image:
    """A picture of nothing, never the same twice."""
    return RNG.integers(60, 200, (height, width, 3), np.uint8)


@dataclass(frozen=True, slots=True)
class Published:
    """All that the daemon published while it ran among these cameras, and its exit status."""

    messages: list[Received]
    exit_status: int

    def statuses(self, camera: str) -> list[dict[str, Any]]:
        """The camera's states, in order."""
        return read(self.messages, f"{camera}/status")

    def windows(self, camera: str) -> list[dict[str, Any]]:
        """The camera's windows, in order."""
        return read(self.messages, f"{camera}/all/counts")


def read(messages: list[Received], topic: str) -> list[dict[str, Any]]:
    """The messages on one of the store's topics."""
    return [json.loads(m.payload) for m in messages if m.topic == f"instore/store/{topic}"]


def is_named(messages: list[Received], camera: str) -> bool:
    """Whether a status of the faulty camera has given its state and its reason."""
    state, reason = FAULTS[camera]
    return any(s["state"] == state and reason in s["reason"] for s in read(messages, f"{camera}/status"))


def run_among_faults(folder: Path) -> Published:
    """Run the daemon until each fault is named and visitors were counted in four windows."""
    write_crowd(folder / "crowd", 8, frames=5, gap=10)
    with (
        Mosquitto(folder / "broker") as broker,
        Subscriber(broker, "instore/#") as subscriber,
        served() as sources,
        Daemon(folder, configuration(folder, broker, sources), module="tests.painted_daemon") as daemon,
    ):
        for camera in FAULTS:
            subscriber.wait_for(lambda messages, camera=camera: is_named(messages, camera))
        subscriber.wait_for(lambda messages: len(read(messages, f"{COUNTING}/all/counts")) >= 4)
        return Published(subscriber.messages, daemon.stop())


@contextmanager
def served() -> Iterator[dict[str, str]]:
    """The sources of the cameras without visitors, by name; their servers run until the end."""
    moving = [jpeg(noise()) for _ in range(5)]
    sizes = [jpeg(noise(*size)) for size in ((64, 48), (320, 180), (48, 64), (640, 360)) for _ in range(4)]
    black = jpeg(np.zeros((48, 64, 3), np.uint8))
    servers = {
        "refusing": MjpegServer(moving, credentials=("viewer", "right")),
        "stalling": MjpegServer(moving, hang=True, every=0.1),
        "corrupt": MjpegServer([b"no picture at all"] * 60),
        "frozen": MjpegServer(moving[:1], every=0.1, loop=True),
        "dark": MjpegServer([black], every=0.1, loop=True),
        "changing": MjpegServer(sizes, every=0.1, loop=True),
        "good": MjpegServer(moving, every=0.1, loop=True),
        "fast": MjpegServer(moving, every=0.001, loop=True),
    }
    with ExitStack() as stack:
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        yield {
            "absent": f"http://127.0.0.1:{free_port()}/",
            "hanging": f"http://127.0.0.1:{silent.getsockname()[1]}/",
            "unplugged": "/dev/video63",
            **{name: stack.enter_context(server).url for name, server in servers.items()},
        }


def configuration(folder: Path, broker: Mosquitto, sources: Mapping[str, str]) -> dict[str, Any]:
    """The daemon's configuration: these cameras, and the one that visitors pass."""
    cameras: list[dict[str, Any]] = [
        {"name": name, "source": source, "tile": 0, **(TIMEOUTS if name in FAULTS else {})}
        for name, source in sources.items()
    ]
    recording = {"name": COUNTING, "source": str(folder / "crowd"), "loop": True, "tile": 0}
    return {
        "cameras": [*cameras, recording],
        "windows": {"length": WINDOW, "lateness": 0.5},
        "tracking": {"lost_after": 0.5},
        "privacy": {"minimum": 1},
        "metrics": {"enabled": False},
        "outbox": {"directory": str(folder / "state")},
        "mqtt": {"host": broker.host, "port": broker.port},
    }
