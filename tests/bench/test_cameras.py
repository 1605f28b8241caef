"""The search for the most cameras that a box keeps up with."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from bench.cameras import section
from edge.commands.bench.box import Work
from edge.commands.bench.density import MOST, keeps_up, most_cameras


def box(cameras: int, capacity: int, cores_each: float = 0.1) -> Work:
    """A box that keeps up with `capacity` cameras, and drops frames beyond."""
    over = max(0, cameras - capacity)
    return Work(cameras, 8.0, 40 * (cameras - over), 40 * over, cores_each * cameras, 20.0, 50.0, 300.0)


@pytest.mark.parametrize(("capacity", "first"), [(19, 8), (9, 8), (3, 8), (16, 16), (1, 4)])
def test_the_number_is_found_in_a_few_trials(capacity: int, first: int):
    trials = most_cameras(lambda n: box(n, capacity, 2 / capacity), first, trials=6)
    found = max(t.cameras for t in trials if keeps_up(t))
    assert capacity / 1.25 <= found <= capacity


def test_no_more_are_tried_than_there_is_sense_in():
    trials = most_cameras(lambda n: box(n, 10_000, 0.0), 8, trials=9)
    assert trials[-1].cameras == MOST
    assert all(map(keeps_up, trials))


def test_nothing_is_found_where_one_camera_is_too_many():
    trials = most_cameras(lambda n: box(n, 0), 4, trials=9)
    assert trials[-1].cameras == 1
    assert not any(map(keeps_up, trials))


@pytest.mark.parametrize(
    ("analysed", "dropped", "p95", "good"),
    [(199, 1, 200.0, True), (198, 2, 100.0, False), (200, 0, 201.0, False), (0, 0, 0.0, False)],
)
def test_a_box_keeps_up_or_not(analysed: int, dropped: int, p95: float, good: bool):
    assert keeps_up(Work(1, 8.0, analysed, dropped, 1.0, 1.0, p95, 300.0)) is good


def test_the_goal_is_held_against_what_was_found():
    def case(goal: int | None, *trials: Work) -> dict[str, object]:
        good = max((t.cameras for t in trials if keeps_up(t)), default=0)
        bounded = not all(map(keeps_up, trials))
        return {"case": f"goal {goal}", "size": "1x1", "goal": goal, "cameras": good, "bounded": bounded,
                "trials": [asdict(t) for t in trials]}  # fmt: skip

    text = section([case(8, box(8, 9), box(10, 9)), case(16, box(8, 9), box(16, 9)), case(None, box(4, 9))])
    met, missed, none, *_ = text.splitlines()[2:]
    assert "| 8 | 8 | met |" in met
    assert "| 8 | 16 | **missed** |" in missed
    assert "| >= 4 |  |  |" in none
