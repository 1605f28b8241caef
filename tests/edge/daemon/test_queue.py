"""The queue: bounded for crops, lossless for everything else, in order."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from edge.daemon.queue import MessageQueue
from edge.types import FaceCrop, Message, Progress
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
