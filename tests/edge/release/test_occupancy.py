"""Who is in the store: what a reader could compute from the published entries and exits, and no more."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from datetime import timedelta
from statistics import fmean, pstdev
from typing import Any

import pytest

from edge.release.books.box import BoxBook
from edge.release.noise.sampler import discrete_laplace, variance
from edge.release.rule import exact
from edge.types import Passages
from tests.gates import MIDNIGHT, Box, of, rule, window

DOOR: dict[str, Any] = {"name": "door", "from": [0.2, 0.5], "to": [0.8, 0.5], "entrance": True}
CAMERAS: Any = (("door", {"lines": [DOOR]}),)
OFF = "privacy.minimum=1"
HOUR = timedelta(hours=1)


def box_flow(messages: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [m for m in messages if m["schema"] == "instore.flow/1" and m["box"]]


def inside(messages: Iterable[dict[str, Any]]) -> list[int | None]:
    """In order of time; of a whole day there is none."""
    return [m["occupancy"]["inside"] if "occupancy" in m else None for m in box_flow(messages)]


def day_of(box: Box, hours: int = 24, **fields: Any) -> list[dict[str, Any]]:
    return box.put_until(box.at + hours * HOUR, **fields)


class TestTrueNumbers:
    def test_entries_less_exits_of_the_day_so_far(self) -> None:
        box = Box(rule(OFF, cameras=CAMERAS))
        messages = box.put(lines={"door": Passages(5, 0)}) + box.put(lines={"door": Passages(1, 3)})
        assert inside(messages) == [5, 3]
        assert box_flow(messages)[0]["occupancy"] == {
            "inside": 5,
            "error": 0,
            "since": "2026-01-31T00:00:00Z",
        }

    def test_an_hour_takes_the_place_of_its_windows(self) -> None:
        box = Box(rule(OFF, cameras=CAMERAS))
        messages = day_of(box, 1, lines={"door": Passages(2, 1)}) + box.put(lines={"door": Passages(1, 0)})
        assert inside(messages) == [*range(1, 13), 12, 13]

    def test_it_starts_again_with_the_store_day(self) -> None:
        site = {"name": "store", "day_starts": "06:00"}
        box = Box(rule(OFF, cameras=CAMERAS, site=site))
        messages = day_of(box, 6, lines={"door": Passages(1, 0)}) + box.put(lines={"door": Passages(4, 0)})
        assert inside(messages)[-3:] == [72, None, 4]
        assert box_flow(messages)[-1]["occupancy"]["since"] == "2026-01-31T06:00:00Z"

    def test_it_is_never_below_zero_but_the_sum_goes_on(self) -> None:
        box = Box(rule(OFF, cameras=CAMERAS))
        messages = box.put(lines={"door": Passages(0, 2)}) + box.put(lines={"door": Passages(5, 0)})
        assert inside(messages) == [0, 3]

    @pytest.mark.parametrize(
        ("off", "expected"),
        [(3 * HOUR, [5, 5, 9, 13]), (30 * HOUR, [5, 5, None, 4, 8])],  # the old hour and day end first
    )
    def test_after_the_box_was_off_the_periods_before_come_first(
        self, off: timedelta, expected: list[int | None]
    ) -> None:
        box = Box(rule(OFF, cameras=CAMERAS))
        messages = box.put(lines={"door": Passages(5, 0)})
        box.at += off
        for _ in range(2):
            messages += box.put(lines={"door": Passages(4, 0)})
        assert inside(messages) == expected
        assert [m["end"] for m in box_flow(messages)] == sorted(m["end"] for m in box_flow(messages))

    def test_without_an_entrance_line_there_is_none(self) -> None:
        aisle = (("door", {"lines": [{**DOOR, "entrance": False}]}),)
        assert inside(Box(rule(OFF, cameras=aisle)).put(lines={"door": Passages(5, 0)})) == [None]
        assert inside(Box(rule(OFF)).put({"65+": 1})) == [None]

    def test_a_line_drawn_in_the_course_of_a_day_says_since_when(self) -> None:
        box = Box(rule(OFF, cameras=CAMERAS))
        box.put()
        (message,) = box_flow(box.put(lines={"door": Passages(5, 0)}))
        assert message["occupancy"]["since"] == "2026-01-31T00:05:00Z"

    def test_it_goes_on_after_a_restart(self) -> None:
        box = Box(rule(OFF, cameras=CAMERAS))
        box.put(lines={"door": Passages(5, 0)})
        box.restart()
        assert inside(box.put(lines={"door": Passages(0, 2)})) == [3]

    def test_a_box_of_the_version_before_is_read(self) -> None:
        book = BoxBook(closed={"door": MIDNIGHT})
        stored = book.model_dump_json(exclude={"inside"})
        assert BoxBook.model_validate_json(stored) == book

    def test_two_cameras_are_summed_once_both_have_closed_the_window(self) -> None:
        cameras: Any = (("door", {"lines": [DOOR]}), ("back", {"lines": [DOOR]}))
        box = Box(rule(OFF, cameras=cameras))
        box.gate.put(window(MIDNIGHT, lines={"door": Passages(2, 1)}))
        assert inside(box.take()) == []
        box.gate.put(window(MIDNIGHT, camera="back", lines={"door": Passages(3, 0)}))
        assert inside(box.take()) == [4]


class TestNoise:
    @pytest.mark.parametrize("epsilon", [0.125, 0.5, 2.0])
    def test_the_variance_is_that_of_the_draws(self, epsilon: float) -> None:
        below = random.Random(3).randrange
        drawn = [discrete_laplace(exact(epsilon), below) for _ in range(20_000)]
        assert pstdev(drawn) == pytest.approx(math.sqrt(variance(exact(epsilon))), rel=0.05)

    def test_the_stated_error_is_the_error_and_grows(self) -> None:
        """60 mornings whose true numbers are known."""
        errors, stated = [], []
        for seed in range(60):
            box = Box(rule(cameras=CAMERAS), seed=seed)
            messages = day_of(box, 3, lines={"door": Passages(40, 30)})
            last = box_flow(messages)[-1]["occupancy"]
            errors.append(last["inside"] - 3 * 12 * 10)
            stated.append([m["occupancy"]["error"] for m in box_flow(messages) if m["period"] == "hour"])
        assert fmean(errors) == pytest.approx(0, abs=4 * stated[0][-1] / math.sqrt(60))
        assert fmean(map(abs, errors)) == pytest.approx(stated[0][-1], rel=0.25)
        assert stated[0] == sorted(stated[0])
        assert stated[0][-1] == pytest.approx(stated[0][0] * math.sqrt(3), rel=1e-3)

    def test_a_reader_of_each_message_learns_nothing_that_is_not_published(self) -> None:
        """All occupancies of a day, read as they come, follow from the entries and exits beside them."""
        messages = box_flow(day_of(Box(rule(cameras=CAMERAS)), lines={"door": Passages(3, 2)}))
        hours = windows = 0
        for message in messages:
            if message["period"] == "day":
                continue
            balance = message["entries"] - message["exits"]
            if message["period"] == "hour":
                hours, windows = hours + balance, 0
            else:
                windows += balance
            assert message["occupancy"]["inside"] == max(0, hours + windows)


def test_the_published_numbers_are_of_boxes_only() -> None:
    messages = Box(rule(OFF, cameras=CAMERAS)).put(lines={"door": Passages(5, 0)})
    assert ["occupancy" in m for m in of(messages, "flow") if m["camera"]] == [False]
