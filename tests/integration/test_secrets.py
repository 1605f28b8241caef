"""Secrets go in by every way there is; nothing that comes out holds one."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import pytest

from edge.config.tables.writing import to_toml
from tests.daemon import Daemon
from tests.mosquitto import Mosquitto, Subscriber, free_port
from tests.patience import PATIENCE
from tests.rtsp_server import RtspServer
from tests.scene_clips import write_scene

CAMERA, BROKER, WRONG = "cam/Era 7?secret", "bro/Ker#7@secret", "wro ng%7secret"
"""Passwords that want encoding in a URL, and break the naive masking of it."""

FORMS = {
    form for secret in (CAMERA, BROKER, WRONG) for form in (secret, quote(secret), quote(secret, safe=""))
}
# Pieces that would remain of one that was masked up to its first odd character.
PIECES = {
    "Era 7",
    "Era%207",
    "Ker#7",
    "Ker%237",
    "7secret",
    "7?secret",
    "7%3Fsecret",
    "7@secret",
    "7%40secret",
}


def found_in(text: str) -> set[str]:
    return {form for form in FORMS | PIECES if form in text}


def run(*arguments: str) -> str:
    """All that a command says."""
    done = subprocess.run(
        [sys.executable, "-m", "edge", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RtspServer]:
    clip = write_scene(tmp_path_factory.mktemp("clip") / "scene.avi", seconds=3, size=(320, 180))
    with RtspServer({"stream": clip}, credentials=("viewer", CAMERA)) as server:
        yield server


def tables(folder: Path, camera: RtspServer, broker: Mosquitto, **mqtt: Any) -> dict[str, Any]:
    for name, secret in (("camera", CAMERA), ("broker", BROKER), ("wrong", WRONG)):
        (folder / name).write_text(secret + "\n")
    source = {"source": camera.url("stream"), "username": "viewer", "tile": 0}
    return {
        "cameras": [
            {**source, "name": "door", "password_file": "camera"},
            {**source, "name": "locked", "password_file": "wrong", "open_timeout": 3.0},
        ],
        "windows": {"length": 2, "lateness": 3.0},
        "privacy": {"minimum": 1},
        "metrics": {"port": free_port()},
        "outbox": {"directory": str(folder / "state")},
        "mqtt": {
            "host": broker.host,
            "port": broker.port,
            "username": "box",
            "password_file": "broker",
            **mqtt,
        },
    }


def test_a_daemon_that_talks_at_its_most_tells_none(tmp_path: Path, camera: RtspServer) -> None:
    """Right and wrong passwords, at level debug: log, status, pages, messages, and files."""
    users = {"box": BROKER, "ear": "ear"}
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd,
        Mosquitto(tmp_path / "mosquitto", users=users) as broker,
        Subscriber(broker, "#", user="ear", password="ear") as ear,
    ):
        systemd.bind(str(tmp_path / "notify"))
        configured = tables(tmp_path, camera, broker)
        port = configured["metrics"]["port"]
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "2000000"}
        with Daemon(
            tmp_path, configured, environment=environment, options=["--log-level", "debug"]
        ) as daemon:
            daemon.wait_for_line(lambda line: "camera door: up" in line)
            daemon.wait_for_line(lambda line: "camera locked: down" in line)
            ear.wait_for_topic("instore/store/door/all/counts", 2)
            pages = [
                urlopen(f"http://127.0.0.1:{port}{page}").read().decode() for page in ("/metrics", "/healthz")
            ]
            environ = Path(f"/proc/{daemon.pid}/environ").read_text()
            arguments = Path(f"/proc/{daemon.pid}/cmdline").read_text()
            assert daemon.stop() == 0
        said = [systemd.recv(4096).decode()]
    files = [
        path.read_bytes().decode(errors="replace")
        for path in (tmp_path / "state").rglob("*")
        if path.is_file()
    ]
    messages = [f"{message.topic} {message.payload!r}" for message in ear.messages]
    told = {"log": [daemon.log], "pages": pages, "process": [environ, arguments], "systemd": said,
            "messages": messages, "files": files}  # fmt: skip
    assert {where: found for where, texts in told.items() if (found := found_in("\n".join(texts)))} == {}
    assert all(any(texts) for texts in told.values()), "nothing was looked at"


def test_a_broker_that_refuses_learns_it_and_the_log_does_not(tmp_path: Path, camera: RtspServer) -> None:
    with Mosquitto(tmp_path / "mosquitto", users={"box": BROKER}) as broker:
        configured = tables(tmp_path, camera, broker, password_file="wrong")
        with Daemon(tmp_path, configured, options=["--log-level", "debug"]) as daemon:
            daemon.wait_for_line(lambda line: "refused the connection: Not authorized" in line)
            daemon.stop()
        told = daemon.log + run("check", "--json", "--config", str(tmp_path / "config.toml"))
    assert "Not authorized" in told
    assert found_in(told) == set()


URL = f"rtsp://viewer:{CAMERA}@192.0.2.10/stream"
ENCODED = f"rtsp://viewer:{quote(CAMERA, safe='')}@192.0.2.10/stream"
DOOR = [{"name": "door", "source": "0"}]


@pytest.mark.parametrize(
    ("config", "arguments"),
    [
        ({"cameras": [{"name": "door", "source": URL}]}, ["check"]),
        ({"cameras": [{"name": "door", "source": ENCODED}]}, ["run"]),
        ({"cameras": [{"name": "door", "source": URL.replace("//", "/")}]}, ["run"]),
        ({"cameras": [{"name": "door", "source": 7, "password": CAMERA}]}, ["run"]),
        ({"cameras": DOOR, "mqtt": {"host": f"box:{BROKER}@broker"}}, ["check"]),
        ({"cameras": DOOR, "mqtt": {"password": BROKER}}, ["run"]),
        ({"cameras": DOOR, "mqtt": {"password_file": ["x"], "username": 1}}, ["run"]),
        ({"cameras": DOOR}, ["check", "--set", f"cameras.door.source={URL}"]),
        ({"cameras": DOOR}, ["check", "--set", f"cameras.door.source={ENCODED}"]),
        ({"cameras": DOOR}, ["check", "--set", f"mqtt.host=mqtts://box:{BROKER}@broker"]),
        ({"cameras": DOOR}, ["demo", "--source", URL.replace("rtsp", "gopher"), "--seconds", "1"]),
        ({"cameras": DOOR}, ["demo", "--broker", f"mqtt://box:{BROKER}@127.0.0.1:1", "--seconds", "1"]),
        ({"cameras": DOOR}, ["replay", URL]),
    ],
)
def test_what_a_person_mistypes_is_not_repeated(
    tmp_path: Path, config: dict[str, Any], arguments: list[str]
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(to_toml(config))
    command = [arguments[0], "--config", str(path), "--log-level", "debug", *arguments[1:]]
    if arguments[0] == "replay":
        command = arguments
    told = run(*command)
    assert found_in(told) == set(), told
    assert told
    assert "Traceback" not in told
