"""Turns: so many at once, and nobody before who asked first."""

from __future__ import annotations

import threading

import pytest

from edge.daemon.cameras.turns import Turns

DEADLINE = 10.0


class Worker:
    """A thread that takes one turn, says so, and keeps it until it may end."""

    def __init__(self, turns: Turns, name: int, order: list[int]) -> None:
        self.has_it, self.let_go = threading.Event(), threading.Event()

        def work() -> None:
            with turns:
                order.append(name)
                self.has_it.set()
                self.let_go.wait(DEADLINE)

        self.thread = threading.Thread(target=work)
        self.thread.start()

    def end(self) -> None:
        self.let_go.set()
        self.thread.join(DEADLINE)


def in_line(turns: Turns, count: int) -> None:
    """Wait until so many threads wait for their turn."""
    tick, deadline = threading.Event(), 1000
    while len(turns._line) < count and deadline:
        tick.wait(DEADLINE / 1000)
        deadline -= 1
    assert len(turns._line) == count


@pytest.mark.parametrize("most", [1, 2, 3])
def test_so_many_at_once_and_the_others_as_they_asked(most: int) -> None:
    turns, order = Turns(most), list[int]()
    workers: list[Worker] = []
    for name in range(7):
        workers.append(Worker(turns, name, order))
        assert workers[-1].has_it.wait(DEADLINE) if name < most else True
        in_line(turns, max(0, name + 1 - most))
    for name, worker in enumerate(workers):
        assert len(order) == min(name + most, 7)
        worker.end()
        if name + most < 7:
            assert workers[name + most].has_it.wait(DEADLINE)
    assert order == list(range(7))
    assert turns._free == most


def test_who_asks_again_at_once_goes_behind_those_who_wait() -> None:
    """A semaphore would let it go first."""
    turns, order = Turns(1), list[int]()
    first = Worker(turns, 0, order)
    first.has_it.wait(DEADLINE)
    waiting = Worker(turns, 1, order)
    in_line(turns, 1)
    first.end()
    again = Worker(turns, 2, order)
    assert waiting.has_it.wait(DEADLINE)
    in_line(turns, 1)
    waiting.end()
    assert again.has_it.wait(DEADLINE)
    again.end()
    assert order == [0, 1, 2]


def test_a_failure_gives_the_turn_back() -> None:
    turns = Turns(1)
    with pytest.raises(ValueError, match="bug"), turns:
        raise ValueError("bug")
    with turns:
        assert turns._free == 0
    assert turns._free == 1
