"""The queue: bounded for crops, lossless for everything else, in order but for progress that may overtake."""

from __future__ import annotations

import threading
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


def test_what_is_foreseen_takes_no_room_from_crops_and_is_bounded_as_well():
    queue = MessageQueue(2)
    foreseen = Foreseen("door", 1, (crop(),))
    assert [queue.put(foreseen) for _ in range(3)] == [True, True, False]
    assert [queue.put(crop()) for _ in range(3)] == [True, True, False]
    assert queue.take(None) is foreseen
    assert queue.put(foreseen)


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
