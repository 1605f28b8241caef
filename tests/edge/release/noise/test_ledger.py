"""A visit's epsilon is bounded by the budget, whatever is asked for and in whatever order."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.release.noise.ledger import (
    AGE_WEIGHTS,
    FLOW_WEIGHTS,
    Ledger,
    Level,
    Node,
    Refused,
    age_shares,
    epsilon_of_visit,
    flow_shares,
)

MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)
LENGTHS = {Level.WINDOW: timedelta(minutes=5), Level.HOUR: timedelta(hours=1), Level.DAY: timedelta(days=1)}


def node(
    level: Level = Level.WINDOW,
    number: int = 0,
    quantity: str = "visits",
    camera: str = "door",
    part: str = "",
) -> Node:
    """The window, hour or day with this number."""
    start = MIDNIGHT + number * LENGTHS[level]
    return Node(camera, level, quantity, start, start + LENGTHS[level], part)


def spent(ledger: Ledger, wanted: Node, epsilon: Fraction | int) -> Ledger:
    """The ledger after this was spent, which nothing may refuse."""
    ledger, refusal = ledger.spend(wanted, Fraction(epsilon))
    assert refusal is None
    return ledger


def reason(ledger: Ledger, wanted: Node, epsilon: Fraction | int) -> Refused | None:
    """Why this is refused; None where it is not."""
    refusal = ledger.spend(wanted, Fraction(epsilon))[1]
    return refusal.reason if refusal else None


ALL_FLOW = {name for level in FLOW_WEIGHTS.values() for name in level}
ALL_AGES = {name for level in AGE_WEIGHTS.values() for name in level}


@given(
    st.fractions(min_value=Fraction(1, 100), max_value=20),
    st.sets(st.sampled_from(sorted(ALL_FLOW - {"visits"}))),
)
def test_whatever_is_configured_the_shares_are_the_whole(epsilon: Fraction, beside: set[str]) -> None:
    assert epsilon_of_visit(flow_shares(epsilon, {"visits", *beside})) == epsilon


def test_the_whole_of_a_visit_is_flow_and_noisy_ages() -> None:
    shares = flow_shares(Fraction(4), ALL_FLOW), age_shares(Fraction(1), ALL_AGES)

    assert epsilon_of_visit(*shares) == 5
    assert epsilon_of_visit(shares[0]) == 4


def test_a_windows_visits_have_an_error_of_about_one_with_all_that_can_be_configured() -> None:
    shares = flow_shares(Fraction(4), ALL_FLOW)

    assert shares[Level.WINDOW, "visits"] == 1  # mean absolute error 0.85
    assert shares[Level.WINDOW, "in"] == shares[Level.WINDOW, "out"] == Fraction(1, 2)
    assert shares[Level.HOUR, "visits"] == Fraction(3, 11)
    assert shares[Level.DAY, "visits"] == Fraction(1, 11)
    assert (Level.WINDOW, "dwell") not in shares


def test_what_a_level_has_does_not_depend_on_what_is_configured() -> None:
    for beside in (set(), {"in", "out"}, ALL_FLOW):
        shares = flow_shares(Fraction(4), {"visits", *beside})
        by_level: dict[Level, Fraction] = defaultdict(Fraction)
        for (level, _), epsilon in shares.items():
            by_level[level] += epsilon
        assert by_level == {Level.WINDOW: 2, Level.HOUR: Fraction(3, 2), Level.DAY: Fraction(1, 2)}


@pytest.mark.parametrize(
    ("epsilon", "quantities"),
    [(0, {"visits"}), (-1, {"visits"}), (4, set()), (4, {"in"}), (4, {"visits", "age"})],
)
def test_shares_of_nothing_and_of_the_unknown_are_refused(epsilon: int, quantities: set[str]) -> None:
    with pytest.raises(ValueError, match="must be"):
        flow_shares(Fraction(epsilon), quantities)


def test_a_day_of_all_numbers_fits_into_the_budget_exactly() -> None:
    shares, ledger = flow_shares(Fraction(4), ALL_FLOW), Ledger(budget=Fraction(4))
    for (level, quantity), epsilon in shares.items():
        for number in range(timedelta(days=1) // LENGTHS[level]):
            ledger = spent(ledger, node(level, number, quantity), epsilon)

    assert ledger.spent(node()) == 4
    assert reason(ledger, node(quantity="one more"), Fraction(1, 1000)) is Refused.BUDGET
    assert sum(len(series.spent) for series in ledger.series) == len(shares)


def test_a_node_is_drawn_once_in_its_life() -> None:
    ledger = spent(Ledger(budget=Fraction(4)), node(), 1)

    assert reason(ledger, node(), 1) is Refused.DRAWN
    assert reason(ledger, node(number=1), 1) is None
    assert reason(ledger, node(camera="till"), 1) is None
    assert reason(ledger, node(part="shelf"), 1) is None
    assert reason(ledger, node(Level.HOUR), 1) is None


def test_other_lengths_of_windows_do_not_draw_the_same_visits_again() -> None:
    ledger = spent(Ledger(budget=Fraction(4)), node(number=1), 1)
    quarter = Node("door", Level.WINDOW, "visits", MIDNIGHT, MIDNIGHT + timedelta(minutes=15))

    assert reason(ledger, quarter, 1) is Refused.DRAWN


def test_a_refusal_says_what_was_asked_and_spends_nothing() -> None:
    before = spent(Ledger(budget=Fraction(4)), node(), 3)

    after, refusal = before.spend(node(Level.HOUR), Fraction(2))

    assert after == before
    assert refusal is not None
    assert refusal.reason is Refused.BUDGET
    assert (refusal.asked, refusal.spent, refusal.budget) == (Fraction(2), Fraction(3), Fraction(4))


def test_one_window_that_has_spent_much_is_enough_to_refuse_its_day() -> None:
    ledger = Ledger(budget=Fraction(4))
    for number in range(12):
        ledger = spent(ledger, node(number=number), 3 if number == 7 else 1)

    assert reason(ledger, node(Level.DAY), 2) is Refused.BUDGET
    assert reason(ledger, node(Level.DAY), 1) is None
    assert reason(ledger, node(Level.HOUR, 1), 2) is None


def test_zones_hold_different_visits_and_the_largest_counts() -> None:
    ledger = Ledger(budget=Fraction(2))
    for zone, epsilon in (("shelf", 1), ("till", Fraction(1, 2))):
        ledger = spent(ledger, node(Level.HOUR, quantity="zones", part=zone), epsilon)

    assert ledger.spent(node()) == 1
    assert reason(ledger, node(), 1) is None


def test_a_smaller_budget_holds_from_now_on_and_a_larger_one_gives_back_nothing() -> None:
    ledger = spent(Ledger(budget=Fraction(4)), node(), 3)

    assert reason(ledger.under(Fraction(2)), node(Level.HOUR), Fraction(1, 2)) is Refused.BUDGET
    assert reason(ledger.under(Fraction(2)), node(Level.HOUR, 1), 2) is None
    assert reason(ledger.under(Fraction(8)), node(), 1) is Refused.DRAWN
    assert ledger.under(Fraction(8)).spent(node()) == 3


def test_what_is_over_is_forgotten_and_the_rest_is_not() -> None:
    ledger = spent(Ledger(budget=Fraction(4)), node(), 1)
    ledger = spent(ledger, node(Level.DAY), 1)

    later = ledger.forget(MIDNIGHT + timedelta(minutes=5))

    assert [series.level for series in later.series] == [Level.DAY]
    assert later.forget(MIDNIGHT + timedelta(days=1)).series == ()


def test_it_is_the_same_after_a_restart() -> None:
    ledger = spent(Ledger(budget=Fraction(5, 2)), node(), Fraction(3, 32))

    assert Ledger.model_validate_json(ledger.model_dump_json()) == ledger


def test_a_node_without_time_and_an_epsilon_of_nothing_are_faults() -> None:
    with pytest.raises(ValueError, match="is not before"):
        Node("door", Level.HOUR, "visits", MIDNIGHT, MIDNIGHT)
    with pytest.raises(ValueError, match="must be above 0"):
        Ledger(budget=Fraction(4)).spend(node(), Fraction(0))


requests = st.tuples(
    st.sampled_from(["door", "till"]),
    st.sampled_from(list(Level)),
    st.sampled_from(["visits", "zones"]),
    st.sampled_from(["", "shelf"]),
    st.integers(0, 30),
    st.integers(1, 20),
    st.integers(1, 8),
)


@given(st.lists(requests, max_size=40))
def test_no_visit_spends_more_than_the_budget_and_nothing_is_drawn_twice(
    asked: list[tuple[str, Level, str, str, int, int, int]],
) -> None:
    ledger = Ledger(budget=Fraction(3))
    minutes: dict[tuple[str, Level, str, str, int], Fraction] = {}
    for camera, level, quantity, part, first, length, quarters in asked:
        start = MIDNIGHT + timedelta(minutes=first)
        wanted = Node(camera, level, quantity, start, start + timedelta(minutes=length), part)
        ledger, refusal = ledger.spend(wanted, Fraction(quarters, 4))
        ledger = Ledger.model_validate_json(ledger.model_dump_json())
        if refusal is None:
            for minute in range(first, first + length):
                key = (camera, level, quantity, part, minute)
                assert key not in minutes
                minutes[key] = Fraction(quarters, 4)

    for camera in ("door", "till"):
        for minute in range(51):
            whole = sum(
                max(
                    minutes.get((camera, level, quantity, part, minute), Fraction(0))
                    for part in ("", "shelf")
                )
                for level in Level
                for quantity in ("visits", "zones")
            )
            assert whole <= 3
