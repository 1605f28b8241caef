"""The bounds that the noise rests on: what one visit adds to a quantity at most."""

from __future__ import annotations

import pytest

from edge.quantities import (
    AGES,
    CROSSED,
    DWELL,
    QUANTITIES,
    QUEUE,
    WAITING,
    ZONES,
    Contribution,
    require_bounded,
)
from edge.release.noise.ledger import AGE_WEIGHTS, FLOW_WEIGHTS, Level


@pytest.mark.parametrize(
    ("value", "step"), [(0, 0), (4.99, 0), (5, 5), (29.9, 15), (600, 600), (9000, 600), (-1, 0)]
)
def test_a_step_holds_its_lower_bound_and_the_last_is_open(value: float, step: int) -> None:
    assert QUANTITIES[DWELL].step(value) == step


def test_a_histogram_has_a_cell_for_each_step_of_each_part() -> None:
    assert QUANTITIES[WAITING].cells(["till"])[:2] == ("till/0", "till/30")
    assert QUANTITIES[ZONES].cells(["till", "shelf"]) == ("till", "shelf")


def test_parts_that_one_visit_may_be_in_share_its_epsilon() -> None:
    assert QUANTITIES[WAITING].parts_of_visit(QUANTITIES[WAITING].cells(["one", "two"])) == 2
    assert QUANTITIES[DWELL].parts_of_visit(QUANTITIES[DWELL].cells(["one", "two"])) == 1


WITH_AGES = {AGES, *CROSSED.values()}


@pytest.mark.parametrize("name", QUANTITIES)
def test_every_quantity_has_a_share_of_one_budget_and_of_windows_where_it_has_numbers_by_window(
    name: str,
) -> None:
    ours, other = (AGE_WEIGHTS, FLOW_WEIGHTS) if name in WITH_AGES else (FLOW_WEIGHTS, AGE_WEIGHTS)
    assert (name in ours[Level.WINDOW]) == QUANTITIES[name].by_window
    assert name in ours[Level.HOUR]
    assert not any(name in other[level] for level in Level)


@pytest.mark.parametrize("amount", [0, 301])
def test_a_visit_adds_no_more_than_the_noise_hides(amount: int) -> None:
    with pytest.raises(ValueError, match="a visit adds"):
        Contribution(QUEUE, "till", amount)


def test_a_visit_is_in_one_cell_of_a_part() -> None:
    require_bounded([Contribution(WAITING, "one/30"), Contribution(WAITING, "two/30")])
    with pytest.raises(ValueError, match="too many cells"):
        require_bounded([Contribution(WAITING, "one/30"), Contribution(WAITING, "one/60")])
    with pytest.raises(ValueError, match="too many cells"):
        require_bounded([Contribution(DWELL, "one/30"), Contribution(DWELL, "two/30")])


def test_a_visit_enters_three_zones_at_most_however_many_there_are() -> None:
    names = [f"{n}" for n in range(9)]
    require_bounded([Contribution(ZONES, name) for name in names[:3]])
    with pytest.raises(ValueError, match="too many cells"):
        require_bounded([Contribution(ZONES, name) for name in names[:4]])
    assert QUANTITIES[ZONES].parts_of_visit(names) == 3
