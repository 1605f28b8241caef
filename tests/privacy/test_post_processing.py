"""Whatever leaves beside the counts tells nothing that the counts do not, and repeats no draw of noise.

The gate itself is run, with restarts, on small random shops.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from datetime import timedelta
from typing import Any

import pytest

from edge.release.rule import Rule
from edge.types import WindowCounts
from tests.gates import BRACKETS, MIDNIGHT, TOPICS, WINDOW, Box, of, rule, window

CELLS = (*BRACKETS, "unclassified")


def play(seed: int, by: Rule, windows: int, *, restarts: bool = False) -> tuple[Box, list[dict[str, Any]]]:
    """A shop of few visitors, its last window the end of the day; the box and all that left it."""
    rng = random.Random(seed)
    box, messages = Box(by, seed=seed), list[dict[str, Any]]()
    for number in range(windows):
        counts = {cell: rng.choice((0, 0, 1, 2)) for cell in rng.sample(CELLS, 2)}
        messages += box.put(counts, last=number == windows - 1)
        if restarts and rng.random() < 0.3:
            box.restart()
    return box, messages


def without_flow(box: Box, messages: list[dict[str, Any]]) -> tuple[str, str]:
    """The counts, and everything else but what carries noise of its own."""
    others = [*of(messages, "today"), *of(messages, "periods")]
    retained = [payload.decode() for _, payload in sorted(box.store.retained.items())]
    return json.dumps(of(messages, "counts")), json.dumps([others, retained])


def test_equal_counts_leave_with_equal_days_hours_and_sums() -> None:
    """Worlds that differ only in what waits give the same messages: those are functions of the counts."""
    seen: defaultdict[str, set[str]] = defaultdict(set)
    worlds = 600
    for seed in range(worlds):
        box, messages = play(seed, rule("privacy.release_every=900"), windows=4)
        counts, others = without_flow(box, messages)
        seen[counts].add(others)
    assert worlds - len(seen) > 100  # many worlds share their counts
    assert {len(others) for others in seen.values()} == {1}


def test_a_day_is_the_sum_of_its_counts() -> None:
    for seed in range(20):
        _, messages = play(seed, rule("privacy.release_every=900"), windows=40, restarts=True)
        counts = of(messages, "counts")
        (day,) = of(messages, "periods", period="day", camera="door")
        hours = of(messages, "periods", period="hour", camera="door")
        told = sum((m["released"] or 0) + sum(m["groups"].values()) + (m["other"] or 0) for m in counts)
        assert day["figures"]["released"] == (told or None)
        assert sum(hour["figures"]["released"] or 0 for hour in hours) == told
        for bracket in BRACKETS:
            of_bracket = sum(m["counts"][bracket] or 0 for m in counts)
            assert (day["figures"]["counts"][bracket] or 0) == of_bracket


@pytest.mark.parametrize("method", ["threshold", "noise"])
def test_every_row_has_one_value_however_often_it_is_read(method: str) -> None:
    """Redelivery, the retained copy and a restart repeat a number and never draw it again."""
    by = rule(f"privacy.method={method}")
    box, messages = play(3, by, windows=30, restarts=True)
    values: defaultdict[str, set[str]] = defaultdict(set)
    for message in messages:
        values[message["window_id"]].add(json.dumps(message))
    box.restart()
    box.at = MIDNIGHT
    for _ in range(30):  # the same recording once more, as after a kill
        box.gate.put(replayed(box))
    for message in box.take():
        values[message["window_id"]].add(json.dumps(message))
    assert {len(found) for found in values.values()} == {1}
    latest = json.loads(box.store.retained[TOPICS.latest("door", "all")])
    assert json.dumps(latest) in values[latest["window_id"]]


def replayed(box: Box) -> WindowCounts:
    """The next window once more, with other visitors."""
    found = window(box.at, {"65+": 7})
    box.at += WINDOW
    return found


def test_the_average_of_all_that_repeats_a_window_is_no_nearer_to_the_truth() -> None:
    """The window's own row, its retained copy, redeliveries and the box's sum carry one draw."""
    for seed in range(30):
        box = Box(rule(), seed=seed)
        messages = box.put({"65+": 3})
        shown = [m["visits"] for m in of(messages, "flow", period="window")]
        assert len(shown) == 2  # the camera and the box
        assert len(set(shown)) == 1


def test_an_hour_has_noise_of_its_own_so_sums_and_hours_average_two_draws_and_no_more() -> None:
    differs = 0
    for seed in range(20):
        box = Box(rule(), seed=seed)
        messages = box.put_until(MIDNIGHT + timedelta(hours=2))
        windows = [m["visits"] for m in of(messages, "flow", period="window", camera="door")]
        hours = [m["visits"] for m in of(messages, "flow", period="hour", camera="door")]
        assert len(hours) == 2
        differs += hours[0] != sum(windows[:12])
    assert differs > 10
