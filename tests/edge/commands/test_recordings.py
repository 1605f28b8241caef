"""Recordings as the cameras of `replay` and `bench`."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.cli import main
from edge.commands.recordings import REPLAY_BOX, as_cameras
from edge.config import load_settings

SECRET = "rtsp://admin:hunter2@192.0.2.10/"


def cameras(*clips: Path) -> list[tuple[str, str]]:
    for clip in clips:
        clip.touch()
    return [(camera["name"], camera["source"]) for camera in as_cameras(clips)["cameras"]]


def test_recordings_are_named_after_their_files_each_unlike_the_others(tmp_path: Path) -> None:
    clips = [tmp_path / "a b.mp4", tmp_path / "a b.avi", tmp_path / ("x" * 90 + ".mp4")]
    (one, _), (two, _), (long, _) = cameras(*clips)
    assert (one, two, long) == ("a-b", "a-b~2", "x" * 56)


def test_recordings_may_be_named_like_a_device_or_the_box(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cameras(Path("0")) == [("0", str(tmp_path / "0"))]
    settings = load_settings(None, [], as_cameras([Path("0")]))
    assert settings.box == REPLAY_BOX
    Path("box.mp4").touch()
    assert load_settings(None, [], as_cameras([Path("box.mp4")])).cameras[0].name == "box"


def test_recordings_that_are_urls_are_refused_without_their_password(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["replay", SECRET]) == 2
    said = capsys.readouterr().err
    assert "clip '***': there is no such file" in said
    assert "hunter2" not in said
