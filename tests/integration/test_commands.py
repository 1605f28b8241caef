"""The commands as a person types them: what they say, and the status they end with."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.bundle import BUILTIN
from edge.commands.demo.line_zone import seconds_in_zone
from edge.commands.demo.scene import VISITS
from edge.config.tables.writing import to_toml
from edge.release.messages import COUNTS
from tests.daemon import Daemon
from tests.mosquitto import Mosquitto, Subscriber, free_port
from tests.patience import PATIENCE
from tests.scene_clips import write_scene

CAMERA = {"name": "door", "source": "rtsp://127.0.0.1:1/stream"}


def instore_edge(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edge", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={**os.environ, **environment},
        check=False,
    )


def configured(folder: Path, **tables: Any) -> Path:
    """A configuration file that touches nothing outside `folder`."""
    path = folder / "config.toml"
    base = {"cameras": [CAMERA], "metrics": {"port": 0}, "outbox": {"directory": str(folder / "state")}}
    path.write_text(to_toml({**base, **tables}))
    return path


@pytest.mark.parametrize(
    ("tables", "wanted"),
    [
        ({"sight": "x"}, ("sight: unknown key", "did you mean 'site'")),
        ({"cameras": [{**CAMERA, "max_fps": "ten"}]}, ("cameras[0].max_fps = 'ten'", "valid number")),
        ({"windows": {"brackets": ["0-12", "14+"]}}, ("windows.brackets", "age 13 is in no bracket")),
        ({"windows": {"brackets": ["0-12", "12+"]}}, ("windows.brackets", "age 12 is in two brackets")),
        ({"windows": {"length": 7}}, ("windows.length = 7", "divide 900 seconds")),
        ({"cameras": [CAMERA, CAMERA]}, ("two cameras are named 'door'",)),
        ({"cameras": [{**CAMERA, "name": "a/b"}]}, ("cameras[0].name = 'a/b'", "'/', '+', '#'")),
        ({"cameras": [{**CAMERA, "source": "rtsp://u:hush@h/"}]}, ("cameras[0].source", "password_file")),
        (
            {"cameras": [{**CAMERA, "source": "gopher://h/"}]},
            ("'gopher://h'", "the scheme is unknown", "rtsp://"),
        ),
        ({"mqtt": {"username": "box", "password_file": "nowhere"}}, ("mqtt.password_file", "nowhere")),
        ({"model": {"bundle": "nowhere"}}, ("nowhere/manifest.json", "cannot be read")),
    ],
)
def test_a_bad_configuration_is_refused_before_anything_is_opened(
    tmp_path: Path, tables: dict[str, Any], wanted: tuple[str, ...]
) -> None:
    done = instore_edge("run", "--config", configured(tmp_path, **tables))
    assert done.returncode == 2
    assert all(words in done.stderr for words in wanted), done.stderr
    assert "Traceback" not in done.stderr
    assert "hush" not in done.stderr
    assert not list((tmp_path / "state").glob("*"))


def test_a_damaged_bundle_is_refused(tmp_path: Path) -> None:
    bundle = shutil.copytree(BUILTIN, tmp_path / "bundle")
    content = bytearray((bundle / "model.onnx").read_bytes())
    content[1000] ^= 1
    (bundle / "model.onnx").write_bytes(content)
    done = instore_edge("run", "--config", configured(tmp_path, model={"bundle": "bundle"}))
    assert done.returncode == 2
    assert "model.onnx: its SHA-256 is" in done.stderr


@pytest.mark.parametrize(
    ("content", "wanted"),
    [(b"", "is empty"), (b"no video at all\n" * 99, "it is not a video"), (None, "there is no such file")],
)
def test_replay_refuses_what_is_no_video(tmp_path: Path, content: bytes | None, wanted: str) -> None:
    clip = tmp_path / "clip.mp4"
    if content is not None:
        clip.write_bytes(content)
    done = instore_edge("replay", clip)
    assert done.returncode == (2 if content is None else 1)
    assert wanted in done.stderr
    assert "Traceback" not in done.stderr


def counts_of(lines: str) -> dict[str, Any]:
    """The one counts message of a short recording."""
    messages = [json.loads(line) for line in lines.splitlines()]
    (found,) = [message for message in messages if message["schema"] == COUNTS]
    return found


def test_a_folder_of_pictures_with_a_corrupt_one_is_replayed(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(4):
        picture = rng.integers(0, 255, (48, 64, 3), np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), picture)
    (folder / "2.png").write_bytes(b"broken")
    done = instore_edge("replay", folder, "--set", "privacy.minimum=1")
    coverage = counts_of(done.stdout)["coverage"]
    assert (done.returncode, coverage["frames_analysed"], coverage["frames_dropped"]) == (
        0,
        3,
        {"corrupt": 1},
    )


def test_small_counts_are_withheld_unless_asked_for(tmp_path: Path) -> None:
    clip = write_scene(tmp_path / "scene.avi", seconds=6, size=(960, 540))
    shown = counts_of(instore_edge("replay", clip, "--set", "privacy.minimum=1").stdout)
    withheld = counts_of(instore_edge("replay", clip).stdout)
    assert shown["released"] >= 1
    assert withheld["released"] is None
    assert (withheld["privacy"]["method"], withheld["privacy"]["minimum"]) == ("threshold", 5)
    assert all(withheld["counts"][name] is None for name, count in shown["counts"].items() if count)


def test_windows_wait_for_a_broker_that_is_away(tmp_path: Path) -> None:
    clip = write_scene(tmp_path / "scene.avi", seconds=2)
    broker_port = free_port()
    tables = {
        "cameras": [{"name": "door", "source": str(clip), "pace": "full"}],
        "metrics": {"port": 0},
        "outbox": {"directory": str(tmp_path / "state")},
        "mqtt": {"host": "127.0.0.1", "port": broker_port, "drain_timeout": 0.5},
    }
    with Daemon(tmp_path, tables) as daemon:
        daemon.wait_for_line(lambda line: "the recording has ended" in line)
        assert daemon.stop() == 0
    assert re.search(r"the outbox holds \d+ messages; they are sent after the next start", daemon.log)

    with Mosquitto(tmp_path / "broker") as broker, Subscriber(broker, "instore/#") as subscriber:
        tables["mqtt"] = {"host": broker.host, "port": broker.port}
        tables["cameras"] = [{**CAMERA, "name": "other"}]
        with Daemon(tmp_path, tables) as daemon:
            payload = subscriber.wait_for_topic("instore/store/door/all/counts")[0]
            assert json.loads(payload)["sequence"] == 1
            assert daemon.stop() == 0


def test_a_second_daemon_on_the_same_state_is_refused(tmp_path: Path) -> None:
    tables = {
        "cameras": [CAMERA],
        "metrics": {"port": 0},
        "outbox": {"directory": str(tmp_path)},
        "mqtt": {"drain_timeout": 0.2},
    }
    with Daemon(tmp_path, tables) as first:
        first.wait_for_line(lambda line: "ready" in line)
        second = instore_edge("run", "--config", tmp_path / "config.toml")
        # Not 2: the other may be about to end, and systemd tries again.
        assert second.returncode == 1
        assert f"{tmp_path}: another instance of this daemon is using it; stop that instance" in second.stderr
        assert first.stop() == 0


def test_check_tells_what_works_and_what_does_not(tmp_path: Path) -> None:
    clip = write_scene(tmp_path / "scene.avi", seconds=2, size=(960, 540))
    with Mosquitto(tmp_path / "broker") as broker:
        cameras = [{"name": "good", "source": str(clip)}, {**CAMERA, "name": "bad", "open_timeout": 1.0}]
        mqtt = {"host": broker.host, "port": broker.port}
        done = instore_edge("check", "--json", "--config", configured(tmp_path, cameras=cameras, mqtt=mqtt))
    verdicts = {verdict["what"]: verdict for verdict in json.loads(done.stdout)}
    assert done.returncode == 1
    assert [what for what, verdict in verdicts.items() if verdict["status"] == "failed"] == ["camera bad"]
    assert re.fullmatch(
        r"960x540, 10\.0 frames per second, up, 1 face now", verdicts["camera good"]["detail"]
    )
    assert verdicts["broker"]["detail"].endswith("(no TLS); this box may publish on all its 16 topics")
    assert {"outbox", "disk", "clock", "metrics", "model", "service"} < verdicts.keys()
    assert "Connection refused" in verdicts["camera bad"]["detail"]


def test_the_demo_counts_everybody_once_every_passage_and_stay_and_ends() -> None:
    done = instore_edge("demo", "--set", "cameras.scene.pace=full")
    assert done.returncode == 0, done.stderr
    assert "composed" in done.stdout
    assert "8 visitors counted of 8 in the scene" in done.stdout
    assert "line door: in 3 of 3  out 2 of 2" in done.stdout
    truth = seconds_in_zone(VISITS)
    steps = f"0-5 s: {sum(t < 5 for t in truth)}  5-15 s: {sum(t >= 5 for t in truth)}"
    assert f"zone shelf: {len(truth)} entries  stayed  {steps} " in done.stdout.partition("summary")[2]
    assert "mosquitto" in done.stdout


def test_the_demo_stops_after_so_many_seconds() -> None:
    done = instore_edge("demo", "--seconds", "3")
    assert done.returncode == 0, done.stderr
    assert re.search(r"\d visitors? counted", done.stdout)


def test_ctrl_c_ends_the_demo_with_what_was_counted() -> None:
    """At a terminal it reaches the whole process group."""
    demo = subprocess.Popen(
        [sys.executable, "-m", "edge", "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert demo.stdout is not None
    said = [next(line for line in demo.stdout if "camera" in line)]
    os.killpg(demo.pid, signal.SIGINT)
    rest, errors = demo.communicate(timeout=PATIENCE)
    assert (demo.returncode, errors) == (0, "")
    assert re.search(r"\d visitors? counted", "".join((*said, rest)))


@pytest.mark.parametrize("command", ["run", "replay", "check", "demo", "bench", "engine build"])
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    done = instore_edge(*command.split(), "--help")
    assert done.returncode == 0
    assert f"examples:\n  instore-edge {command}" in done.stdout
