"""The commands look up, connect to and write what the configuration names, and nothing else.

Each command runs once under strace, as a person would start it: real models, real libraries, an empty home.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.config.tables.writing import to_toml
from edge.delivery.history import FILE, History
from edge.inference.tensorrt_library import Library, libraries
from tests import strace
from tests.fakes import ManualClock
from tests.gates import MIDNIGHT
from tests.mosquitto import Mosquitto, free_port
from tests.scene_clips import write_scene

LOCKS = Path(__file__).parents[2] / "requirements"


@dataclass
class Place:
    """Where commands run: everything that they may write to, and what they are configured with."""

    folder: Path
    clip: Path
    broker: Mosquitto

    @property
    def broker_address(self) -> tuple[str, int]:
        return self.broker.host, self.broker.port

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def temporary(self) -> Path:
        return self.folder / "tmp"

    def configuration(self, **mqtt: object) -> Path:
        path = self.folder / "config.toml"
        tables = {
            "cameras": [{"name": "scene", "source": str(self.clip), "pace": "full"}],
            "metrics": {"port": 0},
            "outbox": {"directory": str(self.state)},
            "mqtt": {"host": self.broker.host, "port": self.broker.port, **mqtt},
        }
        path.write_text(to_toml(tables))
        return path


@pytest.fixture
def place(tmp_path: Path, clip: Path, broker: Mosquitto) -> Place:
    return Place(tmp_path, clip, broker)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scene(tmp_path_factory.mktemp("clip") / "scene.avi", seconds=2, size=(960, 540))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path_factory.mktemp("broker")) as broker:
        yield broker


def watched(place: Place, *arguments: str | Path, status: int = 0) -> strace.Seen:
    return strace.watch([sys.executable, "-m", "edge", *map(str, arguments)], place.folder, status=status)


def assert_silent(
    seen: strace.Seen,
    place: Place,
    *,
    peers: Set[tuple[str, int]] = frozenset(),
    writes: Set[Path] = frozenset(),
    starts: Set[str] = frozenset(),
    sockets: Set[str] = frozenset(),
) -> None:
    """Nothing but these: peers it talks to, folders it writes to, programs it starts; TMPDIR is left empty.

    ldconfig says where a library is: cuda-bindings asks it, where they are installed.
    """
    assert seen.names == set()
    assert seen.peers == peers
    assert seen.sockets <= sockets
    assert seen.written_outside(*writes) == set()
    assert {Path(program).name for program in seen.programs - {sys.executable}} - {"ldconfig"} == starts
    assert list(place.temporary.iterdir()) == []


def test_run_talks_to_its_broker_and_writes_its_state(place: Place) -> None:
    seen = watched(place, "run", "--config", place.configuration())

    assert_silent(seen, place, peers={place.broker_address}, writes={place.state})


def test_replay_talks_to_nobody_and_writes_nothing(place: Place) -> None:
    seen = watched(place, "replay", place.clip)

    assert_silent(seen, place)


def test_check_talks_to_the_broker_and_leaves_nothing(place: Place) -> None:
    seen = watched(place, "check", "--config", place.configuration())

    assert_silent(seen, place, peers={place.broker_address}, writes={place.state, place.temporary})


def test_the_demo_talks_to_its_own_broker_and_leaves_nothing(place: Place) -> None:
    seen = watched(place, "demo", "--source", place.clip)

    # mosquitto asks the system for the id of its user.
    sockets = {"/var/run/nscd/socket"}
    assert_silent(seen, place, writes={place.temporary}, starts={"mosquitto"}, sockets=sockets)


VISITED = """
import http.client, signal, sys, threading
from urllib.parse import urlsplit
from edge.cli import main

def visit(address):
    connection = http.client.HTTPConnection(address)
    for path in ("/", "/static/page.js", "/api/nothing"):
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)  # the kernel may give it to any thread

class Reader:
    def write(self, text):
        if text.startswith("http"):
            threading.Thread(target=visit, args=[urlsplit(text.strip()).netloc]).start()

    def flush(self):
        pass

sys.stdout = Reader()
sys.exit(main(["dashboard", *sys.argv[1:]]))
"""
"""The page in a process of its own, which is visited once and then ended."""


def test_the_dashboard_talks_to_its_visitor_and_writes_nothing(place: Place) -> None:
    port = free_port()
    with_history(place)
    config = place.configuration()
    command = [sys.executable, "-c", VISITED, "--config", str(config), "--set", f"web.port={port}"]
    seen = strace.watch(command, place.folder)

    assert ("127.0.0.1", port) in seen.addresses  # it was visited
    assert_silent(seen, place, writes={place.state})


def test_export_talks_to_nobody_and_writes_nothing(place: Place) -> None:
    with_history(place)
    seen = watched(place, "export", "--what", "flow", "--config", place.configuration())

    assert_silent(seen, place, writes={place.state})


def with_history(place: Place) -> None:
    """An empty history, as a daemon leaves it; SQLite opens its journal to read it."""
    place.state.mkdir()
    History(place.state / FILE, 400, 1 << 30, ManualClock(MIDNIGHT)).close()


def test_engine_build_talks_to_nobody_and_writes_its_engines(place: Place) -> None:
    if not any(isinstance(found, Library) for found in libraries()):
        pytest.skip("TensorRT for RTX is not installed")
    seen = watched(place, "engine", "build", "--for", "sm86", "--config", place.configuration())

    assert_silent(seen, place, writes={place.state})


def test_a_named_broker_is_looked_up_and_nothing_else(place: Place) -> None:
    """Also shows that a name that is looked up is seen."""
    seen = watched(place, "check", "--config", place.configuration(host="broker.invalid"), status=1)

    assert {name.removesuffix(".invalid") for name in seen.names} >= {"broker"}
    assert all(name.startswith("broker.invalid") for name in seen.names)  # a search list may lengthen it


LOUD = """
import pathlib, socket, subprocess
for host in ("telemetry.invalid",):
    try:
        socket.getaddrinfo(host, 443)
    except OSError:
        pass
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"id", ("127.0.0.9", 9))
socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).connect_ex(("::1", 9))
socket.socket(socket.AF_UNIX).connect_ex("/nowhere/socket")
pathlib.Path.home().joinpath(".cache").mkdir()
pathlib.Path.home().joinpath(".cache", "id").write_text("1")
pathlib.Path("relative").touch()
subprocess.run(["true"])
"""


def test_what_a_loud_library_does_is_seen(place: Place) -> None:
    seen = strace.watch([sys.executable, "-c", LOUD], place.folder)

    assert "telemetry.invalid" in seen.names
    assert {("127.0.0.9", 9), ("::1", 9)} <= seen.peers
    assert "/nowhere/socket" in seen.sockets
    cache = place.folder / "home" / ".cache"
    assert seen.written_outside() == {cache, cache / "id", place.folder / "here" / "relative"}
    assert {Path(program).name for program in seen.programs} >= {"true"}


SILENT = {
    "mediapipe": {"0.10.33": "makes no look-up; 0.10.35 and 1.0 to 1.2 look up play.googleapis.com"},
    "onnxruntime": {"1.32.0": "silent with ORT_DISABLE_TELEMETRY, which edge and training set"},
    "openvino": {"2026.4.1": "silent without openvino-telemetry, which no lock holds"},
    "opencv-contrib-python": {"5.0.0.93": "silent"},
    "av": {"18.1.0": "silent"},
    "tensorrt-rtx-cu13-libs": {"1.7.1.116": "silent"},
    "tensorflow": {"2.21.0": "silent"},
    "keras": {"3.15.1": "silent"},
    "tf2onnx": {"1.17.0": "silent"},
}
"""Versions whose silence this module and tests/training/test_silence.py showed. Before you add a version, run
both with it in a network that has a name server: telemetry may depend on an answer."""

TELLTALES = ("openvino-telemetry", "sentry-sdk", "wandb", "google-analytics", "posthog", "opentelemetry-api")
"""Libraries that report to their makers, or serve to do so."""


@pytest.mark.parametrize("lock", sorted(LOCKS.glob("*.txt")), ids=lambda path: path.stem)
def test_only_versions_that_are_known_to_be_silent_are_locked(lock: Path) -> None:
    locked = dict(re.findall(r"(?m)^([a-z0-9._-]+)==([^ ;]+)", lock.read_text()))

    assert {name: locked[name] for name in SILENT if locked.get(name) not in {None, *SILENT[name]}} == {}
    assert set(TELLTALES) & locked.keys() == set()
