"""What crossed a line leaves with noise out of one budget, and as it is where the gate is off."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest

from edge.quantities import IN, OUT, VISITS
from edge.release.checkpoint import decode_open, encode_open
from edge.release.noise.ledger import Level, epsilon_of_visit
from edge.types import Passages
from tests.gates import MIDNIGHT, Box, of, rule, window

DOOR = {"name": "door", "from": [0.2, 0.5], "to": [0.8, 0.5], "entrance": True}
AISLE = {**DOOR, "name": "aisle", "entrance": False}
OFF = "privacy.minimum=1"
HOUR = timedelta(hours=1)


def with_lines(*lines: Mapping[str, Any]) -> Any:
    return (("door", {"lines": list(lines)}),)


def passages(**lines: tuple[int, int]) -> dict[str, Passages]:
    return {name: Passages(*line) for name, line in lines.items()}


def flow(messages: list[dict[str, Any]], period: str) -> list[dict[str, Any]]:
    return [m for m in of(messages, "flow", period=period) if m["camera"]]


class TestOff:
    def test_true_passages_leave_with_every_window_hour_and_day(self) -> None:
        box = Box(rule(OFF, cameras=with_lines(DOOR, AISLE)))
        messages = box.put({"65+": 3}, lines=passages(door=(2, 1), aisle=(0, 3)))
        messages += box.put_until(MIDNIGHT + HOUR, lines=passages(door=(1, 0), aisle=(0, 0)))
        first, hour = flow(messages, "window")[0], flow(messages, "hour")[0]
        assert first["lines"] == {
            "door": {"in": 2, "out": 1, "entrance": True},
            "aisle": {"in": 0, "out": 3, "entrance": False},
        }
        assert hour["lines"]["door"] == {"in": 13, "out": 1, "entrance": True}
        assert hour["lines_epsilon"] is None

    def test_the_box_has_the_sums_over_entrance_lines(self) -> None:
        cameras: Any = (("door", {"lines": [DOOR, AISLE]}), ("back", {"lines": [DOOR]}), ("till", {}))
        box = Box(rule(OFF, cameras=cameras))
        for camera, lines in (("door", passages(door=(2, 1), aisle=(9, 9))), ("back", passages(door=(3, 0)))):
            box.gate.put(window(MIDNIGHT, camera=camera, lines=lines))
        assert [m for m in of(box.take(), "flow", period="window") if m["box"]] == []  # the till is missing
        box.gate.put(window(MIDNIGHT, {"65+": 1}, camera="till"))
        (message,) = (m for m in of(box.take(), "flow", period="window") if m["box"])
        assert (message["entries"], message["exits"], message["visits"]) == (5, 1, 1)

    def test_a_camera_without_lines_has_none_and_a_box_without_entrances_no_entries(self) -> None:
        messages = Box(rule(OFF)).put({"65+": 1})
        assert [(m["lines"], m["entries"], m["exits"]) for m in of(messages, "flow")] == [
            ({}, None, None)
        ] * 2


def test_a_gate_that_is_switched_off_releases_nothing_exactly_of_the_time_before() -> None:
    box = Box(rule(cameras=with_lines(DOOR)))
    messages = box.put({"65+": 3}, lines=passages(door=(2, 1)))
    box.gate.rule = rule(OFF, cameras=with_lines(DOOR))
    messages = box.put_until(MIDNIGHT + 24 * HOUR, lines=passages(door=(1, 0)))
    assert [m["start"] for m in flow(messages, "hour")][:1] == ["2026-01-31T01:00:00Z"]
    assert flow(messages, "day") == []


class TestBudget:
    @pytest.mark.parametrize("epsilon", [4.0, 0.1])
    def test_a_visit_spends_the_same_with_lines_and_without(self, epsilon: float) -> None:
        by = rule(f"privacy.flow_epsilon={epsilon}")
        plain, with_lines = by.flow_shares(), by.flow_shares((IN, OUT))
        assert epsilon_of_visit(plain) == epsilon_of_visit(with_lines) == Fraction(str(epsilon))
        assert with_lines[Level.WINDOW, VISITS] == 2 * with_lines[Level.WINDOW, IN]

    def test_lines_share_the_epsilon_of_a_visit_that_crosses_them_all(self) -> None:
        lines = [{**DOOR, "name": f"line {n}"} for n in range(4)]
        by = rule(cameras=with_lines(*lines))
        (message,) = flow(Box(by).put(lines={line["name"]: Passages() for line in lines}), "window")
        share = by.flow_shares((IN, OUT))[Level.WINDOW, IN]
        assert message["lines_epsilon"] == float(share / 4)
        spent = len(lines) * 2 * message["lines_epsilon"] + message["privacy"]["epsilon"]
        assert spent == by.visit_epsilon * Fraction(1, 2)  # all that windows may spend

    def test_every_number_has_noise_of_its_own(self) -> None:
        by = rule("privacy.flow_epsilon=0.01", cameras=with_lines(DOOR, AISLE))
        (message,) = flow(Box(by).put(lines=passages(door=(0, 0), aisle=(0, 0))), "window")
        numbers = [line[way] for line in message["lines"].values() for way in ("in", "out")]
        assert len(set(numbers)) == 4

    def test_a_window_is_not_drawn_again_after_a_restart(self) -> None:
        box = Box(rule(cameras=with_lines(DOOR)))
        box.put(lines=passages(door=(5, 0)))
        box.restart()
        box.at = MIDNIGHT
        assert box.put(lines=passages(door=(5, 0))) == []

    def test_lines_that_come_and_go_spend_no_more_than_the_budget(self) -> None:
        """The ledger refuses what does not fit; nothing ends, and the visits go on."""
        with_line, without = rule(cameras=with_lines(DOOR)), rule()
        box = Box(without)
        messages = box.put_until(MIDNIGHT + HOUR / 2)
        box.gate.rule = with_line
        messages += box.put_until(MIDNIGHT + 2 * HOUR, lines=passages(door=(1, 1)))
        box.gate.rule = without
        messages += box.put_until(MIDNIGHT + 24 * HOUR)
        assert len(flow(messages, "window")) == 24 * 12
        assert {len(m["lines"]) for m in flow(messages, "window")} == {0, 1}
        spent = {"window": 0.0, "hour": 0.0, "day": 0.0}
        for message in flow(messages, "window") + flow(messages, "hour") + flow(messages, "day"):
            lines = 2 * (message["lines_epsilon"] or 0.0)
            spent[message["period"]] = max(spent[message["period"]], lines + message["privacy"]["epsilon"])
        assert sum(spent.values()) <= with_line.visit_epsilon


def test_open_windows_keep_their_passages_over_a_restart() -> None:
    one = window(MIDNIGHT, lines=passages(door=(2, 1)))
    assert decode_open(encode_open([one])) == [one]


def test_a_checkpoint_without_lines_is_read() -> None:
    payload = encode_open([window(MIDNIGHT)]).replace(b',"lines":{}', b"")
    assert b"lines" not in payload
    assert decode_open(payload) == [window(MIDNIGHT)]
