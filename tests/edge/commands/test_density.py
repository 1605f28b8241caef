"""`instore-edge bench --cameras`: what the trials say, and that the measured box sends nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edge.cli import main
from edge.clock import SystemClock
from edge.commands.bench import density
from edge.commands.bench.box import Work, open_apart
from edge.commands.bench.density import Density, box_of
from edge.config import Settings
from edge.daemon.status import warn_of_what_leaves
from tests.edge.capture.encoded_clips import numbered, write_video
from tests.edge.capture.fakes import camera_settings
from tests.fakes import settings
from tests.synthetic_video import number_of, write_clip


def work(cameras: int, p95: float, dropped: int = 0) -> Work:
    return Work(cameras, 4.0, 20 * cameras - dropped, dropped, 0.4 * cameras, p95 / 2, p95, 300.0)


def test_the_answer_names_the_number_and_the_trials_around_it() -> None:
    found = Density("entrance", (work(2, 90), work(5, 300, 4), work(3, 143)))
    assert found.in_words() == (
        "entrance: this box takes 3 cameras of it at 5 fps; "
        "3: p95 143 ms, 0 of 60 frames dropped, 1.2 cores; "
        "5: p95 300 ms, 4 of 100 frames dropped, 2.0 cores"
    )
    assert (found.as_dict()["cameras"], found.as_dict()["bounded"]) == (3, True)
    assert Density("x", (work(64, 20),)).in_words().endswith("more were not tried")
    assert Density("x", (work(1, 900),)).in_words().startswith("x: this box takes 0 cameras")


def test_the_measured_box_sends_and_keeps_nothing(tmp_path: Path) -> None:
    by = settings("mqtt.host=broker.example", "detection.min_face=20", "metrics.enabled=true")
    box = box_of(by, by.cameras[0], 3, str(tmp_path))
    assert not (box.mqtt.enabled or box.web.enabled or box.metrics.enabled or box.webhook.url)
    assert (box.history.days, box.outbox.directory) == (0, str(tmp_path))
    assert [(camera.name, camera.max_fps, camera.loop) for camera in box.cameras] == [
        (f"camera-{n}", 5.0, True) for n in range(3)
    ]
    assert box.detection.min_face == 20


def test_nobody_is_warned_of_the_cameras_that_the_measurement_makes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    by = settings("cameras.door.source=door.mp4")
    box = box_of(by, by.cameras[0], 3, str(tmp_path))
    warn_of_what_leaves(box)
    assert not caplog.records
    assert all(camera.ages for camera in box.cameras)


def test_cameras_on_one_recording_begin_it_apart(tmp_path: Path) -> None:
    write_clip(tmp_path / "numbers.avi", 30)
    assert begun(tmp_path, "numbers.avi") == [0, 0, 8, 15, 23]


def test_they_begin_a_recording_apart_that_does_not_tell_how_long_it_is(tmp_path: Path) -> None:
    write_video(tmp_path / "raw.h264", numbered(*range(30)), {"bf": "0", "g": "1"}, codec="libx264")
    assert begun(tmp_path, "raw.h264") == [0, 0, 8, 15, 23]


def begun(folder: Path, clip: str) -> list[int | None]:
    """The first picture of a looped recording by the turn of its camera."""
    found = []
    for turn in (None, 0.0, 0.25, 0.5, 0.75):
        camera = camera_settings(clip, max_fps=5, loop=True)
        source = open_apart(camera, secrets_beside=folder, clock=SystemClock(), turn=turn)
        found.append(number_of(picture.image) if (picture := source.read()) else None)
        source.close()
    return found


class Box:
    """In place of the daemon that measures itself: it keeps up with two cameras."""

    def __init__(self, by: Settings, _: Path) -> None:
        self._cameras = len(by.cameras)
        assert Path(by.cameras[0].source).is_file()

    def run(self, *_: float) -> Work:
        return work(self._cameras, 100 if self._cameras <= 2 else 400)


def test_the_command_draws_a_scene_where_no_recording_is_given(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(density, "WatchedBox", Box)
    monkeypatch.setattr(density, "DRAWN_SECONDS", 0.2)
    assert main(["bench", "--cameras", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["clip"], found["cameras"], found["bounded"]) == ("drawn-1080p", 2, True)


def test_the_bars_know_how_much_there_is_to_draw_and_to_try(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shown: list[tuple[str, float, float | None]] = []
    monkeypatch.setattr(density, "WatchedBox", Box)
    monkeypatch.setattr(density, "DRAWN_SECONDS", 0.2)
    density.draw(tmp_path / "clip.mp4", lambda *report: shown.append(report))
    assert shown == [("frames of a drawn scene", n, 2) for n in (1, 2)]
    shown.clear()
    by = settings(f"cameras.door.source={tmp_path / 'clip.mp4'}")
    found = density.measure(by, by.cameras[0], tmp_path, lambda *report: shown.append(report))
    tried = len(found.trials)
    assert shown[:-1] == [("trials of door", n, density.OWN_TRIALS) for n in range(tried)]
    assert shown[-1] == ("trials of door", tried, tried)


def test_the_help_says_that_the_drawn_scene_is_light(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["bench", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "drawn scene is MPEG-4, which costs less to decode than a camera's H.264" in shown
    assert "record a busy minute of your own camera" in shown


def test_without_a_recording_there_is_nothing_else_to_measure(capsys: pytest.CaptureFixture[Any]) -> None:
    assert main(["bench"]) == 2
    assert "CLIP: none is given; name a recording, or use --cameras" in capsys.readouterr().err
