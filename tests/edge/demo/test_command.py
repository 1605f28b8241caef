"""The demo in one process, where its surroundings can be changed."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest

from edge.demo import broker as brokers
from edge.demo.command import demo
from edge.errors import ConfigurationError, SourceError
from tests.scene_clips import write_scene


def run(**options) -> int:
    base = {"source": None, "broker": None, "seconds": None, "config": None, "overrides": []}
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
        ({"source": "0", "broker": "http://h"}, "--broker http://h: wants mqtt://host"),
        ({"source": "0", "broker": "mqtt://h:x"}, "mqtt://h:x"),
        ({"source": "0", "overrides": ["nonsense=1"]}, "nonsense: unknown key"),
    ],
)
def test_what_is_wrong_is_named(options: dict[str, object], wanted: str) -> None:
    with pytest.raises(ConfigurationError, match=wanted):
        run(**options)


def test_a_clip_that_is_no_video_ends_it_at_once(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_text("no video")
    with pytest.raises(SourceError, match="no video"):
        run(source=str(clip))
