from __future__ import annotations

import threading
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from edge.capture import Camera, Feed, LatestFrame, Picture
from edge.capture.recordings import Clip
from edge.clock import Backoff, Clock
from edge.errors import SourceError
from edge.types import CameraState, CameraStatus
from tests.edge.capture.fakes import (
    Counted,
    Openings,
    ScriptedSource,
    Step,
    camera_settings,
    dice,
    live,
    recorded,
)
from tests.fakes import EPOCH, ManualClock
from tests.patience import PATIENCE
from tests.synthetic_video import number_of, write_clip


class Rig:
    """A camera with scripted openings, and what came of it."""

    def __init__(
        self, *openings: ScriptedSource | SourceError, clock: ManualClock | None = None, **changes: Any
    ) -> None:
        self.clock = clock or ManualClock()
        self.slot = LatestFrame()
        self.stop = threading.Event()
        self.statuses: list[CameraStatus] = []
        self.drops: list[str] = []
        self.openings = Openings(*openings)
        self.camera = make_camera(self, self.clock, **changes)

    def taken(self) -> int | None:
        frame = self.slot.take(0)
        return None if frame is None else number_of(frame.image)


def make_camera(rig: Rig, clock: Clock, **changes: Any) -> Camera:
    return Camera(
        camera_settings(**changes),
        rig.openings,
        rig.slot,
        clock,
        rng=dice(),
        on_status=rig.statuses.append,
        on_drop=rig.drops.append,
    )


def recording(*steps: Step) -> ScriptedSource:
    return ScriptedSource(steps, live=False)


def test_the_newest_live_frame_wins_and_the_others_are_counted() -> None:
    rig = Rig(ScriptedSource([live(0), live(1), live(2)]))
    rig.camera.run(rig.stop)
    assert rig.taken() == 2
    assert rig.drops == ["overwritten"] * 2
    assert rig.slot.ended


def test_a_frame_that_is_overwritten_is_never_converted() -> None:
    decoded = [Counted(level) for level in (60, 70, 80)]
    rig = Rig(ScriptedSource([Picture(one) for one in decoded]))
    rig.camera.run(rig.stop)
    frame = rig.slot.take()
    assert frame is not None
    assert frame.image[0, 0, 0] == 80
    assert [one.converted for one in decoded] == [0, 0, 1]


def test_a_camera_is_opened_again_for_ever_with_growing_waits() -> None:
    rig = Rig(*[SourceError("rtsp://192.0.2.10: no route")] * 40, ScriptedSource([live(7)]))
    rig.camera.run(rig.stop)
    assert rig.taken() == 7
    assert len(rig.clock.waits) == 40
    assert max(rig.clock.waits[:3]) <= 2.0
    assert 15 < max(rig.clock.waits) <= Backoff.LONGEST
    assert [(s.state, s.reason) for s in rig.statuses[:2]] == [
        (CameraState.DOWN, "rtsp://192.0.2.10: no route"),
        (CameraState.UP, ""),
    ]


def test_a_camera_that_goes_and_comes_back() -> None:
    first, second = ScriptedSource([live(0), SourceError("gone")]), ScriptedSource([live(1)])
    rig = Rig(first, SourceError("refused"), second)
    rig.camera.run(rig.stop)
    assert [s.state for s in rig.statuses] == ["up", "down", "down", "up", "down"]
    assert [s.reason for s in rig.statuses[1:3]] == ["gone", "refused"]
    assert first.closed
    assert second.closed


def test_the_waits_grow_while_a_camera_flaps_and_begin_anew_after_a_steady_time() -> None:
    def flapping() -> ScriptedSource:
        return ScriptedSource([live(0), SourceError("gone")])

    clock = ManualClock()
    steady = ScriptedSource([live(0), lambda: clock.advance(60), live(1), SourceError("gone")])
    rig = Rig(*(flapping() for _ in range(12)), steady, ScriptedSource([live(2)]), clock=clock)
    rig.camera.run(rig.stop)
    assert max(clock.waits[:-1]) > 5
    assert clock.waits[-1] <= Backoff.FIRST


def test_jitter_comes_from_the_given_randomness() -> None:
    one, same, other = (Backoff(dice(seed)) for seed in (1, 1, 2))
    delays = [[backoff.next() for _ in range(5)] for backoff in (one, same, other)]
    assert delays[0] == delays[1] != delays[2]


def test_stop_ends_a_live_camera_and_closes_its_source() -> None:
    stop = threading.Event()
    stopped = ScriptedSource([live(0), stop.set, live(1), live(2)])
    rig = Rig(stopped)
    rig.camera.run(stop)
    assert stopped.closed
    assert rig.taken() == 0
    assert rig.slot.ended


def test_stop_ends_the_wait_for_a_dead_camera() -> None:
    rig = Rig(SourceError("refused"))
    rig.stop.set()
    rig.camera.run(rig.stop)
    assert rig.openings.opened == []
    assert rig.slot.ended


def test_a_bug_goes_through_and_the_slot_is_closed() -> None:
    def bug() -> None:
        raise ZeroDivisionError

    rig = Rig(source := ScriptedSource([bug]))
    with pytest.raises(ZeroDivisionError):
        rig.camera.run(rig.stop)
    assert source.closed
    assert rig.slot.ended


def test_a_recording_plays_at_its_own_pace() -> None:
    rig = Rig(recording(recorded(0, 0), recorded(1, 0.5), recorded(2, 2.0)))
    rig.camera.run(rig.stop)
    assert rig.clock.monotonic() == pytest.approx(2.0)
    assert rig.drops == ["overwritten"] * 2
    assert rig.camera.status.reason == "the recording has ended"


def test_frames_of_a_recording_are_due_at_their_stamps_although_reporting_the_camera_takes_time() -> None:
    """Reports go to a file of history. Stamped too early, a frame seems to have waited for analysis."""
    clock = ManualClock()
    feed = Feed(
        camera_settings("a.mp4"),
        lambda settings: recording(recorded(0, 0), recorded(1, 0.5)),
        clock,
        on_status=lambda status: clock.advance(0.2),
    )
    due = [(shot.captured_at, feed.due) for shot in feed.shots()]
    assert due == [(EPOCH, 0.0), (EPOCH + timedelta(seconds=0.5), 0.5)]


def test_a_slow_decoder_is_not_slowed_further() -> None:
    clock = ManualClock()
    slow = recording(recorded(0, 0), lambda: clock.advance(3), recorded(1, 1.0), recorded(2, 4.0))
    Rig(slow, clock=clock).camera.run(threading.Event())
    assert clock.monotonic() == pytest.approx(4.0)


def test_a_recording_that_breaks_off_has_ended_and_is_not_played_again() -> None:
    def piece() -> list[Step]:
        return [recorded(0, 0), recorded(1, 1.0)]

    rig = Rig(recording(*piece(), SourceError("damaged")), recording(*piece()))
    rig.camera.run(rig.stop)
    assert rig.clock.monotonic() == pytest.approx(1.0)
    assert (rig.camera.status.state, rig.camera.status.reason) == (CameraState.DOWN, "damaged")


def test_full_speed_loses_nothing_and_gives_what_a_replay_gives(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "numbers.avi", 120)
    settings = camera_settings(str(clip), pace="full", start=EPOCH, max_fps=10.0)

    def opened(_: object) -> Clip:
        return Clip(clip, settings.max_fps)

    slot, drops = LatestFrame(), list[str]()
    camera = Camera(
        settings,
        opened,
        slot,
        ManualClock(),
        rng=dice(),
        on_status=lambda status: None,
        on_drop=drops.append,
    )
    thread = threading.Thread(target=camera.run, args=(threading.Event(),), daemon=True)
    thread.start()
    threaded = []
    while not slot.ended:
        if (frame := slot.take(PATIENCE)) is not None:
            threaded.append(frame)
    thread.join(PATIENCE)
    replayed = list(Feed(settings, opened, ManualClock()).frames())
    assert len(threaded) == 49
    assert [f.captured_at for f in threaded] == [f.captured_at for f in replayed]
    assert [number_of(f.image) for f in threaded] == [number_of(f.image) for f in replayed]
    assert all(one.captured_at < other.captured_at for one, other in pairwise(replayed))
    assert drops == []
