from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from edge.capture import Feed, Picture
from edge.errors import SourceError
from edge.types import CameraState, CameraStatus, Frame
from tests.edge.capture.fakes import (
    Counted,
    Openings,
    ScriptedSource,
    Step,
    camera_settings,
    grey,
    live,
    recorded,
)
from tests.fakes import EPOCH, ManualClock
from tests.synthetic_video import number_of

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def feed_of(
    *openings: ScriptedSource | SourceError, clock: ManualClock | None = None, **changes: Any
) -> Feed:
    return Feed(camera_settings(**changes), Openings(*openings), clock or ManualClock())


def recording(*steps: Step) -> ScriptedSource:
    return ScriptedSource(steps, live=False)


def seconds(frames: list[Frame], start: datetime = EPOCH) -> list[float]:
    return [(frame.captured_at - start).total_seconds() for frame in frames]


def test_live_frames_bear_the_time_of_their_arrival() -> None:
    clock = ManualClock(NOON)
    source = ScriptedSource([live(0), lambda: clock.advance(0.5), live(1)])
    frames = list(feed_of(source, clock=clock).frames())
    assert seconds(frames, NOON) == [0, 0.5]
    assert [number_of(frame.image) for frame in frames] == [0, 1]
    assert {frame.camera_id for frame in frames} == {"door"}


def test_recorded_frames_bear_media_time_from_the_first_one() -> None:
    clock = ManualClock(NOON)
    opening, pause = (lambda: clock.advance(0.05)), (lambda: clock.advance(9))
    source = recording(opening, recorded(0, 0), pause, recorded(1, 0.04))
    assert seconds(list(feed_of(source, clock=clock).frames()), NOON) == [0.05, 0.09]


def test_a_recording_may_begin_at_a_time_of_its_own() -> None:
    feed = feed_of(recording(recorded(0, 0), recorded(1, 2)), start=NOON)
    assert seconds(list(feed.frames()), NOON) == [0, 2]


def test_the_drivers_start_goes_before_the_settings() -> None:
    source = Openings(recording(recorded(0, 0)))
    feed = Feed(camera_settings(start=NOON), source, ManualClock(NOON), start=EPOCH)
    assert seconds(list(feed.frames())) == [0]


def test_an_ignored_zone_is_black_in_every_frame() -> None:
    half = [[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]
    feed = feed_of(
        ScriptedSource([Picture(grey(90))]),
        zones=[{"name": "screen", "role": "ignore", "polygon": half}],
    )
    (frame,) = feed.frames()
    assert frame.image[:, :79].max() == 0
    assert frame.image[:, 82:].min() == 90


def test_time_goes_on_when_a_recording_is_opened_again() -> None:
    broken = recording(recorded(0, 0), recorded(1, 0.5), SourceError("the disk is gone"))
    feed = feed_of(broken, recording(recorded(0, 0), recorded(1, 0.5)))
    frames: list[Frame] = []
    with pytest.raises(SourceError, match="the disk is gone"):
        frames.extend(feed.frames())
    frames = list(feed.frames())
    assert seconds(frames) == pytest.approx([0.54, 1.04])
    assert [number_of(frame.image) for frame in frames] == [0, 1]


def test_frames_are_turned_and_cut_and_read_only() -> None:
    feed = feed_of(ScriptedSource([live(0)]), rotation=90, roi=(0.0, 0.5, 1.0, 1.0))
    (frame,) = feed.frames()
    assert frame.image.shape == (96, 96, 3)
    assert frame.image.flags.c_contiguous
    assert not frame.image.flags.writeable


def test_the_source_is_closed_at_its_end_at_a_fault_and_when_left() -> None:
    ended, broken, left = recording(recorded(0, 0)), recording(SourceError("gone")), recording(recorded(0, 0))
    feed = feed_of(ended, broken, left)
    list(feed.frames())
    with pytest.raises(SourceError):
        list(feed.frames())
    with closing(feed.frames()) as frames:
        next(frames)
    assert [source.closed for source in (ended, broken, left)] == [True] * 3


def test_corrupt_pictures_are_told_even_when_none_follows() -> None:
    drops: list[str] = []

    def corrupt() -> None:
        source.corrupt += 2

    source = ScriptedSource([live(0), corrupt, live(1), corrupt, SourceError("gone")])
    feed = Feed(camera_settings(), Openings(source), ManualClock(), on_drop=drops.append)
    with pytest.raises(SourceError):
        list(feed.frames())
    assert drops == ["corrupt"] * 4


def test_a_picture_that_cannot_be_converted_is_counted_and_the_next_one_given() -> None:
    drops: list[str] = []
    pictures = [Picture(Counted(90, broken=number == 1), float(number)) for number in range(3)]
    feed = Feed(camera_settings(), Openings(recording(*pictures)), ManualClock(), on_drop=drops.append)
    assert [frame.captured_at.second for frame in feed.frames()] == [0, 2]
    assert drops == ["corrupt"]


def test_whether_a_picture_is_dark_is_seen_in_its_region_before_it_is_converted() -> None:
    decoded = Counted(200)
    decoded.sample[:, :40] = 0
    for side, state in (((0.0, 0.0, 0.5, 1.0), "dark"), ((0.25, 0.0, 1.0, 1.0), "up")):
        feed = feed_of(recording(Picture(decoded, 0.0), Picture(decoded, 5.0)), roi=side, dark_after=2.0)
        with closing(feed.shots()) as shots:
            assert [shot.state for shot in shots][-1] == state
    assert decoded.converted == 0


def test_a_camera_that_is_up_says_how_it_is_decoded_where_that_is_not_as_configured() -> None:
    told = list[CameraStatus]()
    source = recording(*(Picture(grey(90), float(n), note="by software" * (n > 1)) for n in range(4)))
    feed = Feed(camera_settings(), Openings(source), ManualClock(), on_status=told.append)
    list(feed.frames())
    assert [(s.state, s.reason) for s in told[:2]] == [("up", ""), ("up", "by software")]


def test_a_state_is_told_once_per_change() -> None:
    noise = np.random.default_rng(5).integers(0, 255, (4, 90, 160, 3), dtype=np.uint8)
    black, told = grey(0), list[CameraStatus]()
    images = [noise[0], noise[1], black, black, black, noise[2], *[noise[3]] * 5]
    source = recording(*(Picture(image, float(n)) for n, image in enumerate(images)))
    settings = camera_settings(dark_after=2.0, frozen_after=3.0)
    feed = Feed(settings, Openings(source), ManualClock(), start=EPOCH, on_status=told.append)
    assert (feed.status.state, feed.status.reason) == (CameraState.DOWN, "not opened yet")
    states = [(frame.state, feed.status.state) for frame in feed.frames()]
    assert [of_frame for of_frame, _ in states] == [of_camera for _, of_camera in states]
    assert [state for state, _ in states] == [*["up"] * 4, "dark", *["up"] * 4, "frozen", "frozen"]
    assert [(s.state, s.reason) for s in told] == [
        ("up", ""),
        ("dark", "black or one flat tone for 2 s: covered or unlit?"),
        ("up", ""),
        ("frozen", "the same picture for 3 s"),
        ("down", "the recording has ended"),
    ]
    assert [(s.since - EPOCH) // timedelta(seconds=1) for s in told[:4]] == [0, 4, 5, 9]


def test_a_new_reason_is_told_and_the_state_keeps_its_beginning() -> None:
    clock, told = ManualClock(), list[CameraStatus]()
    feed = Feed(camera_settings(), Openings(), clock, on_status=told.append)
    for reason in ("refused", "refused", "no route"):
        clock.advance(5)
        feed.report(CameraState.DOWN, reason)
    assert [status.reason for status in told] == ["refused", "no route"]
    assert {status.since for status in told} == {EPOCH}
