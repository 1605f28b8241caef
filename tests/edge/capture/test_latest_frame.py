from __future__ import annotations

import threading
from collections.abc import Callable

from edge.capture import LatestFrame
from edge.types import Frame
from tests.fakes import EPOCH
from tests.patience import PATIENCE
from tests.synthetic_video import number_of, picture


def frame(index: int) -> Frame:
    return Frame("door", EPOCH, picture(index))


def index_of(taken: Frame | None) -> int:
    assert taken is not None
    return number_of(taken.image)


def in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_the_newest_frame_wins_and_the_loss_is_told() -> None:
    slot = LatestFrame()
    assert [slot.put(frame(index)) for index in range(3)] == [False, True, True]
    assert index_of(slot.take(0)) == 2
    assert slot.take(0) is None
    assert slot.put(frame(3)) is False


def test_take_wakes_up_for_a_frame() -> None:
    slot, taken = LatestFrame(), []
    thread = in_thread(lambda: taken.append(slot.take(PATIENCE)))
    slot.put(frame(7))
    thread.join(PATIENCE)
    assert index_of(taken[0]) == 7


def test_the_last_frame_can_be_taken_after_the_close() -> None:
    slot = LatestFrame()
    slot.put(frame(0))
    slot.close()
    assert not slot.ended
    assert index_of(slot.take(0)) == 0
    assert slot.ended
    assert slot.take(PATIENCE) is None


def test_close_wakes_up_whoever_waits() -> None:
    slot, taken = LatestFrame(), []
    thread = in_thread(lambda: taken.append(slot.take(PATIENCE)))
    slot.close()
    thread.join(PATIENCE)
    assert taken == [None]
    assert slot.put(frame(0)) is False
    assert slot.ended


def test_backpressure_loses_nothing() -> None:
    slot, stop = LatestFrame(), threading.Event()

    def produce() -> None:
        for index in range(200):
            assert slot.put_when_taken(frame(index), stop)
        slot.close()

    in_thread(produce)
    taken = []
    while not slot.ended:
        if (one := slot.take(PATIENCE)) is not None:
            taken.append(index_of(one))
    assert taken == list(range(200))


def test_backpressure_gives_way_to_stop_and_to_close() -> None:
    slot, stop = LatestFrame(), threading.Event()
    slot.put(frame(0))
    stop.set()
    assert slot.put_when_taken(frame(1), stop) is False
    slot.close()
    assert slot.put_when_taken(frame(1), threading.Event()) is False
    assert index_of(slot.take(0)) == 0
