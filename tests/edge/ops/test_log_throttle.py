"""Fault storms in the log, with time advanced by hand."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from edge.ops import log_throttle
from edge.ops.log_throttle import BURST, WINDOW, LogThrottle
from edge.ops.logs import set_level
from tests.fakes import Kept, ManualClock


class Desk:
    """A logger behind a `LogThrottle`, and the timers that it set."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.kept = Kept()
        self._timers: list[tuple[float, Callable[[], None]]] = []
        self.log = logging.Logger("edge")
        self.throttle = LogThrottle(self.kept, self.clock.monotonic, self._later)
        self.log.addHandler(self.throttle)

    def _later(self, seconds: float, what: Callable[[], None]) -> None:
        self._timers.append((self.clock.monotonic() + seconds, what))

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        due = [timer for timer in self._timers if timer[0] <= self.clock.monotonic()]
        self._timers = [timer for timer in self._timers if timer not in due]
        for _, what in due:
            what()

    @property
    def messages(self) -> list[str]:
        told, self.kept.messages = self.kept.messages, []
        return told


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_storm_is_told_in_a_few_lines_and_how_it_ended(desk: Desk) -> None:
    for number in range(1000):
        desk.log.warning("broker: %s", f"fault {number}")
    assert desk.messages == [f"broker: fault {number}" for number in range(BURST)]
    desk.advance(WINDOW)
    assert desk.messages == ["broker: fault 999 (the last of 990 more within a minute)"]
    desk.advance(10 * WINDOW)
    assert desk.messages == []


def test_a_storm_that_goes_on_is_told_again(desk: Desk) -> None:
    for _ in range(3):
        for _ in range(BURST + 5):
            desk.log.warning("fault")
        desk.advance(WINDOW)
    assert desk.messages == (["fault"] * BURST + ["fault (the last of 5 more within a minute)"]) * 3


def test_what_is_rare_is_always_told(desk: Desk) -> None:
    for _ in range(5 * BURST):
        desk.log.info("ready")
        desk.advance(WINDOW)
    assert desk.messages == ["ready"] * 5 * BURST


def test_one_cameras_storm_hides_no_other_event(desk: Desk) -> None:
    for _ in range(100):
        desk.log.warning("camera %s", "a", extra={"camera": "a"})
    desk.log.warning("camera %s", "b", extra={"camera": "b"})
    desk.log.warning("disk")
    assert desk.messages[BURST:] == ["camera b", "disk"]


def test_what_ends_the_process_is_always_told(desk: Desk) -> None:
    for _ in range(100):
        desk.log.critical("this is a bug")
    assert len(desk.messages) == 100


def test_at_debug_nothing_is_held_back(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "root", logging.RootLogger(logging.INFO))
    monkeypatch.setattr(logging.root, "handlers", [desk.throttle])
    set_level("debug")
    for _ in range(100):
        desk.log.warning("fault")
    assert len(desk.messages) == 100
    set_level("warning")
    for _ in range(100):
        desk.log.warning("fault")
    assert len(desk.messages) == BURST
    assert logging.root.level == logging.WARNING


def test_the_end_of_the_process_tells_what_is_held_back(desk: Desk) -> None:
    for _ in range(BURST + 2):
        desk.log.warning("fault")
    desk.throttle.close()
    assert desk.messages[BURST:] == ["fault (the last of 2 more within a minute)"]
    desk.advance(WINDOW)
    assert desk.messages == []


def test_kinds_without_end_take_no_memory_without_end(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_throttle, "MOST_KINDS", 10)
    for number in range(1000):
        desk.log.warning(f"fault {number}")
        desk.advance(WINDOW / 5)
    assert len(desk.messages) == 1000
    assert len(desk.throttle._kinds) <= 10
