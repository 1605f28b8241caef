"""Who looked leaves by hour and day, out of the budget, with the watchers as a sum of published steps."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest

from edge.quantities import ATTENTION, LOOKED, QUANTITIES, VISITS
from edge.release.checkpoint import decode_open, encode_open
from edge.release.noise.ledger import Level
from tests.gates import MIDNIGHT, Box, of, rule, window

HOUR = timedelta(hours=1)
OFF = "privacy.minimum=1"


def tallies(*visits: int) -> dict[str, dict[str, int]]:
    """How many visits of a window are in each step."""
    return {ATTENTION: dict(zip(QUANTITIES[ATTENTION].cells([LOOKED]), visits, strict=True))}


def flows(messages: list[dict[str, Any]], period: str = "hour") -> list[dict[str, Any]]:
    return of(messages, "flow", period=period, box=None)


def test_the_watchers_are_the_steps_from_the_least_time_on() -> None:
    for least, watchers in ((1, 120), (5, 72)):
        box = Box(rule(OFF, f"attention.min_seconds={least}"))
        messages = box.put_until(MIDNIGHT + HOUR, tallies=tallies(5, 1, 3, 2, 4, 0))
        found = flows(messages)[0]["attention"]
        assert (found["min_seconds"], found["watchers"], found["error"]) == (least, watchers, 0)
        assert found["time"] == {"bounds": [0, 1, 2, 5, 10, 30], "visits": [60, 12, 36, 24, 48, 0]}
        assert all("attention" not in m for m in flows(messages, "window"))


def test_without_it_a_message_is_as_before() -> None:
    assert all("attention" not in m for m in of(Box(rule()).put_until(MIDNIGHT + HOUR), "flow"))


def test_a_visit_spends_its_part_and_no_more() -> None:
    messages = Box(rule()).put_until(MIDNIGHT + 24 * HOUR, tallies=tallies(0, 0, 0, 0, 0, 0))
    spent = Fraction(0)
    for level in ("window", "hour", "day"):
        message = flows(messages, level)[0]
        spent += Fraction(message["privacy"]["epsilon"])
        spent += Fraction(message.get("quantities", {}).get(ATTENTION, {}).get("epsilon", 0))
    assert float(spent) == pytest.approx(float(rule().visit_epsilon))
    shares = rule().flow_shares([ATTENTION])
    assert shares[Level.HOUR, ATTENTION] == shares[Level.HOUR, VISITS] / 2


def test_the_stated_error_of_the_watchers_is_the_error() -> None:
    errors = []
    for seed in range(40):
        box = Box(rule(), seed=seed)
        (message,) = flows(box.put_until(MIDNIGHT + HOUR, tallies=tallies(9, 3, 0, 0, 2, 0)))
        errors.append(abs(message["attention"]["watchers"] - 60))
    assert sum(errors) / len(errors) == pytest.approx(message["attention"]["error"], rel=0.4)


def test_open_windows_keep_it_over_a_restart() -> None:
    one = window(MIDNIGHT, tallies=tallies(1, 2, 3, 4, 5, 6))
    assert decode_open(encode_open([one])) == [one]


def test_an_hour_is_not_drawn_again_after_a_restart() -> None:
    box = Box(rule())
    first = flows(box.put_until(MIDNIGHT + HOUR, tallies=tallies(1, 0, 0, 0, 0, 0)))
    box.restart()
    box.at = MIDNIGHT
    assert len(first) == 1
    assert box.put_until(MIDNIGHT + HOUR, tallies=tallies(1, 0, 0, 0, 0, 0)) == []
