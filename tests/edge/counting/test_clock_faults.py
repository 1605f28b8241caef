"""The clock jumps: windows stay half-open and unique, nobody is lost, and time does not run back."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest

from edge.counting.pipeline import Counting, build_counting
from edge.ops.metrics import Metrics
from edge.types import Frame, Progress, StreamEnded, WindowCounts
from edge.vision.pipeline import Vision
from tests.fakes import EPOCH, ManualClock, PaintedAges, Person, bundle, paint, painted_vision, settings

ANN = Person(tag=1, age=30)
FPS = 5
CYCLE = 20
"""Frames from one visitor to the next: four seconds."""

SEEN = 6
LENGTH = 60
HOUR, DAY = 3600.0, 86_400.0
START = EPOCH + timedelta(days=20_000, seconds=7)


class Shop:
    """One camera, one visitor after the other, and a clock that somebody sets."""

    def __init__(self, start: datetime = START) -> None:
        options = settings(f"windows.length={LENGTH}", "privacy.minimum=1", "tracking.lost_after=1.5")
        self.clock = ManualClock(start)
        metrics = Metrics(self.clock, ["door"])
        self.vision: Vision = painted_vision(options.cameras[0], options, bundle(), metrics, people=[ANN])
        self.counting: Counting = build_counting(options, bundle(), PaintedAges(), metrics)
        self.windows: list[WindowCounts] = []
        self.visitors = 0
        self.watermarks: list[datetime] = []
        self._frames = 0

    def run(self, visitors: int, *, jump: float = 0.0, at: int = CYCLE - 2) -> None:
        """Watch so many visitors; the clock jumps at this frame of the first cycle."""
        for number in range(visitors * CYCLE):
            if number == at:
                self.clock.jump(jump)
            self._watch(shown=number % CYCLE < SEEN)
        self.visitors += visitors

    def _watch(self, *, shown: bool) -> None:
        self.clock.advance(1 / FPS)
        image = np.full((120, 160, 3), 90 + self._frames % 3, np.uint8)
        if shown:
            paint(image, ANN, 80, 60, 40)
        self._frames += 1
        now = self.clock.now()
        result = self.vision.process(Frame("door", now, image))
        for message in (*result.messages, Progress("door", now, 1)):
            self.windows += self.counting.handle(message, self.clock.monotonic())
        self.watermarks.append(self.counting._aggregator._cameras["door"].watermark)

    def close(self) -> list[WindowCounts]:
        now = self.clock.now()
        for message in (*self.vision.finish(), StreamEnded("door", now)):
            self.windows += self.counting.handle(message, self.clock.monotonic())
        self.windows += self.counting.flush()
        return self.windows


def check(windows: list[WindowCounts]) -> None:
    """Half-open, aligned, each of a start of its own, and none watched for longer than it lasts."""
    assert max(Counter(w.start for w in windows).values()) == 1
    for window in windows:
        assert window.end - window.start == timedelta(seconds=LENGTH)
        assert (window.start - EPOCH) % timedelta(seconds=LENGTH) == timedelta()
        assert 0 <= window.coverage.seconds <= LENGTH + 1e-6
    assert all(
        before.end <= after.start for before, after in pairwise(sorted(windows, key=lambda w: w.start))
    )


def runs_back(moments: list[datetime]) -> int:
    return sum(after < before for before, after in pairwise(moments))


@pytest.mark.parametrize("jump", [0.0, 0.7, -0.7, 3.0, -3.0, 45.0, -45.0, HOUR, DAY - 60, 3 * DAY, -9 * 60.0])
def test_nobody_is_lost_and_time_never_runs_back(jump: float) -> None:
    shop = Shop()
    shop.run(20)
    shop.run(20, jump=jump)
    windows = shop.close()
    check(windows)
    assert sum(window.total for window in windows) == shop.visitors == 40
    assert runs_back(shop.watermarks) == 0


def test_while_a_clock_that_was_set_back_is_waited_for_all_count_in_the_open_window() -> None:
    """The windows of that time are out; a window says by its coverage that it was not longer than it is."""
    shop = Shop()
    shop.run(40)
    before = len(shop.windows)
    shop.run(60, jump=-180.0)
    crowded = max(shop.windows[before:], key=lambda w: w.total)
    assert crowded.total > 45
    assert crowded.coverage.seconds <= LENGTH + 1e-6
    assert crowded.coverage.analysed > 3 * LENGTH * FPS


def test_a_clock_set_back_by_more_was_wrong_and_counting_begins_anew() -> None:
    shop = Shop()
    shop.run(20)
    shop.run(20, jump=-2 * HOUR)
    windows = shop.close()
    check(windows)
    assert sum(window.total for window in windows) == shop.visitors
    assert runs_back(shop.watermarks) == 1


def test_a_leap_of_a_day_and_back_again_takes_no_name_from_the_day_to_come() -> None:
    """What was counted while the clock was wrong is called by times to come; nothing else is."""
    shop = Shop()
    shop.run(30)
    leapt_at = shop.clock.now()
    shop.run(30, jump=DAY)
    shop.run(60, jump=-DAY)
    windows = shop.close()
    assert sum(window.total for window in windows) == shop.visitors
    ahead = [w for w in windows if w.start > leapt_at + timedelta(hours=1)]
    assert len(ahead) <= 4  # two minutes of it
    starts = Counter(window.start for window in windows)
    # Only the one in which the clock was set comes twice; the outbox sends the first of them.
    assert [count for count in starts.values() if count > 1] in ([], [2])


def test_a_start_before_the_clock_is_set_fills_no_half_century_with_windows() -> None:
    shop = Shop(EPOCH + timedelta(seconds=3))
    shop.run(20)
    shop.run(20, jump=20_000 * DAY)
    windows = shop.close()
    check(windows)
    assert len(windows) < 10
    assert sum(window.total for window in windows) == shop.visitors
    assert runs_back(shop.watermarks) == 0


@pytest.mark.parametrize("jump", [0.7, -3.0, HOUR, -HOUR, DAY])
def test_who_is_in_view_when_the_clock_jumps_is_counted_once_or_at_most_twice(jump: float) -> None:
    """Out of sight for longer than tracking.lost_after is gone, and a jump cannot be told from that."""
    shop = Shop()
    shop.run(10)
    shop.run(10, jump=jump, at=3)
    total = sum(window.total for window in shop.close())
    assert shop.visitors <= total <= shop.visitors + 1
