"""How many came together leaves by hour and day, with noise for all changes that one visit makes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from edge.quantities import GROUPS, MEMBERS, QUANTITIES
from edge.release.noise.ledger import Level
from edge.release.noise.sampler import mean_error
from tests.gates import MIDNIGHT, Box, of, rule

HOUR = timedelta(hours=1)


def tallies(*groups: int) -> dict[str, dict[str, int]]:
    """How many groups of a window are of each size."""
    return {GROUPS: dict(zip(QUANTITIES[GROUPS].cells([MEMBERS]), groups, strict=True))}


def flows(messages: list[dict[str, Any]], period: str = "hour") -> list[dict[str, Any]]:
    return of(messages, "flow", period=period, box=None)


def test_true_numbers_with_the_gate_off() -> None:
    box = Box(rule("privacy.minimum=1"))
    (hour,) = flows(box.put_until(MIDNIGHT + HOUR, tallies=tallies(4, 2, 1, 0, 0)))
    assert hour["groups"] == {
        "sizes": [1, 2, 3, 4, 5],
        "groups": [48, 24, 12, 0, 0],
        "several": 36,
        "error": 0,
    }


def test_without_it_a_message_is_as_before() -> None:
    assert all("groups" not in m for m in of(Box(rule()).put_until(MIDNIGHT + HOUR), "flow"))


def test_the_noise_is_for_five_changes() -> None:
    errors = []
    for seed in range(40):
        (hour,) = flows(Box(rule(), seed=seed).put_until(MIDNIGHT + HOUR, tallies=tallies(0, 0, 0, 0, 0)))
        errors += [abs(n) for n in hour["groups"]["groups"]]
    epsilon = rule().flow_shares([GROUPS])[Level.HOUR, GROUPS]
    stated = hour["quantities"][GROUPS]
    assert stated == {
        "epsilon": float(epsilon),
        "error": round(mean_error(epsilon / 5), 3),
        "since": "2026-01-31T00:00:00Z",
    }
    assert sum(errors) / len(errors) == pytest.approx(stated["error"], rel=0.3)
    assert hour["groups"]["error"] > stated["error"]
