"""Shared detectors: few for many, each used by one thread at a time, and closed by the last user."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest

from edge.types import Faces, Image
from edge.vision.detect import FaceDetector, SharedDetectors
from tests.patience import PATIENCE

PICTURE = np.zeros((8, 8, 3), np.uint8)


class Model(FaceDetector):
    """Notes how many threads are in it; `wait` holds them there."""

    def __init__(self, wait: Callable[[], object]) -> None:
        self.inside = self.most_inside = 0
        self.closed = 0
        self._wait = wait
        self._guard = threading.Lock()

    def detect(self, image: Image) -> Faces:
        with self._guard:
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
        self._wait()
        with self._guard:
            self.inside -= 1
        return Faces.empty()

    def close(self) -> None:
        self.closed += 1


class Maker:
    """Makes models and keeps them."""

    def __init__(self, wait: Callable[[], object] = lambda: None) -> None:
        self.made: list[Model] = []
        self._wait = wait

    def __call__(self) -> FaceDetector:
        self.made.append(Model(self._wait))
        return self.made[-1]


def test_one_model_is_enough_for_users_who_take_turns():
    shared, make = SharedDetectors(most=4), Maker()
    users = [shared.open("far", make) for _ in range(16)]
    for user in users:
        assert len(user.detect(PICTURE)) == 0
    assert len(make.made) == 1


def test_as_many_work_at_once_as_are_allowed_and_no_model_is_used_by_two():
    both_in = threading.Barrier(2)
    shared, make = SharedDetectors(most=2), Maker(lambda: both_in.wait(timeout=PATIENCE))
    users = [shared.open("far", make) for _ in range(8)]
    threads = [threading.Thread(target=user.detect, args=(PICTURE,)) for user in users]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads)
    assert [model.most_inside for model in make.made] == [1, 1]


def test_other_models_are_others():
    shared, far, near = SharedDetectors(most=1), Maker(), Maker()
    shared.open("far", far)
    shared.open("near", near)
    assert (len(far.made), len(near.made)) == (1, 1)


def test_the_last_user_closes_them_once_and_a_later_one_begins_anew():
    shared, make = SharedDetectors(most=1), Maker()
    first, second = shared.open("far", make), shared.open("far", make)
    first.close()
    first.close()
    second.detect(PICTURE)
    assert make.made[0].closed == 0
    second.close()
    assert make.made[0].closed == 1
    shared.open("far", make).detect(PICTURE)
    assert len(make.made) == 2


def test_a_closed_one_is_not_used():
    user = SharedDetectors(most=1).open("far", Maker())
    user.close()
    with pytest.raises(RuntimeError, match="closed"):
        user.detect(PICTURE)


def test_one_that_fails_is_given_back():
    def fail() -> None:
        raise ValueError("broken picture")

    user = SharedDetectors(most=1).open("far", Maker(fail))
    for _ in range(2):
        with pytest.raises(ValueError, match="broken picture"):
            user.detect(PICTURE)


def test_a_model_that_cannot_be_loaded_is_told_at_once_and_may_be_tried_again():
    def broken() -> FaceDetector:
        raise OSError("no such model")

    shared = SharedDetectors(most=1)
    with pytest.raises(OSError, match="no such model"):
        shared.open("far", broken)
    assert len(shared.open("far", Maker()).detect(PICTURE)) == 0


def test_what_is_opened_ahead_is_what_the_first_user_gets():
    shared, make = SharedDetectors(most=2), Maker()
    shared.open_ahead("far", make)
    shared.open_ahead("far", make)
    user = shared.open("far", make)
    user.detect(PICTURE)
    assert len(make.made) == 1
    shared.close()  # leaves what somebody has
    assert make.made[0].closed == 0
    user.close()
    assert make.made[0].closed == 1


def test_what_was_opened_ahead_for_a_camera_that_was_removed_goes_with_the_next_camera():
    shared, far, near = SharedDetectors(most=2), Maker(), Maker()
    shared.open_ahead("near", near)
    user = shared.open("far", far)
    assert near.made[0].closed == 0
    user.close()
    assert (far.made[0].closed, near.made[0].closed) == (1, 1)


def test_what_was_opened_ahead_for_nobody_is_closed():
    shared, make = SharedDetectors(most=2), Maker()
    shared.open_ahead("far", make)
    shared.close()
    shared.close()
    assert make.made[0].closed == 1
