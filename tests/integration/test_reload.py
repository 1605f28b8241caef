"""SIGHUP: cameras, zones and brackets change while the daemon counts; what is not valid changes nothing."""

from __future__ import annotations

import json
import socket
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import Daemon
from tests.integration.series import check_series
from tests.mosquitto import Mosquitto, Received, Subscriber
from tests.painted_daemon import write_crowd

WINDOW = 2

GONE = ["instore/store/till/status", "instore/store/till/all/latest", "instore/store/till/all/today"]
"""The retained topics of the camera that is removed."""


NAMED = ("box_box", "camera_door", "camera_till", "camera_exit")
ANNOUNCED = {"home_assistant": {"enabled": True}}


class Notified:
    """systemd's end of the notification socket."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.path = str(Path(self._folder.name) / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._socket.settimeout(30)

    def wait_for(self, prefix: str) -> str:
        """The next message that begins so; the others before it are passed over."""
        while not (message := self._socket.recv(4096).decode()).startswith(prefix):
            pass
        return message

    def close(self) -> None:
        self._socket.close()
        self._folder.cleanup()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as broker:
        yield broker


def tables(folder: Path, broker: Mosquitto, *cameras: str, **more: Any) -> dict[str, Any]:
    """Cameras that play the same endless clip, each from its beginning."""
    clip = folder / "crowd"
    if not clip.exists():
        write_crowd(clip, 8, frames=5, gap=10)
    zone = more.pop("zone", "all")
    return {
        "cameras": [
            {"name": name, "source": str(clip), "loop": True, "max_fps": 10.0, "zone": zone, "tile": 0}
            for name in cameras
        ],
        "windows": {"length": WINDOW, "lateness": 0.5},
        "tracking": {"lost_after": 0.5},
        "privacy": {"minimum": 1},
        "metrics": {"port": 0},
        "outbox": {"directory": str(folder / "state")},
        "mqtt": {"host": broker.host, "port": broker.port},
        **more,
    }


def counts(messages: list[Received], camera: str) -> list[dict[str, Any]]:
    return [
        json.loads(m.payload)
        for m in messages
        if m.topic in (f"instore/store/{camera}/{zone}/counts" for zone in ("all", "hall"))
    ]


def retained(broker: Mosquitto, count: int) -> set[str]:
    """The topics that the broker keeps a message on, once there are so many."""
    with Subscriber(broker, "instore/#") as subscriber:
        subscriber.wait_for(lambda m: sum(message.retained for message in m) >= count)
        return {message.topic for message in subscriber.messages if message.retained}


@dataclass(frozen=True)
class Reloaded:
    """A daemon that was reloaded with other cameras, and then with an invalid file.

    begun: systemd's notification of the first reload. rejected: the status after the second. retained: the
    topics with a retained message between both. status: the daemon's exit status.
    """

    messages: list[Received]
    begun: str
    rejected: str
    retained: set[str]
    log: str
    status: int

    @property
    def cameras(self) -> dict[str, list[dict[str, Any]]]:
        """The counts of each camera, in the order of their arrival."""
        return {name: counts(self.messages, name) for name in ("door", "till", "exit")}


@dataclass(frozen=True)
class Running:
    """A daemon that counts two cameras, between its broker and systemd."""

    folder: Path
    broker: Mosquitto
    subscriber: Subscriber
    systemd: Notified
    daemon: Daemon

    def reload_cameras(self) -> str:
        """Remove `till`, add `exit`, change zone and brackets; returns systemd's first notification."""
        second = tables(self.folder, self.broker, "door", "exit", zone="hall", **ANNOUNCED)
        second["windows"]["brackets"] = ["0-24", "25+"]
        second["mqtt"]["keepalive"] = 20
        self.daemon.reload(second)
        begun = self.systemd.wait_for("RELOADING=1")
        self.systemd.wait_for("READY=1")
        self.subscriber.wait_for(lambda m: [w["zone"] for w in counts(m, "door")][-2:] == ["hall"] * 2)
        self.subscriber.wait_for(lambda m: len(counts(m, "exit")) > 1)
        self.subscriber.wait_for(
            lambda m: all([r.payload for r in m if r.topic == t][-1] == b"" for t in GONE)
        )
        return begun

    def reload_invalid(self) -> str:
        """Reload an invalid file, and wait for further windows; returns the status that systemd shows."""
        self.daemon.reload("cameras = 3\n[[cameras")
        self.systemd.wait_for("RELOADING=1")
        rejected = self.systemd.wait_for("READY=1")
        before = len(counts(self.subscriber.messages, "door"))
        self.subscriber.wait_for(lambda m: len(counts(m, "door")) > before + 1)
        return rejected


@pytest.fixture(scope="module")
def reloaded(tmp_path_factory: pytest.TempPathFactory) -> Reloaded:
    folder = tmp_path_factory.mktemp("reloaded")
    with (
        closing(Notified()) as systemd,
        Mosquitto(folder / "broker") as broker,
        Subscriber(broker, "instore/#", "homeassistant/#") as subscriber,
        Daemon(
            folder,
            tables(folder, broker, "door", "till", **ANNOUNCED),
            environment={"NOTIFY_SOCKET": systemd.path},
            module="tests.painted_daemon",
        ) as daemon,
    ):
        systemd.wait_for("READY=1")
        subscriber.wait_for(lambda m: len(counts(m, "door")) > 1 and len(counts(m, "till")) > 1)
        running = Running(folder, broker, subscriber, systemd, daemon)
        begun = running.reload_cameras()
        topics = retained(broker, 7)
        rejected = running.reload_invalid()
        status = daemon.stop()
        messages = subscriber.wait_for(lambda m: b'"state":"offline"' in m[-1].payload)
        return Reloaded(messages, begun, rejected, topics, daemon.log, status)


def test_cameras_zones_and_brackets_change_while_it_counts(reloaded: Reloaded) -> None:
    door, till, exit_ = reloaded.cameras.values()
    zones = [window["zone"] for window in door]
    assert zones == sorted(zones)  # "all" before "hall", never back
    assert {len(w["counts"]) for w in door if w["zone"] == "all"} == {8}
    assert {len(w["counts"]) for w in (*exit_, *door) if w["zone"] == "hall"} == {2}
    assert {w["zone"] for w in till} == {"all"}
    assert reloaded.status == 0


def test_a_reload_is_reported_to_systemd_and_in_the_log(reloaded: Reloaded) -> None:
    assert int(reloaded.begun.partition("MONOTONIC_USEC=")[2]) > 0
    assert "reload applied: cameras gone: till; new cameras: exit" in reloaded.log
    assert "the old values stay in force until then: mqtt.keepalive" in reloaded.log


def test_no_window_is_lost_or_sent_twice_by_a_reload(reloaded: Reloaded) -> None:
    for windows in reloaded.cameras.values():
        for zone in ("all", "hall"):
            check_series([w for w in windows if w["zone"] == zone])
    assert reloaded.cameras["till"][-1]["coverage"]["seconds"] > 0  # the last, partly watched one came too


def test_no_visitor_is_lost_or_counted_twice_by_a_reload(reloaded: Reloaded) -> None:
    """One visitor comes in one and a half seconds."""
    door = reloaded.cameras["door"]
    seconds = sum(window["coverage"]["seconds"] for window in door)
    too_many = sum(window["released"] for window in door) - seconds / 1.5
    # A visit is five pictures, and those that a busy machine has no time for take a visitor with them.
    dropped = sum(sum(window["coverage"]["frames_dropped"].values()) for window in door)
    assert -2 - dropped / 3 <= too_many <= 2, dropped


def test_the_retained_topics_of_a_removed_camera_are_cleared(reloaded: Reloaded) -> None:
    """For subscribers at that time, and for those that come later."""
    assert all([m.payload for m in reloaded.messages if m.topic == topic][-1] == b"" for topic in GONE)
    assert "instore/store/exit/status" in reloaded.retained
    assert not set(GONE) & reloaded.retained


def test_home_assistant_learns_of_new_cameras_and_brackets_and_of_removed_ones(reloaded: Reloaded) -> None:
    announced: dict[str, list[bytes]] = {}
    for message in reloaded.messages:
        announced.setdefault(message.topic, []).append(message.payload)
    of = {name: announced[f"homeassistant/device/store/instore_{name}/config"] for name in NAMED}
    assert of["camera_till"][-1] == b""
    door, exit_ = (
        json.loads(of["camera_door"][-1])["components"],
        json.loads(of["camera_exit"][-1])["components"],
    )
    assert door["visitors"]["state_topic"] == "instore/store/door/hall/today"
    assert door["age_0_12"] == {"platform": "sensor"}, "taken back"
    assert "age_0_24" in exit_
    assert "age_0_12" not in exit_
    assert json.loads(of["box_box"][-1])["device"]["name"] == "store box"


def test_an_invalid_file_is_rejected_and_counting_continues(reloaded: Reloaded) -> None:
    assert "the last reload was rejected" in reloaded.rejected
    assert "still running the previous configuration" in reloaded.log
    assert len(reloaded.cameras["door"][-1]["counts"]) == 2


def test_a_camera_removed_while_the_daemon_was_off_is_taken_back_at_the_next_start(
    tmp_path: Path, broker: Mosquitto
) -> None:
    with Subscriber(broker, "instore/#") as subscriber:
        for names, site in ((("door", "till"), "store"), (("door",), "store"), (("door",), "shop")):
            configuration = {"site": site, **tables(tmp_path, broker, *names)}
            with Daemon(tmp_path, configuration, module="tests.painted_daemon") as daemon:
                subscriber.wait_for_topic(f"instore/{site}/door/all/latest", 2)
                if names == ("door",):
                    camera = "till" if site == "store" else "door"
                    gone = f"instore/store/{camera}/all/latest"
                    subscriber.wait_for(lambda m, gone=gone: Received(gone, b"", False, 1) in m)
                assert daemon.stop() == 0
    assert retained(broker, 5) == {
        "instore/shop/box/status",
        "instore/shop/box/today",
        "instore/shop/door/status",
        "instore/shop/door/all/latest",
        "instore/shop/door/all/today",
    }
