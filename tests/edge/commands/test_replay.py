"""Replay on pictures of painted visitors: the same bytes every time, recordings one after the other."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.capture import Picture
from edge.capture.recordings import Folder
from edge.cli import main
from edge.clock import Clock
from edge.commands.replay_driver import replay
from edge.config import CameraSettings, Settings, load_settings
from edge.errors import SourceError
from edge.release.messages import COUNTS
from tests.fakes import EPOCH, ManualClock, PaintedAges, Person, bundle, paint, painted_vision

FPS = 5
ANN, BEA = Person(tag=1, age=20), Person(tag=2, age=50)


def record(folder: Path, seconds: float, *visits: tuple[Person, float, float]) -> Path:
    """`FPS` pictures a second, without loss; each visitor stands there from one second to another."""
    folder.mkdir()
    for number in range(round(seconds * FPS)):
        image = np.zeros((180, 320, 3), np.uint8)
        for place, (person, since, until) in enumerate(visits):
            if since <= number / FPS < until:
                paint(image, person, 60 + 100 * place, 90, 40)
        cv2.imwrite(str(folder / f"{number:04}.png"), image)
    return folder


def configured(*clips: Path, **more: Any) -> Settings:
    cameras = [{"name": c.name, "source": str(c), "max_fps": FPS, "tile": 0} for c in clips]
    tables = {"cameras": cameras, "windows": {"length": 10}, "privacy": {"minimum": 1}, **more}
    return load_settings(None, [], tables)


def replayed(settings: Settings, **more: Any) -> list[bytes]:
    vision = partial(painted_vision, people=[ANN, BEA])
    messages = replay(
        settings, bundle(), PaintedAges(), beside=Path(), clock=ManualClock(), make_vision=vision, **more
    )
    return [message for message in messages if json.loads(message)["schema"] == COUNTS]


def told(messages: list[bytes]) -> list[tuple[str, int, str, int, dict[str, int]]]:
    """Camera, sequence, start, total and the brackets that are not zero, of each window."""
    read = [json.loads(m) for m in messages]
    return [
        (
            m["camera"],
            m["sequence"],
            m["start"][11:],
            m["released"],
            {k: n for k, n in m["counts"].items() if n},
        )
        for m in read
    ]


def test_a_visitor_is_in_the_window_of_the_moment_last_seen(tmp_path: Path):
    clip = record(tmp_path / "door", 14, (ANN, 1, 4), (BEA, 8, 11))
    assert told(replayed(configured(clip))) == [
        ("door", 1, "00:00:00Z", 1, {"18-24": 1}),
        ("door", 2, "00:00:10Z", 1, {"45-54": 1}),
    ]


def test_the_same_recording_gives_the_same_bytes(tmp_path: Path):
    settings = configured(record(tmp_path / "door", 6, (ANN, 1, 4), (BEA, 2, 5)))
    assert replayed(settings) == replayed(settings) != []


def test_recordings_begin_when_they_are_said_to(tmp_path: Path):
    start = EPOCH.replace(year=2026, hour=8)
    clip = record(tmp_path / "door", 3, (ANN, 1, 3))
    (message,) = [json.loads(m) for m in replayed(configured(clip), start=start)]
    assert (message["start"], message["end"]) == ("2026-01-01T08:00:00Z", "2026-01-01T08:00:10Z")
    assert message["released"] == 1


@pytest.mark.parametrize("start", ["0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59Z", "2026-01-01", "now"])
def test_a_beginning_that_no_calendar_has_is_named(start: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as caught:
        main(["replay", "door", "--start", start])
    assert caught.value.code == 2
    said = " ".join(capsys.readouterr().err.split())
    assert f"{start!r} is not a time with a time zone in one of the years 1970 to 9998" in said


def test_several_begin_at_the_same_time_each_with_windows_of_its_own(tmp_path: Path):
    door = record(tmp_path / "door", 12, (ANN, 1, 4))
    till = record(tmp_path / "till", 3, (BEA, 1, 3))
    assert told(replayed(configured(door, till))) == [
        ("door", 1, "00:00:00Z", 1, {"18-24": 1}),
        ("door", 2, "00:00:10Z", 0, {}),
        ("till", 1, "00:00:00Z", 1, {"45-54": 1}),
    ]


def test_order_and_batches_do_not_change_the_counts(tmp_path: Path):
    door = record(tmp_path / "door", 8, (ANN, 1, 4), (BEA, 2, 5))
    till = record(tmp_path / "till", 8, (BEA, 1, 3))
    forth = replayed(configured(door, till, model={"max_batch": 1}))
    back = replayed(configured(till, door, model={"max_batch": 64}))
    assert sorted(forth) == sorted(back)


def test_coverage_counts_seconds_frames_and_what_was_lost(tmp_path: Path):
    clip = record(tmp_path / "door", 6, (ANN, 1, 4))
    (clip / "0003.png").write_bytes(b"no picture")
    (clip / "0029.png").write_bytes(b"no picture")  # the last one
    (message,) = [json.loads(m) for m in replayed(configured(clip))]
    # Without the two intervals beside the frame that nobody saw.
    assert message["coverage"] == {"seconds": 5.2, "frames_analysed": 28, "frames_dropped": {"corrupt": 2}}


def test_a_bad_recording_is_named_and_the_others_are_counted(tmp_path: Path):
    bad = tmp_path / "bad.mp4"
    bad.write_text("This is not a film.")
    door, till = (record(tmp_path / name, 3, (ANN, 1, 2)) for name in ("door", "till"))
    faults: list[SourceError] = []
    counted = replayed(configured(door, bad, till), on_fault=faults.append)
    assert [window[0] for window in told(counted)] == ["door", "till"]
    assert [str(fault) for fault in faults] == [f"{bad}: cannot be decoded: it is not a video, or is damaged"]


def test_a_recording_that_breaks_off_is_counted_as_far_as_it_goes(tmp_path: Path):
    door = record(tmp_path / "door", 3, (ANN, 1, 3))
    faults: list[SourceError] = []
    counted = replayed(configured(door), open_source=BreaksOff, on_fault=faults.append)
    assert [(window[0], window[3]) for window in told(counted)] == [("door", 1)]
    assert [str(fault) for fault in faults] == ["the disk is gone"]


class BreaksOff(Folder):
    """A folder of pictures, the last of which cannot be read any more."""

    def __init__(self, camera: CameraSettings, secrets_beside: Path, clock: Clock) -> None:
        super().__init__(Path(camera.source), camera.max_fps)

    def read(self) -> Picture | None:
        picture = super().read()
        if picture is None:
            raise SourceError("the disk is gone")
        return picture


def test_small_counts_are_withheld_as_configured(tmp_path: Path):
    clip = record(tmp_path / "door", 4, (ANN, 1, 3))
    settings = configured(clip, privacy={"minimum": 5}, windows={"length": 60})
    (message,) = [json.loads(m) for m in replayed(settings)]
    assert message["released"] is None
    assert message["counts"]["18-24"] is None
    assert (message["privacy"]["method"], message["privacy"]["minimum"]) == ("threshold", 5)


def test_frames_are_told_as_they_go(tmp_path: Path):
    heard: list[tuple[str, float]] = []
    replayed(
        configured(record(tmp_path / "door", 1)),
        on_frame=lambda camera, offset: heard.append((camera, offset)),
    )
    assert heard == [("door", n / FPS) for n in range(5)]


def test_what_is_no_recording_is_an_error_of_the_source(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="holds no picture"):
        replayed(configured(tmp_path / "empty"))
    broken = record(tmp_path / "broken", 1)
    for picture in broken.iterdir():
        picture.write_bytes(b"")
    with pytest.raises(SourceError, match="none of its 5 pictures can be decoded"):
        replayed(configured(broken))
