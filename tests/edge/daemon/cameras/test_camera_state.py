"""A camera's state: the reports of its two threads, in order, and nothing from a thread that was retired."""

from __future__ import annotations

from datetime import datetime, timedelta

from edge.daemon.cameras.camera_state import WatchedCamera
from edge.ops.reasons import FrameDrop
from edge.types import CameraState, CameraStatus
from tests.fakes import EPOCH, ManualClock, settings

UP = CameraStatus("door", CameraState.UP, EPOCH)
DOWN = CameraStatus("door", CameraState.DOWN, EPOCH + timedelta(seconds=5), "the stream broke off")


def at(seconds: float) -> datetime:
    return EPOCH + timedelta(seconds=seconds)


class Rig:
    """A watched camera, and the statuses that it reported."""

    def __init__(self, *overrides: str) -> None:
        self.clock = ManualClock()
        self.reported: list[CameraStatus] = []
        camera = settings("cameras.0.open_timeout=2", "cameras.0.read_timeout=3", *overrides).cameras[0]
        self.watched = WatchedCamera(camera, self.clock, self.reported.append)

    @property
    def state(self) -> CameraState:
        return self.watched.snapshot.status.state


def test_is_down_until_its_source_reports() -> None:
    rig = Rig()
    assert rig.watched.snapshot.status == CameraStatus("door", CameraState.DOWN, EPOCH, "not opened yet")
    rig.watched.report(UP)
    rig.watched.report(UP)
    assert rig.reported == [UP]


def test_counts_what_a_step_gave() -> None:
    watched = Rig().watched
    watched.note(in_view=2, visitors=1, analysed=1)
    watched.note(in_view=1, visitors=3, analysed=1)
    seen = watched.snapshot
    assert (seen.in_view, seen.visitors, seen.analysed, seen.ready) == (1, 4, 2, False)
    watched.become_ready()
    assert watched.snapshot.ready


def test_gives_each_lost_frame_once() -> None:
    watched = Rig().watched
    assert all(
        watched.lose_frame(reason) for reason in (FrameDrop.CORRUPT, FrameDrop.OVERWRITTEN, FrameDrop.CORRUPT)
    )
    assert watched.take_lost_frames() == {"corrupt": 2, "overwritten": 1}
    assert watched.take_lost_frames() == {}


def test_an_interruption_is_found_by_the_first_frame_after_it() -> None:
    rig = Rig()
    rig.watched.report(DOWN)
    assert [rig.watched.take_frame(at(seconds)) for seconds in (4, 6, 7)] == [False, True, False]


def test_a_recording_is_not_interrupted_by_its_end() -> None:
    rig = Rig("cameras.0.source=clip.mp4")
    rig.watched.report(DOWN)
    assert not rig.watched.take_frame(at(6))


def test_a_source_that_hangs_beyond_its_time_outs_is_down_until_its_next_frame() -> None:
    rig = Rig()
    rig.watched.report(UP)
    rig.clock.advance(5.0)
    rig.watched.suspect_silence(at(5))
    assert rig.state is CameraState.UP
    rig.clock.advance(0.1)
    rig.watched.suspect_silence(at(5.1))
    assert rig.reported[-1] == CameraStatus(
        "door", CameraState.DOWN, at(5.1), "no frame for 5 s: the source hangs"
    )
    assert rig.watched.silent_for == 5.1
    rig.watched.take_frame(at(6))
    assert rig.state is CameraState.UP
    assert rig.watched.silent_for == 0.0


def test_a_retired_source_is_ignored() -> None:
    rig = Rig()
    rig.watched.retire(removed=False)
    rig.watched.report(UP)
    assert not rig.watched.lose_frame(FrameDrop.CORRUPT)
    assert (rig.reported, rig.watched.take_lost_frames(), rig.watched.removed) == ([], {}, False)
