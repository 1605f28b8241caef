"""One backend for many threads: what comes while it is at work is its next batch, first come first served."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest

from edge.inference.backend import BackendError
from edge.inference.batches import Batches
from edge.ops.reasons import BackendFault
from tests.patience import PATIENCE

MAX_BATCH = 4


class Slow:
    """A backend that gives each picture's number; a batch that begins with 0 takes until `go`."""

    name, device, max_batch = "slow", "pretended", MAX_BATCH

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.began, self.go = threading.Event(), threading.Event()
        self.fault: Exception | None = None
        self.closed = self.inside = 0

    def infer(self, batch: np.ndarray) -> np.ndarray:
        self.inside += 1
        assert self.inside == 1, "two threads in one backend"
        numbers = batch[:, 0, 0, 0]
        self.batches.append(numbers.tolist())
        if numbers[0] == 0:
            self.began.set()
            assert self.go.wait(PATIENCE)
        self.inside -= 1
        if self.fault:
            raise self.fault
        return numbers[:, None].astype(np.float32)

    def close(self) -> None:
        assert not self.inside, "closed while it is at work"
        self.closed += 1


def pictures(*numbers: int) -> np.ndarray:
    found = np.zeros((len(numbers), 2, 2, 3), np.uint8)
    found[:, 0, 0, 0] = numbers
    return found


class Line(deque[object]):
    """Tells when somebody stands in it."""

    def __init__(self) -> None:
        super().__init__()
        self.came = threading.Semaphore(0)

    def append(self, asked: object) -> None:
        super().append(asked)
        self.came.release()


Ask = Callable[..., "Future[np.ndarray]"]


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
def batches(slow: Slow) -> Batches:
    return Batches(slow)


@pytest.fixture
def ask(batches: Batches, slow: Slow) -> Iterator[Ask]:
    """Asks in a thread of its own, and returns once the pictures stand in the line."""
    line = batches._line = Line()  # type: ignore[assignment]
    with ThreadPoolExecutor(16) as pool:

        def ask(*numbers: int) -> Future[np.ndarray]:
            future = pool.submit(batches.infer, pictures(*numbers))
            assert line.came.acquire(timeout=PATIENCE)
            return future

        yield ask
        slow.go.set()


@pytest.fixture
def first(ask: Ask, slow: Slow) -> Future[np.ndarray]:
    """A picture that the backend is at work on until `slow.go`."""
    future = ask(0)
    assert slow.began.wait(PATIENCE)
    return future


def numbers(future: Future[np.ndarray]) -> list[float]:
    return future.result(PATIENCE)[:, 0].tolist()


def test_an_idle_backend_runs_a_picture_alone_and_at_once(batches: Batches, slow: Slow):
    assert batches.infer(pictures(7)).tolist() == [[7]]
    assert batches.infer(pictures(8, 9)).tolist() == [[8], [9]]
    assert slow.batches == [[7], [8, 9]]
    assert (batches.name, batches.device, batches.max_batch) == ("slow", "pretended", MAX_BATCH)


def test_what_waits_is_the_next_batch_and_everybody_gets_their_own(
    slow: Slow, ask: Ask, first: Future[np.ndarray]
):
    waiting = [ask(1), ask(2, 3), ask(4)]
    slow.go.set()
    assert [numbers(one) for one in (first, *waiting)] == [[0], [1], [2, 3], [4]]
    assert slow.batches == [[0], [1, 2, 3, 4]]


def test_what_does_not_fit_is_run_next_and_nobody_is_overtaken(
    slow: Slow, ask: Ask, first: Future[np.ndarray]
):
    """The 4 would fit beside the 1, but came after the three that do not."""
    waiting = [ask(1, 1), ask(2, 2, 2), ask(4), ask(5, 5)]
    slow.go.set()
    assert [numbers(one) for one in waiting] == [[1, 1], [2, 2, 2], [4], [5, 5]]
    assert slow.batches == [[0], [1, 1], [2, 2, 2, 4], [5, 5]]
    assert numbers(first) == [0]


def test_the_arrays_of_two_callers_share_nothing_that_one_may_change(
    slow: Slow, ask: Ask, first: Future[np.ndarray]
):
    one, other = ask(1), ask(2)
    slow.go.set()
    one.result(PATIENCE)[:] = 9
    assert numbers(other) == [2]


def test_a_fault_reaches_all_who_are_in_the_batch_wait_or_come_later(
    slow: Slow, batches: Batches, ask: Ask, first: Future[np.ndarray]
):
    waiting = [ask(1), ask(2)]
    slow.fault = BackendError(BackendFault.LOST, "the GPU is gone")
    slow.go.set()
    found = [one.exception(PATIENCE) for one in (first, *waiting)]
    with pytest.raises(BackendError, match="the GPU is gone") as later:
        batches.infer(pictures(3))
    assert slow.batches == [[0]]  # a device that failed is not asked again
    for error in (*found, later.value):
        assert isinstance(error, BackendError)
        assert (str(error), error.reason) == ("the GPU is gone", "lost")
    assert len({id(error) for error in (*found, later.value)}) == 4


def test_what_no_backend_should_raise_ends_its_own_thread_and_leaves_nobody_waiting(
    slow: Slow, ask: Ask, first: Future[np.ndarray]
):
    waiting = ask(1)
    slow.fault = RuntimeError("std::bad_alloc")
    slow.go.set()
    with pytest.raises(RuntimeError, match="bad_alloc"):
        first.result(PATIENCE)
    with pytest.raises(BackendError, match="was not finished"):
        waiting.result(PATIENCE)


def test_closing_refuses_what_waits_and_lets_the_batch_end(
    slow: Slow, batches: Batches, ask: Ask, first: Future[np.ndarray]
):
    waiting = ask(1)
    closing = threading.Thread(target=batches.close)
    closing.start()
    with pytest.raises(BackendError, match="slow is closed"):
        waiting.result(PATIENCE)
    assert not slow.closed
    slow.go.set()
    closing.join(PATIENCE)
    assert (numbers(first), slow.closed, slow.batches) == ([0], 1, [[0]])
    with pytest.raises(BackendError, match="slow is closed"):
        batches.infer(pictures(2))


def test_many_threads_get_their_own_in_as_few_batches_as_hold_them(slow: Slow, batches: Batches):
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: batches.infer(pictures(n))[0, 0], range(1, 201)))
    assert found == list(range(1, 201))
    assert sum(map(len, slow.batches)) == 200
    assert max(map(len, slow.batches)) <= MAX_BATCH
