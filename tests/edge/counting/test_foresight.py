"""Which foreseen crops are judged, in what order, and when it does not pay."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from edge.counting import foresight
from edge.counting.foresight import FREE, SPARE, WASTE, Foresight
from edge.types import AGES, FaceCrop, Foreseen


def crops(count: int, track: int = 1, camera: str = "door") -> tuple[FaceCrop, ...]:
    return tuple(FaceCrop(camera, track, np.zeros((2, 2, 3), np.uint8), 0.5) for _ in range(count))


class Rig:
    """The foresight, and which crops the model judged ahead."""

    def __init__(self) -> None:
        self.foresight = Foresight()
        self.judged: list[FaceCrop] = []

    def foresee(self, found: Sequence[FaceCrop], track: int = 1, camera: str = "door") -> None:
        self.foresight.take(Foreseen(camera, track, tuple(found)))

    def work(self, most: int = 2) -> list[FaceCrop]:
        """Judge as long as there is something to do; what was judged."""
        before = len(self.judged)
        while self.foresight.has_work:
            self.foresight.judge(most, self._infer)
        return self.judged[before:]

    def _infer(self, found: list[FaceCrop]) -> np.ndarray:
        self.judged += found
        return np.zeros((len(found), AGES), np.float32)


def test_the_best_of_each_track_come_first() -> None:
    rig = Rig()
    ann, bea = crops(SPARE, 1), crops(SPARE, 2)
    rig.foresee(ann, 1)
    rig.foresee(bea, 2)
    assert rig.work(SPARE) == [crop for pair in zip(ann, bea, strict=True) for crop in pair][:SPARE]


def test_judges_each_once() -> None:
    rig = Rig()
    found = crops(SPARE + 4)
    rig.foresee(found)
    assert rig.work() == list(found[:4])
    rig.foresee(found[::-1])
    assert rig.work() == []
    more = [*found, *crops(2)]
    rig.foresee(more)
    assert rig.work() == list(found[4:6])


def test_spares_as_many_in_all_tracks_together() -> None:
    rig = Rig()
    for track in range(SPARE):
        rig.foresee(crops(1, track, f"camera {track % 2}"), track, f"camera {track % 2}")
    assert rig.work() == []
    rig.foresee(crops(1, 99), 99)
    assert len(rig.work(1)) == 1


@pytest.mark.parametrize("most", [1, 2, 8])
@pytest.mark.parametrize("more", [1, 2, 3])
def test_spares_as_many_whatever_the_batch(most: int, more: int) -> None:
    rig = Rig()
    found = crops(SPARE + more)
    rig.foresee(found)
    assert rig.work(most) == list(found[:more])


def test_what_a_visitor_is_counted_with_is_not_judged_again() -> None:
    rig = Rig()
    found = crops(2 * SPARE)
    rig.foresee(found)
    judged = rig.work(1)
    assert {rig.foresight.claim(crop) is not None for crop in judged} == {True}
    assert {rig.foresight.claim(crop) for crop in found[SPARE:]} == {None}
    rig.foresee(crops(SPARE, 2), 2)
    assert rig.work() == []


def stayer(rig: Rig, pictures: int, camera: str = "door") -> int:
    """Somebody who stays and gets better pictures all the time: how many of these were judged."""
    judged = 0
    for _ in range(pictures):
        rig.foresee(crops(SPARE + 1, camera=camera), camera=camera)
        judged += len(rig.work(1))
    return judged


def test_a_camera_whose_pictures_are_replaced_all_the_time_is_left_alone() -> None:
    rig = Rig()
    assert stayer(rig, 100) == FREE + 1
    assert stayer(rig, 1, "till") == 1


@pytest.mark.parametrize("counted", [20, 200])
def test_wastes_no_more_than_a_share_of_what_is_used(counted: int) -> None:
    rig = Rig()
    for crop in crops(counted, 7):
        rig.foresight.claim(crop)
    assert stayer(rig, 1000) == int(FREE + WASTE * counted) + 1


def test_forgets_a_camera_s_balance_with_the_camera() -> None:
    rig = Rig()
    stayer(rig, 100)
    rig.foresight.end_camera("door")
    assert stayer(rig, 1) == 1


def test_what_a_reload_forgets_was_not_judged_in_vain() -> None:
    rig = Rig()
    rig.foresee(crops(SPARE + 10))
    rig.work()
    rig.foresight.clear()
    rig.foresee(crops(SPARE + 1, 2), 2)
    assert len(rig.work()) == 1


def test_holds_no_more_tracks_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foresight, "MOST_TRACKS", 3)
    rig = Rig()
    for track in range(5):
        rig.foresee(crops(SPARE + 1, track), track)
    judged = rig.work(1)
    assert {crop.track_id for crop in judged} == {2, 3, 4}
