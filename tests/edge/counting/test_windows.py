"""Windows of event time: half-open, contiguous, each visit in exactly one, whatever the clock does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.brackets import parse_bracket
from edge.counting.windows import Aggregator
from edge.quantities import Contribution
from edge.types import (
    CameraState,
    CountingPlan,
    Crossing,
    Passages,
    Progress,
    StreamEnded,
    Visit,
    WindowCounts,
    ZoneCounts,
)
from tests.fakes import EPOCH

BRACKETS = ("0-17", "18+")
LENGTH = 60


def aggregator(length: int = LENGTH, lateness: float = 0.0) -> Aggregator:
    zones = {"door": ("entry",), "till": ("exit",)}
    return Aggregator("store", CountingPlan(zones, BRACKETS, lateness), length=length)


def at(seconds: float) -> datetime:
    return EPOCH + timedelta(seconds=seconds)


def visit(seconds: float, bracket: str | None = "18+", camera: str = "door") -> Visit:
    return Visit(camera, at(seconds), None if bracket is None else float(parse_bracket(bracket).low))


def progress(
    seconds: float, camera: str = "door", state: CameraState = CameraState.UP, **more: Any
) -> Progress:
    return Progress(camera, at(seconds), state=state, **more)


def ended(seconds: float, camera: str = "door") -> StreamEnded:
    return StreamEnded(camera, at(seconds))


def spans(windows: Iterable[WindowCounts]) -> list[tuple[float, float]]:
    return [((w.start - EPOCH).total_seconds(), (w.end - EPOCH).total_seconds()) for w in windows]


def cells(window: WindowCounts) -> tuple[str, dict[str, int]]:
    """The one zone of a window, and its counts by bracket."""
    ((zone, found),) = window.zones.items()
    return zone, dict(found.counts)


def shape(window: WindowCounts) -> tuple[str, ...]:
    """The zones and the brackets of a window."""
    return (*window.zones, *window.brackets)


def totals(windows: Iterable[WindowCounts]) -> list[int]:
    return [w.total for w in windows]


class TestLines:
    """Passages are counted with their visit; a window has the lines that it began with."""

    PLAN = CountingPlan({"door": ("entry",)}, BRACKETS, 0.0, {"door": ("front", "back")})

    def test_passages_are_in_the_window_of_their_visit(self):
        windows = Aggregator("store", self.PLAN, length=LENGTH)
        windows.progress(progress(0))
        both = (Crossing("front", inward=True), Crossing("back", inward=False))
        windows.count(Visit("door", at(10), None, both))
        windows.count(Visit("door", at(20), 30.0, both[:1]))
        first, second = windows.progress(progress(120))
        assert first.lines == {"front": Passages(2, 0), "back": Passages(0, 1)}
        assert second.lines == {"front": Passages(), "back": Passages()}

    def test_a_new_line_counts_from_the_next_window_on(self):
        windows = Aggregator("store", CountingPlan({"door": ("entry",)}, BRACKETS, 0.0), length=LENGTH)
        windows.progress(progress(0))
        windows.replan(self.PLAN)
        for seconds in (10, 70):
            windows.count(Visit("door", at(seconds), None, (Crossing("front", inward=True),)))
        first, second = windows.progress(progress(120))
        assert first.lines == {}
        assert second.lines["front"] == Passages(1, 0)

    def test_open_windows_go_on_after_a_restart(self):
        before, after = (Aggregator("store", self.PLAN, length=LENGTH) for _ in range(2))
        before.progress(progress(0))
        before.count(Visit("door", at(10), None, (Crossing("front", inward=True),)))
        after.resume(before.open_windows())
        after.count(Visit("door", at(20), None, (Crossing("front", inward=True),)))
        (window,) = after.progress(progress(60))
        assert window.lines["front"] == Passages(2, 0)


class TestWindows:
    def test_begin_at_multiples_of_their_length_not_at_the_first_frame(self):
        windows = aggregator()
        assert windows.progress(progress(75)) == []
        assert windows.open_since("door") == at(60)
        assert spans(windows.progress(progress(120))) == [(60, 120)]

    def test_close_when_the_watermark_reaches_their_end_and_not_before(self):
        windows = aggregator(lateness=2)
        assert windows.progress(progress(0)) == []
        assert windows.progress(progress(61.999)) == []
        assert spans(windows.progress(progress(62))) == [(0, 60)]

    def test_hold_their_start_and_not_their_end(self):
        windows = aggregator()
        windows.progress(progress(0))
        for moment in (0, 59.999999, 60):
            windows.count(visit(moment))
        closed = windows.progress(progress(120))
        assert spans(closed) == [(0, 60), (60, 120)]
        assert totals(closed) == [2, 1]

    def test_name_every_bracket_and_their_place(self):
        windows = aggregator()
        windows.progress(progress(0))
        windows.count(visit(1, "0-17"))
        windows.count(visit(1, None))
        (closed,) = windows.progress(progress(60))
        assert (closed.site, closed.camera_id) == ("store", "door")
        assert closed.zones == {"entry": ZoneCounts({"0-17": 1, "18+": 0}, 1)}

    def test_come_out_empty_too(self):
        windows = aggregator()
        windows.progress(progress(0))
        closed = windows.progress(progress(180, state=CameraState.DOWN))
        assert spans(closed) == [(0, 60), (60, 120), (120, 180)]
        assert totals(closed) == [0, 0, 0]
        assert [w.coverage.seconds for w in closed] == [0, 0, 0]

    def test_of_one_camera_hold_up_no_other(self):
        windows = aggregator()
        windows.progress(progress(0))
        windows.progress(progress(0, "till"))
        windows.count(visit(5, camera="till"))
        assert totals(windows.progress(progress(60))) == [0]
        assert windows.open_since("till") == at(0)
        (closed,) = windows.end(ended(30, "till"))
        assert (closed.camera_id, *closed.zones, closed.total) == ("till", "exit", 1)

    def test_before_1970_are_aligned_as_well(self):
        windows = aggregator()
        windows.progress(progress(-90))
        assert spans(windows.progress(progress(-60))) == [(-120, -60)]


class TestLateness:
    def test_a_visit_behind_the_watermark_goes_into_its_window_while_that_is_open(self):
        windows = aggregator(lateness=5)
        windows.progress(progress(0))
        windows.progress(progress(64))
        windows.count(visit(59))
        assert totals(windows.progress(progress(65))) == [1]
        assert windows.late == 0

    def test_a_visit_of_a_closed_window_is_counted_in_the_oldest_open_one(self):
        windows = aggregator()
        windows.progress(progress(0))
        windows.progress(progress(60))
        windows.count(visit(59))
        assert windows.late == 1
        closed = windows.progress(progress(120))
        assert (spans(closed), totals(closed)) == ([(60, 120)], [1])

    def test_nothing_moves_back_when_the_clock_does(self):
        windows = aggregator()
        windows.progress(progress(0))
        windows.progress(progress(100, state=CameraState.DOWN))
        assert windows.progress(progress(10, analysed=1)) == []
        assert windows.open_since("door") == at(60)
        windows.count(visit(10))
        (closed,) = windows.progress(progress(120))
        assert (closed.total, closed.coverage.analysed, windows.late) == (1, 1, 1)


class TestEnd:
    def test_closes_the_window_that_has_begun(self):
        windows = aggregator(lateness=5)
        windows.progress(progress(0))
        windows.count(visit(70))
        closed = windows.end(ended(70))
        assert (spans(closed), totals(closed)) == ([(0, 60), (60, 120)], [0, 1])

    def test_of_a_camera_that_never_began_closes_nothing(self):
        assert aggregator().end(ended(10)) == []

    def test_forgets_the_camera(self):
        windows = aggregator()
        windows.progress(progress(0))
        windows.end(ended(10))
        assert windows.open_since("door") is None
        assert windows.end(ended(10)) == []


def seen(seconds: float, **options: Any) -> Progress:
    """Progress by an analysed frame."""
    return progress(seconds, analysed=1, **options)


class TestCoverage:
    def cover(self, *steps: Progress) -> list[float]:
        windows = aggregator()
        closed = [w for step in steps for w in windows.progress(step)]
        closed += windows.end(StreamEnded("door", steps[-1].event_time))
        return [w.coverage.seconds for w in closed]

    def test_is_split_where_windows_meet(self):
        assert self.cover(seen(56), seen(59), seen(62)) == [4, 2]

    @pytest.mark.parametrize("state", [CameraState.DOWN, CameraState.FROZEN, CameraState.DARK])
    def test_needs_a_camera_that_is_up(self, state: CameraState):
        assert self.cover(seen(0), seen(2), seen(3, state=state), seen(4), seen(6)) == [4]

    def test_is_not_given_for_a_pause_longer_than_any_picture(self):
        assert self.cover(seen(0), seen(2), seen(5.5), seen(6)) == [2.5]

    def test_is_not_given_for_time_that_passes_without_a_picture(self):
        assert self.cover(seen(0), seen(1), progress(2), progress(3), seen(20), seen(21)) == [2]

    @pytest.mark.parametrize(
        "lost", [[seen(4, dropped={"corrupt": 2})], [progress(3, dropped={"corrupt": 2}), seen(4)]]
    )
    def test_is_not_given_where_frames_could_not_be_decoded(self, lost: list[Progress]):
        assert self.cover(seen(0), seen(2), *lost, seen(5)) == [3]

    def test_is_given_where_frames_were_not_analysed_in_time(self):
        assert self.cover(seen(0), seen(2, dropped={"overwritten": 9})) == [2]

    def test_is_not_given_twice_when_the_clock_goes_back(self):
        assert self.cover(seen(0), seen(3), seen(1), seen(2), seen(4)) == [4]

    def test_counts_frames_and_drops_by_reason(self):
        windows = aggregator()
        windows.progress(progress(1, analysed=1, dropped={"overwritten": 2}))
        windows.progress(progress(2, analysed=1, dropped={"overwritten": 1, "corrupt": 4}))
        (closed,) = windows.end(ended(3))
        assert closed.coverage.analysed == 2
        assert dict(closed.coverage.dropped) == {"overwritten": 3, "corrupt": 4}


class TestClock:
    def test_set_back_a_little_is_waited_for(self):
        windows = aggregator()
        windows.progress(progress(130))
        assert windows.progress(progress(10)) == []
        windows.count(visit(10))
        (late, *_) = windows.progress(progress(200))
        assert (late.start, late.total) == (at(120), 1)

    def test_set_back_by_hours_closes_what_the_wrong_clock_opened_and_starts_anew(self):
        windows = aggregator()
        windows.progress(progress(6 * 3600 + 5))
        windows.count(visit(6 * 3600 + 5))
        (wrong,) = windows.progress(progress(65))
        assert (wrong.start, wrong.total) == (at(6 * 3600), 1)
        windows.count(visit(70))
        (right,) = windows.progress(progress(130))
        assert (right.start, right.total) == (at(60), 1)


class TestRestart:
    def test_goes_on_where_the_open_windows_were(self):
        before, after = aggregator(), aggregator()
        before.progress(progress(10))
        before.count(visit(12))
        assert after.resume(before.open_windows()) == []
        after.count(visit(30))
        (window,) = after.progress(progress(70))
        assert (window.start, window.total) == (at(0), 2)

    def test_closes_what_was_missed_meanwhile(self):
        before, after = aggregator(), aggregator()
        before.progress(progress(10))
        after.resume(before.open_windows())
        closed = after.progress(progress(190))
        assert spans(closed) == [(0, 60), (60, 120), (120, 180)]
        assert [w.coverage.seconds for w in closed] == [0, 0, 0]

    def test_closes_at_once_what_was_configured_otherwise(self):
        before, after = aggregator(length=3600), aggregator()
        before.progress(progress(10))
        before.count(visit(12))
        (misfit,) = after.resume(before.open_windows())
        assert (misfit.end, misfit.total) == (at(3600), 1)

    def test_keeps_the_shape_of_an_open_window_and_takes_the_new_one_after_it(self):
        before = aggregator()
        before.progress(progress(10))
        before.count(visit(12))
        after = Aggregator("store", CountingPlan({"door": ("hall",)}, ("0-29", "30+"), 0.0), length=LENGTH)
        assert after.resume(before.open_windows()) == []
        after.count(visit(30))
        first, second = after.progress(progress(130))
        assert cells(first) == ("entry", {"0-17": 0, "18+": 2})
        assert cells(second) == ("hall", {"0-29": 0, "30+": 0})

    def test_closes_at_once_what_is_of_a_camera_that_is_gone(self):
        before = aggregator()
        before.progress(progress(10))
        after = Aggregator("store", CountingPlan({"till": ("exit",)}, BRACKETS, 0.0), length=LENGTH)
        (misfit,) = after.resume(before.open_windows())
        assert (misfit.camera_id, *misfit.zones, misfit.start) == ("door", "entry", at(0))


class TestPlan:
    """A change of zones and brackets while windows are open."""

    NEW = CountingPlan({"door": ("hall",), "exit": ("back",)}, ("0-29", "30+"), 5.0)

    def test_holds_from_the_next_window_on(self):
        windows = aggregator()
        windows.progress(progress(70))
        windows.replan(self.NEW)
        windows.count(visit(80))
        windows.progress(progress(119))
        windows.count(visit(119))
        windows.progress(progress(121))
        windows.count(visit(121))
        first, second = windows.progress(progress(190))
        assert (first.start, cells(first)) == (at(60), ("entry", {"0-17": 0, "18+": 2}))
        assert (second.start, cells(second)) == (at(120), ("hall", {"0-29": 1, "30+": 0}))

    def test_holds_for_the_window_after_those_that_wait_for_the_late(self):
        windows = aggregator(lateness=30)
        windows.progress(progress(10))
        windows.progress(progress(70))
        windows.replan(self.NEW)
        windows.count(visit(50))
        windows.count(visit(70))
        closed = windows.progress(progress(200))
        assert [(*w.zones, w.total) for w in closed] == [("entry", 1), ("entry", 1), ("hall", 0)]

    def test_the_last_of_several_counts(self):
        windows = aggregator()
        windows.progress(progress(0))
        windows.replan(self.NEW)
        windows.replan(CountingPlan({"door": ("roof",)}, ("0+",), 0.0))
        assert [shape(w) for w in windows.progress(progress(120))] == [
            ("entry", *BRACKETS),
            ("roof", "0+"),
        ]

    def test_begins_with_a_new_camera_at_once(self):
        windows = aggregator()
        windows.replan(self.NEW)
        windows.progress(progress(0, "exit"))
        (window,) = windows.progress(progress(65, "exit"))
        assert shape(window) == ("back", "0-29", "30+")

    def test_leaves_the_windows_of_a_camera_that_is_gone_to_its_end(self):
        windows = aggregator()
        windows.progress(progress(0, "till"))
        windows.replan(self.NEW)
        (window,) = windows.end(ended(10, "till"))
        assert shape(window) == ("exit", *BRACKETS)

    def test_changes_how_long_the_late_are_waited_for(self):
        windows = aggregator()
        windows.replan(self.NEW)
        windows.progress(progress(0))
        assert windows.progress(progress(64.9)) == []
        assert spans(windows.progress(progress(65))) == [(0, 60)]


class TestGap:
    def test_of_a_restart_within_a_day_is_filled_with_empty_windows(self):
        before, windows = aggregator(length=3600), aggregator(length=3600)
        before.progress(progress(0))
        windows.resume(before.open_windows())
        assert len(windows.progress(progress(86_400))) == 24

    def test_of_a_pause_is_filled_and_of_a_clock_that_was_set_is_not(self):
        """The names of windows that are still to come must not be used up, should it be set back."""
        windows = aggregator()
        windows.progress(progress(0))
        assert len(windows.progress(progress(600))) == 10
        assert spans(windows.progress(progress(7200))) == [(600, 660)]
        assert spans(windows.progress(progress(7300))) == [(7200, 7260)]

    def test_of_more_is_a_clock_that_was_set(self):
        windows = aggregator(length=3600)
        windows.progress(progress(0))
        windows.count(visit(5))
        years = 56 * 365 * 86_400
        closed = windows.progress(progress(years + 10))
        assert (spans(closed), totals(closed)) == ([(0, 3600)], [1])
        windows.count(visit(years + 5))
        (last,) = windows.end(ended(years + 20))
        assert (last.start, last.total) == (at(years), 1)


# Steps of event time in seconds, a few backwards and a few very long, and visits somewhat before them.
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("progress"), st.floats(-100, 200) | st.sampled_from([60.0, 86_400.0 * 3])),
        st.tuples(st.just("visit"), st.floats(-200, 0)),
    ),
    max_size=40,
)


@given(
    steps=STEPS,
    lateness=st.sampled_from([0.0, 2.0, 90.0]),
    cameras=st.lists(st.sampled_from(["door", "till"])),
)
def test_every_visit_is_in_exactly_one_window_and_windows_follow_each_other(
    steps: list[tuple[str, float]], lateness: float, cameras: list[str]
):
    windows = aggregator(lateness=lateness)
    now = {"door": 1000.0, "till": 50_000.0}
    visits: Counter[str] = Counter()
    closed: list[WindowCounts] = []
    for number, (kind, seconds) in enumerate(steps):
        camera = cameras[number % len(cameras)] if cameras else "door"
        if kind == "visit":
            visits[camera] += 1
            windows.count(visit(now[camera] + seconds, [*BRACKETS, None][number % 3], camera))
        else:
            now[camera] += seconds
            closed += windows.progress(progress(now[camera], camera))
    contiguous = all(seconds < 86_400 for kind, seconds in steps)
    for camera, moment in now.items():
        closed += windows.end(ended(moment, camera))
        mine = [w for w in closed if w.camera_id == camera]
        assert sum(totals(mine)) == visits[camera]
        for before, after in pairwise(mine):
            assert before.end == after.start or (before.end < after.start and not contiguous)
        for window in mine:
            assert window.end - window.start == timedelta(seconds=LENGTH)
            assert (window.start - EPOCH) % timedelta(seconds=LENGTH) == timedelta()
            assert 0 <= window.coverage.seconds <= LENGTH + 1e-6


class TestZones:
    """A visit is in one zone of its camera; the last takes those of no other."""

    PLAN = CountingPlan({"door": ("till", "rest")}, BRACKETS, 0.0, {}, {"door": {"zones": ("till",)}})

    def test_each_visit_is_counted_in_its_zone(self):
        windows = Aggregator("store", self.PLAN, length=LENGTH)
        windows.progress(progress(0))
        for zone in ("till", "till", "", "elsewhere"):
            windows.count(Visit("door", at(10), 30.0, zone=zone))
        windows.count(Visit("door", at(20), None, zone="till"))
        (window,) = windows.progress(progress(60))
        assert window.zones["till"] == ZoneCounts({"0-17": 0, "18+": 2}, 1)
        assert window.zones["rest"] == ZoneCounts({"0-17": 0, "18+": 2}, 0)
        assert window.total == 5

    def test_a_new_zone_counts_from_the_next_window_on(self):
        windows = Aggregator("store", CountingPlan({"door": ("all",)}, BRACKETS, 0.0), length=LENGTH)
        windows.progress(progress(0))
        windows.replan(self.PLAN)
        entered = (Contribution("zones", "till"),)
        for seconds in (10, 70):
            windows.count(Visit("door", at(seconds), 30.0, contributions=entered, zone="till"))
        first, second = windows.progress(progress(120))
        assert (shape(first)[0], first.total, first.tallies) == ("all", 1, {})
        assert second.zones["till"].total == 1
        assert second.tallies == {"zones": {"till": 1}}

    def test_open_windows_go_on_after_a_restart(self):
        before, after = (Aggregator("store", self.PLAN, length=LENGTH) for _ in range(2))
        visit = Visit("door", at(10), 30.0, contributions=(Contribution("zones", "till"),), zone="till")
        before.progress(progress(0))
        before.count(visit)
        after.resume(before.open_windows())
        after.count(visit)
        (window,) = after.progress(progress(60))
        assert window.zones["till"].total == 2
        assert window.tallies == {"zones": {"till": 2}}
