"""The demo in one process, where its surroundings can be changed."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest

from edge.commands.demo import broker as brokers
from edge.commands.demo import command, show
from edge.commands.demo.command import demo
from edge.config import Settings, load_settings
from edge.errors import BrokerError, ConfigurationError, SourceError
from tests.mosquitto import free_port
from tests.scene_clips import write_scene


@pytest.fixture(autouse=True)
def _process_as_it_was() -> Iterator[None]:
    """The daemon sets these for its whole process, which is the tests' here."""
    threads, interval = cv2.getNumThreads(), sys.getswitchinterval()
    yield
    cv2.setNumThreads(threads)
    sys.setswitchinterval(interval)


def run(**options) -> int:
    base: dict[str, Any] = {"source": None, "broker": None, "seconds": None, "config": None, "overrides": []}
    return demo(**{**base, **options}, stop=threading.Event())


def test_without_mosquitto_it_brings_its_own_broker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(brokers, "find_mosquitto", lambda: None)
    clip = write_scene(tmp_path / "scene.avi", seconds=13)
    assert run(source=str(clip), overrides=["cameras.camera.pace=full"]) == 0
    said = capsys.readouterr().out
    assert "amqtt" in said
    assert re.search(r"[1-9] visitors? counted", said)
    assert "composed" not in said


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"source": "nowhere.mp4"}, "--source nowhere.mp4: there is no such device, file or folder"),
        (
            {"source": "0", "broker": "http://h"},
            "--broker http://h: not a broker's URL; allowed: mqtt://host",
        ),
        ({"source": "0", "broker": "mqtt://h:x"}, "--broker mqtt://h:x: not a URL; allowed: scheme://host"),
        ({"source": "rtsp://u:hunter#2@h/"}, r"--source rtsp://\*\*\*@h/: '#', .* percent-encoded: %23"),
        ({"source": "rtsp://u:hunter 2/x@h/"}, r"--source rtsp://\*\*\*@h/: '#', .* percent-encoded"),
        ({"source": "rtsp:/u:hunter2@h/"}, r"--source \*\*\*: .*; a URL is scheme://host/path"),
        ({"source": "0", "broker": "mqtt://u:hunter?2@h"}, r"--broker mqtt://\*\*\*@h: '#', .* percent-enc"),
        (
            {"source": "0", "broker": "mqtt:/u:hunter2@h"},
            r"--broker \*\*\*: not a broker's URL; allowed: mqtt://host",
        ),
        ({"source": "0", "broker": "u:hunter#2@h"}, r"--broker mqtt://\*\*\*@h: '#', .* percent-encoded"),
        ({"source": "0", "overrides": ["nonsense=1"]}, "nonsense: unknown key"),
    ],
)
def test_what_is_wrong_is_named(options: dict[str, object], wanted: str) -> None:
    with pytest.raises(ConfigurationError, match=wanted) as caught:
        run(**options)
    assert "hunter" not in str(caught.value)


def test_a_clip_that_is_no_video_ends_it_at_once(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_text("no video")
    with pytest.raises(SourceError, match="not a video"):
        run(source=str(clip))


def test_a_broker_that_refuses_ends_it_at_once(tmp_path: Path) -> None:
    clip = write_scene(tmp_path / "scene.avi", seconds=1)
    broker = f"127.0.0.1:{free_port()}"
    with pytest.raises(BrokerError, match=f"{broker}: cannot be reached: Connection refused"):
        run(source=str(clip), broker=broker)


class StoppedError(Exception):
    """The demo is about to start the daemon."""


@pytest.fixture
def settings_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What the demo would run on a configuration file, and the folder of its relative paths."""

    def capture(settings: Settings, beside: Path, *_: object) -> None:
        raise StoppedError(settings, beside)

    def settings_of(text: str, **options: object) -> tuple[Settings, Path]:
        path = tmp_path / "etc" / "config.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text + "[[cameras]]\nname = 'door'\nsource = '1'\n")
        load_settings(path)
        with pytest.raises(StoppedError) as caught:
            run(**{"source": "0", "broker": "h", "config": path, **options})
        return caught.value.args

    monkeypatch.setattr(command, "_require_broker", lambda *_: None)
    monkeypatch.setattr(show, "Show", capture)
    return settings_of


def test_the_user_s_file_wins_over_the_demo_s_defaults_and_set_over_both(settings_of) -> None:
    settings, _ = settings_of("")
    assert (settings.privacy.minimum, settings.windows.length, settings.metrics.port) == (1, 10, 0)
    settings, _ = settings_of("[privacy]\nminimum = 5\n", overrides=["windows.length=60"])
    assert (settings.privacy.minimum, settings.windows.length) == (5, 60)


def test_relative_paths_start_from_the_user_s_file(settings_of, tmp_path: Path) -> None:
    settings, beside = settings_of("[model]\nbundle = 'ours'\n[mqtt]\ntls = true\nca_file = 'ca.pem'\n")
    assert beside == tmp_path / "etc"
    assert (settings.model.bundle, settings.mqtt.ca_file) == ("ours", "ca.pem")


def test_a_source_at_the_command_line_starts_from_there(
    settings_of, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    clip = write_scene(tmp_path / "scene.avi", seconds=1)
    settings, _ = settings_of("", source="scene.avi")
    assert settings.cameras[0].source == str(clip)


def test_the_daemon_s_outbox_is_left_alone(settings_of, tmp_path: Path) -> None:
    settings, _ = settings_of(f"[outbox]\ndirectory = '{tmp_path}'\nmax_rows = 7\n")
    assert settings.outbox.directory != str(tmp_path)
    assert settings.outbox.max_rows == 7


def test_what_the_broker_s_url_does_not_say_the_file_does(settings_of) -> None:
    file = "[mqtt]\nhost = 'a'\nport = 8884\ntls = true\nca_file = 'ca.pem'\nusername = 'box'\nprefix = 'p'\n"
    mqtt = settings_of(file, broker="b")[0].mqtt
    assert (mqtt.host, mqtt.port, mqtt.tls, mqtt.username, mqtt.prefix) == ("b", 8884, True, "box", "p")
    mqtt = settings_of(file, broker="mqtts://guest@b:1")[0].mqtt
    assert (mqtt.port, mqtt.ca_file, mqtt.username, mqtt.password_file) == (1, "ca.pem", "guest", "")
    assert settings_of("", broker="mqtts://b")[0].mqtt.port == 8883


def test_its_own_broker_takes_nothing_from_the_file(settings_of) -> None:
    mqtt = settings_of("[mqtt]\nhost = 'a'\ntls = true\nusername = 'box'\n", broker=None)[0].mqtt
    assert (mqtt.host, mqtt.tls, mqtt.username) == ("127.0.0.1", False, "")


def test_a_camera_s_user_may_have_no_password(settings_of) -> None:
    camera = settings_of("", source="rtsp://admin@cam/x")[0].cameras[0]
    assert (camera.source, camera.username, camera.password_file) == ("rtsp://cam/x", "admin", "")
