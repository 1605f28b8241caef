"""The queue: bounded for crops, lossless for everything else, in order but for progress that may overtake."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from edge.daemon.queue import Ahead, MessageQueue
from edge.types import CountingPlan, Decided, FaceCrop, Foreseen, Message, Progress, StreamEnded, TrackEnded
from tests.fakes import EPOCH
from tests.patience import PATIENCE


def crop(track: int = 1) -> FaceCrop:
    return FaceCrop("door", track, np.zeros((2, 2, 3), np.uint8), 0.5)


def progress() -> Progress:
    return Progress("door", EPOCH)


def drain(queue: MessageQueue) -> list[Any]:
    queue.close()
    return list(iter(lambda: queue.take(None), None))


def test_first_in_first_out():
    queue = MessageQueue(5)
    sent: list[Message] = [crop(1), progress(), crop(2), progress()]
    assert all(queue.put(message) for message in sent)
    assert drain(queue) == sent


def test_refuses_crops_that_are_too_many_and_nothing_else():
    queue = MessageQueue(2)
    assert [queue.put(crop()) for _ in range(3)] == [True, True, False]
    assert all(queue.put(progress()) for _ in range(1000))
    assert queue.put(crop()) is False
    assert len(drain(queue)) == 1002


def foreseen(track: int = 1, camera: str = "door") -> Foreseen:
    return Foreseen(camera, track, (crop(track),))


def test_what_is_foreseen_takes_no_room_from_crops():
    queue = MessageQueue(2)
    assert all(queue.put(foreseen(track)) for track in range(5))
    assert [queue.put(crop()) for _ in range(3)] == [True, True, False]


def test_only_the_newest_that_is_foreseen_of_a_track_waits():
    queue = MessageQueue(2)
    other, newest = foreseen(1, "till"), foreseen()
    for one in (foreseen(), other, newest):
        assert queue.put(one)
    assert [queue.take(0), queue.take(0), queue.take(0)] == [newest, other, None]


def test_that_nothing_is_foreseen_any_more_is_never_refused():
    queue = MessageQueue(1)
    for track in range(50):
        queue.put(foreseen(track))
    queue.put(crop())
    no_more = [Foreseen("door", track, ()) for track in range(50)]
    assert all(queue.put(one) for one in no_more)
    assert [queue.take(0) for _ in no_more] == no_more


def test_no_picture_that_was_replaced_waits_in_the_queue():
    queue = MessageQueue(256)
    pictures = []
    for _ in range(20):
        one = foreseen()
        pictures.append(weakref.ref(one.crops[0].image))
        queue.put(one)
    del one
    gc.collect()
    assert [picture() is None for picture in pictures] == [True] * 19 + [False]


def test_what_is_foreseen_goes_with_the_end_of_its_track():
    queue = MessageQueue(1)
    end, other = ended(), foreseen(2)
    for message in (foreseen(), other, end):
        queue.put(message)
    assert [queue.take(0), queue.take(0), queue.take(0)] == [other, end, None]


@pytest.mark.parametrize("drop", [MessageQueue.shed, MessageQueue.close])
def test_a_stop_drops_what_is_foreseen_but_not_that_nothing_is(drop: Callable[[MessageQueue], object]):
    queue = MessageQueue(5)
    no_more, last = Foreseen("door", 2, ()), progress()
    for message in (foreseen(), no_more, last):
        queue.put(message)
    drop(queue)
    assert not queue.finished
    assert [queue.take(0), queue.take(0), queue.take(0)] == [no_more, last, None]


def test_nothing_is_foreseen_once_the_queue_is_closed_but_it_is_still_withdrawn():
    queue = MessageQueue(5)
    queue.close()
    assert not queue.put(foreseen())
    no_more = Foreseen("door", 1, ())
    assert queue.put(no_more)
    assert drain(queue) == [no_more]


def test_what_is_foreseen_wakes_who_waits_to_take():
    queue, taken = MessageQueue(1), []
    thread = threading.Thread(target=lambda: taken.append(queue.take(PATIENCE)), daemon=True)
    thread.start()
    one = foreseen()
    queue.put(one)
    thread.join(PATIENCE)
    assert taken == [one]


def test_what_is_foreseen_is_not_overtaken_and_hides_nothing_that_is():
    queue = MessageQueue(5)
    for message in (crop(), ended(), progress(), foreseen(3)):
        queue.put(message)
    queue.take(0, lambda one: True)
    assert queue.overtaken == 2
    assert isinstance(queue.take(0), Foreseen)
    assert queue.overtaken == 2


def test_progress_overtakes_what_is_foreseen():
    queue = MessageQueue(2)
    last = progress()
    for message in (crop(), Foreseen("door", 2, (crop(2),)), last):
        queue.put(message)
    assert queue.take(None, lambda one: True) == Ahead(last)


def test_has_room_again_when_a_crop_was_taken():
    queue = MessageQueue(1)
    queue.put(progress())
    queue.put(crop())
    queue.take(None)
    assert not queue.put(crop())
    queue.take(None)
    assert queue.put(crop())


def test_sheds_crops_and_nothing_else():
    queue = MessageQueue(3)
    kept = [progress(), progress()]
    for message in (crop(1), kept[0], crop(2), kept[1]):
        queue.put(message)
    assert queue.shed() == 2
    assert queue.put(crop(3))
    assert drain(queue)[:2] == kept


def test_gives_nothing_when_nothing_comes():
    assert MessageQueue(1).take(0) is None


def test_is_finished_when_closed_and_empty():
    queue = MessageQueue(1)
    queue.put(progress())
    assert not queue.finished
    queue.close()
    assert not queue.finished
    assert queue.take(None) is not None
    assert queue.finished
    assert queue.take(None) is None


def waiting_put(queue: MessageQueue) -> tuple[threading.Thread, list[bool]]:
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(queue.put(crop(2), wait=True)), daemon=True)
    thread.start()
    return thread, answers


def test_a_put_that_may_wait_waits_for_room():
    queue = MessageQueue(1)
    queue.put(crop(1))
    thread, answers = waiting_put(queue)
    assert answers == []
    assert queue.take(None).track_id == 1
    thread.join(PATIENCE)
    assert answers == [True]
    assert queue.take(None).track_id == 2


def test_closing_lets_go_of_who_waits_to_put():
    queue = MessageQueue(1)
    queue.put(crop(1))
    thread, answers = waiting_put(queue)
    queue.close()
    thread.join(PATIENCE)
    assert answers == [False]
    assert [m.track_id for m in drain(queue)] == [1]


def test_closing_lets_go_of_who_waits_to_take():
    queue = MessageQueue(1)
    taken: list[object] = []
    thread = threading.Thread(target=lambda: taken.append(queue.take(None)), daemon=True)
    thread.start()
    queue.close()
    thread.join(PATIENCE)
    assert taken == [None]


def test_nothing_is_lost_between_threads():
    queue = MessageQueue(3)
    sent = 200

    def send(camera: int) -> None:
        for number in range(sent):
            queue.put(crop(camera * sent + number), wait=True)

    senders = [threading.Thread(target=send, args=(n,), daemon=True) for n in range(2)]
    for sender in senders:
        sender.start()
    taken = [queue.take(PATIENCE).track_id for _ in range(2 * sent)]
    for camera in range(2):
        mine = [track for track in taken if track // sent == camera]
        assert mine == list(range(camera * sent, (camera + 1) * sent))


def ended(track: int = 1) -> TrackEnded:
    return TrackEnded("door", track, EPOCH, timedelta(seconds=1))


def test_the_first_progress_overtakes_what_is_to_be_counted_and_the_rest_keeps_its_order():
    queue = MessageQueue(5)
    first, second = Progress("door", EPOCH), Progress("till", EPOCH)
    sent: list[Message] = [crop(), ended(), Decided("door", EPOCH), first, crop(2), second]
    for message in sent:
        queue.put(message)
    taken = [queue.take(None, lambda progress: True) for _ in sent]
    assert taken == [Ahead(first), Ahead(second), sent[0], sent[1], sent[2], sent[4]]


def test_a_progress_overtakes_only_if_it_may():
    queue = MessageQueue(5)
    sent: list[Message] = [crop(), Progress("door", EPOCH), Progress("till", EPOCH)]
    for message in sent:
        queue.put(message)
    taken = [queue.take(None, lambda progress: progress.camera_id == "till") for _ in sent]
    assert taken == [*sent[:2], Ahead(Progress("till", EPOCH))]


def test_knows_how_much_was_overtaken_and_waits():
    queue = MessageQueue(5)
    for message in (crop(1), ended(1), progress(), crop(2), ended(2), progress(), crop(3)):
        queue.put(message)
    overtaken = []
    for _ in range(7):
        queue.take(None, lambda progress: True)
        overtaken.append(queue.overtaken)
    assert overtaken == [2, 4, 3, 2, 1, 0, 0]


def test_a_crop_that_is_shed_does_not_wait():
    queue = MessageQueue(5)
    for message in (crop(1), ended(1), progress(), crop(2)):
        queue.put(message)
    queue.take(None, lambda progress: True)
    queue.shed()
    assert queue.overtaken == 1


@pytest.mark.parametrize(
    "barrier", [StreamEnded("door", EPOCH), CountingPlan({"door": ("all",)}, ("0-17", "18+"), 2.0)]
)
def test_nothing_overtakes_the_end_of_a_stream_or_a_plan(barrier: Message):
    queue = MessageQueue(5)
    sent: list[Message] = [crop(), barrier, progress()]
    for message in sent:
        queue.put(message)
    assert [queue.take(None, lambda progress: True) for _ in sent] == [*sent[:2], Ahead(progress())]


def test_has_room_for_a_crop_only_when_one_was_taken_and_not_when_it_was_overtaken():
    queue = MessageQueue(1)
    queue.put(crop())
    queue.put(progress())
    assert isinstance(queue.take(None, lambda progress: True), Ahead)
    assert not queue.put(crop())
    queue.take(None)
    assert queue.put(crop())
