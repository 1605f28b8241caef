"""Who watches a camera gets its frames, and nobody else does."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from edge.daemon.cameras.viewers import Viewers
from edge.types import Frame, TrackEnded
from edge.web.audit.tools import Counted
from tests.fakes import EPOCH


def frame(seconds: float) -> Frame:
    return Frame("door", EPOCH + timedelta(seconds=seconds), np.zeros((9, 16, 3), np.uint8))


def test_a_viewer_gets_the_newest_frame_of_its_camera_until_it_leaves() -> None:
    viewers, newest = Viewers(), frame(2)
    with viewers.watch("door") as first, viewers.watch("door") as second, viewers.watch("till") as other:
        viewers.show(frame(1))
        viewers.show(newest)
        assert (first.take(), second.take(), other.take()) == (newest, newest, None)
    viewers.show(frame(3))
    assert first.take() is None


def test_an_audit_gets_the_visits_of_its_camera_until_it_ends() -> None:
    viewers, visits = Viewers(), [TrackEnded("door", n, frame(n).captured_at, timedelta(1)) for n in range(3)]
    with viewers.visits("door") as door, viewers.visits("till") as till:
        viewers.count(visits[0])
        viewers.count(visits[1])
        viewers.reach("door", EPOCH)
    viewers.count(visits[2])
    assert (door.ended, till.ended) == ([visit.ended_at for visit in visits[:2]], [])
    assert (door.reached, till.reached) == (EPOCH, None)


def test_an_audit_learns_of_a_time_that_went_back() -> None:
    counted = Counted()
    for seconds in (1, 5, 4.9, 6):
        counted.reach(frame(seconds).captured_at)
    assert not counted.set_back
    counted.reach(frame(2).captured_at)
    counted.reach(frame(9).captured_at)
    assert counted.set_back
