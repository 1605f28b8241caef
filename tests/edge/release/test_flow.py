"""Numbers beside the visits: by hour and day, out of one budget, with their error; as they are with the gate
off.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest

from edge.quantities import (
    ATTENTION,
    DWELL,
    GROUPS,
    LOOKED,
    MEMBERS,
    QUANTITIES,
    QUEUE,
    WAITING,
    ZONES,
)
from edge.release.checkpoint import decode_open, encode_open
from edge.release.noise.ledger import Level
from edge.release.noise.sampler import mean_error
from edge.types import Coverage, Passages
from tests.gates import MIDNIGHT, Box, of, rule, window

HOUR = timedelta(hours=1)
OFF = "privacy.minimum=1"
DOOR = {"door": Passages(1, 0)}


def tallies(**numbers: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """The numbers of a camera with the zones shelf and till, of which till is a queue."""
    parts = {ZONES: ("shelf", "till"), DWELL: ("shelf", "till"), QUEUE: ("till",), WAITING: ("till",)}
    return {
        name: {**dict.fromkeys(QUANTITIES[name].cells(zones), 0), **numbers.get(name, {})}
        for name, zones in parts.items()
    }


ONE = tallies(
    zones={"shelf": 2, "till": 1}, dwell={"shelf/30": 2}, queue={"till": 30}, waiting={"till/60": 1}
)

GROUPED = {GROUPS: dict.fromkeys(QUANTITIES[GROUPS].cells([MEMBERS]), 1)}
LOOKS = {ATTENTION: dict.fromkeys(QUANTITIES[ATTENTION].cells([LOOKED]), 1)}


def hours(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return of(messages, "flow", period="hour", box=None)


class TestOff:
    def test_true_numbers_leave_by_hour_and_day_and_not_by_window(self) -> None:
        box = Box(rule(OFF))
        messages = box.put_until(MIDNIGHT + HOUR, tallies=ONE) + box.put(tallies=ONE, last=True)
        assert all("zones" not in m for m in of(messages, "flow", period="window"))
        hour = hours(messages)[0]
        assert hour["zones"]["shelf"] == {
            "entries": 24,
            "dwell": {"bounds": [0, 5, 15, 30, 60, 120, 300, 600], "visits": [0, 0, 0, 24, 0, 0, 0, 0]},
            "queue": None,
        }
        till = hour["zones"]["till"]["queue"]
        assert (till["person_seconds"], till["mean_length"], till["error"]) == (360, 0.1, 0)
        assert till["waiting"]["visits"] == [0, 0, 12, 0, 0, 0, 0]
        assert hour["quantities"]["dwell"] == {"epsilon": None, "error": 0, "since": "2026-01-31T00:00:00Z"}
        (day,) = of(messages, "flow", period="day", box=None)
        assert day["zones"]["till"]["entries"] == 13

    def test_a_queue_that_nobody_watched_has_no_length(self) -> None:
        unseen = Coverage()
        messages = Box(rule(OFF)).put_until(MIDNIGHT + HOUR, tallies=ONE, coverage=unseen)
        assert hours(messages)[0]["zones"]["till"]["queue"]["mean_length"] is None


class TestQueuesThatComeAndGo:
    """A person stands in the queue all the time, in one window of five minutes of an hour."""

    STANDS: Mapping[str, Any] = {ZONES: {"till": 1}, QUEUE: {"till": 300}}

    def queue(self, *shapes: Mapping[str, Any]) -> tuple[float | None, str]:
        box = Box(rule(OFF))
        for shape in shapes:
            box.put(tallies=shape)
        (hour,) = hours(box.put_until(MIDNIGHT + HOUR))
        return hour["zones"]["till"]["queue"]["mean_length"], hour["quantities"][QUEUE]["since"]

    def test_the_time_after_a_queue_was_removed_is_not_watched(self) -> None:
        assert self.queue(self.STANDS) == (1.0, "2026-01-31T00:00:00Z")

    def test_a_queue_is_counted_from_its_first_window_on(self) -> None:
        assert self.queue({}, {}, self.STANDS) == (1.0, "2026-01-31T00:10:00Z")

    def test_there_is_no_length_where_the_queues_changed_within_the_hour(self) -> None:
        two = {ZONES: {"till": 1, "desk": 0}, QUEUE: {"till": 300, "desk": 0}}
        assert self.queue(two, self.STANDS)[0] is None
        assert self.queue(self.STANDS, two)[0] is None

    def test_an_hour_after_a_queue_was_removed_begins_when_it_is_back(self) -> None:
        """The day of the queue is open all the time."""
        box = Box(rule(OFF))
        box.put(tallies=self.STANDS)
        box.put_until(MIDNIGHT + 3 * HOUR / 2)
        messages = box.put(tallies=self.STANDS, last=True)
        (hour,) = hours(messages)
        assert hour["quantities"][QUEUE]["since"] == "2026-01-31T01:30:00Z"
        assert hour["zones"]["till"]["queue"]["mean_length"] == 1.0
        (day,) = of(messages, "flow", period="day", box=None)
        assert day["quantities"][QUEUE]["since"] == "2026-01-31T00:00:00Z"
        assert day["zones"]["till"]["queue"]["mean_length"] == 1.0


def test_without_zones_a_flow_message_is_as_before() -> None:
    messages = Box(rule()).put_until(MIDNIGHT + HOUR)
    assert all({"zones", "quantities"}.isdisjoint(m) for m in of(messages, "flow"))


class TestBudget:
    def test_every_quantity_says_its_epsilon_and_its_error(self) -> None:
        (hour,) = hours(Box(rule()).put_until(MIDNIGHT + HOUR, tallies=ONE))
        shares = rule().flow_shares((ZONES, DWELL, QUEUE, WAITING))
        expected = {ZONES: (2, 1), DWELL: (1, 1), QUEUE: (1, 300), WAITING: (1, 1)}
        for name, (parts, most) in expected.items():
            epsilon = shares[Level.HOUR, name] / parts
            assert hour["quantities"][name]["epsilon"] == float(epsilon)
            assert hour["quantities"][name]["error"] == round(mean_error(epsilon / most), 3)
        error = hour["zones"]["till"]["queue"]["error"]
        assert error == pytest.approx(hour["quantities"][QUEUE]["error"] / 3600, abs=0.001)

    def test_all_numbers_that_one_visit_touches_are_within_its_epsilon(self) -> None:
        """A visit is in every zone, in one step of `dwell`, and in one step of each queue's waiting time."""
        messages = Box(rule()).put(tallies=ONE, last=True)
        spent = Fraction(0)
        for level in ("window", "hour", "day"):
            message = of(messages, "flow", period=level, box=None)[0]
            touched = {ZONES: 2, DWELL: 1, QUEUE: 1, WAITING: 1}
            stated = message.get("quantities", {})
            spent += Fraction(message["privacy"]["epsilon"])
            spent += sum(Fraction(stated[name]["epsilon"]) * touched[name] for name in stated)
        assert float(spent) == pytest.approx(float(rule().visit_epsilon))

    def test_the_noise_of_a_queue_hides_a_visit_of_the_longest_time(self) -> None:
        """The mean absolute error is that of 300 seconds, not of one."""
        empty = tallies()
        errors = []
        for seed in range(60):
            (hour,) = hours(Box(rule(), seed=seed).put(tallies=empty, last=True))
            errors.append(abs(hour["zones"]["till"]["queue"]["person_seconds"]))
        stated = hour["quantities"][QUEUE]["error"]
        assert sum(errors) / len(errors) == pytest.approx(stated, rel=0.5)
        assert stated > 300

    def test_a_period_is_not_drawn_again_after_a_restart(self) -> None:
        box = Box(rule())
        first = hours(box.put_until(MIDNIGHT + HOUR, tallies=ONE))
        box.restart()
        box.at = MIDNIGHT
        assert len(first) == 1
        assert box.put_until(MIDNIGHT + HOUR, tallies=ONE) == []

    def test_zones_that_come_and_go_spend_no_more_than_the_budget(self) -> None:
        box = Box(rule())
        messages = box.put_until(MIDNIGHT + HOUR / 2)
        messages += box.put_until(MIDNIGHT + 3 * HOUR / 2, tallies=ONE)
        messages += box.put_until(MIDNIGHT + 3 * HOUR)
        first, second = hours(messages)[:2]
        assert first["quantities"][ZONES]["since"] == "2026-01-31T00:30:00Z"
        assert second["zones"].keys() == {"shelf", "till"}
        assert "zones" not in hours(messages)[2]


def test_a_gate_that_is_switched_off_releases_nothing_exactly_of_the_time_before() -> None:
    box = Box(rule())
    box.put(tallies=ONE)
    box.gate.rule = rule(OFF)
    messages = box.put_until(MIDNIGHT + HOUR, tallies=ONE)
    assert hours(messages) == []


def test_a_gate_that_was_on_within_a_period_releases_nothing_of_it_exactly() -> None:
    """Off, on, off: the hour and the day hold visits that were counted under the promise of noise."""
    box, on, off = Box(rule(OFF)), rule(), rule(OFF)
    numbers: dict[str, Any] = {"tallies": {**ONE, **GROUPED, **LOOKS}, "lines": DOOR}
    for by in (off, on, off):
        box.gate.rule = by
        box.put({"65+": 2}, **numbers)
    messages = box.put_until(MIDNIGHT + HOUR, **numbers) + box.put({"65+": 2}, **numbers, last=True)
    assert [m["start"] for m in hours(messages)] == ["2026-01-31T01:00:00Z"]
    assert of(messages, "flow", period="day") == []


class TestStored:
    def test_open_windows_keep_their_numbers_over_a_restart(self) -> None:
        one = window(MIDNIGHT, tallies=ONE)
        assert decode_open(encode_open([one])) == [one]

    def test_a_checkpoint_without_them_is_read(self) -> None:
        payload = encode_open([window(MIDNIGHT)]).replace(b',"tallies":{}', b"")
        assert b"tallies" not in payload
        assert decode_open(payload) == [window(MIDNIGHT)]

    def test_a_window_with_an_unknown_quantity_is_left_out(self) -> None:
        payload = encode_open([window(MIDNIGHT)]).replace(b'"tallies":{}', b'"tallies":{"hats":{"red":1}}')
        assert decode_open(payload) == []

    def test_open_hours_go_on_after_a_restart(self) -> None:
        box = Box(rule(OFF))
        box.put(tallies=ONE)
        box.restart()
        (hour,) = hours(box.put_until(MIDNIGHT + HOUR, tallies=ONE))
        assert hour["zones"]["till"]["entries"] == 12

    def test_a_book_of_before_with_lines_is_read(self) -> None:
        box = Box(rule(OFF))
        box.put(lines=DOOR)
        state = {
            name: payload.replace(b'"beside":', b'"passages":') for name, payload in box.store.state().items()
        }
        assert any(b'"passages":' in payload for payload in state.values())
        box.store.commit(state=state)
        box.restart()
        (hour,) = hours(box.put_until(MIDNIGHT + HOUR, lines=DOOR))
        assert hour["lines"]["door"]["in"] == 12
