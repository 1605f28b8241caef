"""One visit more or less, at its worst, in all that leaves the box: no more than the promised epsilon."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from edge.quantities import Missed
from edge.types import TrackMissed
from tests.gates import MIDNIGHT
from tests.privacy.flow.neighbours import (
    FIRST,
    SPENDS_MORE,
    every_visit,
    of_random_store,
    spent,
    unshared,
    with_groups,
    with_true_occupancy,
    worst,
)
from tests.privacy.flow.store import (
    CAMERA,
    CROSSED_AGES,
    EVERYTHING,
    WINDOW,
    beyond_the_draws,
    settings,
    visit,
)

ALL = [(0, settings(*EVERYTHING, *CROSSED_AGES))]
WAITS = [(0, settings(*EVERYTHING, "privacy.minimum=1000"))]
"""No cell is ever released."""

MISSING = [(0, settings(*EVERYTHING, "missed.enabled=true"))]


def test_the_worst_visit_spends_the_budget_to_the_last() -> None:
    with_it, without = with_groups(worst())
    found = spent(ALL, with_it, without)
    assert (found.flow, found.ages) == (found.flow_epsilon, found.epsilon) == (Fraction(4), Fraction(1))


def test_no_visit_spends_more() -> None:
    found = [spent(ALL, *with_groups(one)) for one in every_visit(sample=0.00005, seed=1)]
    assert len(found) > 15
    assert all(one.is_kept for one in found)
    assert len({one.flow for one in found}) > 10


@pytest.mark.parametrize("seed", range(6))
def test_nor_where_settings_change_within_the_day(seed: int) -> None:
    found = of_random_store(seed)
    assert found.is_kept
    assert found.flow > 1


@pytest.mark.parametrize("name", SPENDS_MORE)
def test_the_attack_finds_a_gate_that_spends_more(name: str) -> None:
    with SPENDS_MORE[name]():
        assert not spent(ALL, *with_groups(worst())).is_kept


def test_the_ledger_keeps_the_promise_of_wrong_shares() -> None:
    with unshared():
        found = spent(ALL, *with_groups(worst()))
    assert found.is_kept
    assert found.flow > 0


def test_a_visit_and_a_track_of_it_that_was_missed_spend_the_budget_together() -> None:
    """A person whom the tracker lost once before they were counted, and somebody whose track goes on from
    theirs, who would have been missed without them.
    """
    with_it, without = with_groups(worst())
    lost, hidden = (TrackMissed(CAMERA, FIRST, reason) for reason in (Missed.BRIEF, Missed.TURNED))
    alone, one = (spent(MISSING, [*with_it, *[lost] * n], without) for n in range(2))
    both, twice = (spent(MISSING, [*with_it, *[lost] * n], [*without, hidden]) for n in (1, 2))
    assert alone.flow < one.flow < both.flow == both.flow_epsilon
    assert not twice.is_kept


def test_with_reentry_a_visit_and_the_one_that_it_hides_spend_the_budget_together() -> None:
    """Without the first, the second would have been counted: at another time, in other cells."""
    first, second = worst(), replace(worst(), at=FIRST + 4 * WINDOW, zone="till", contributions=())
    once, twice = settings(*EVERYTHING), settings(*EVERYTHING, "tracking.reentry=60")
    kept, broken = (spent([(0, by)], [first], [second], 5) for by in (twice, once))
    assert kept.is_kept
    assert kept.flow > 2.5
    assert not broken.is_kept


@pytest.mark.parametrize("schedule", [WAITS, ALL], ids=["threshold", "noise"])
def test_all_that_leaves_is_made_of_the_numbers_with_noise(schedule: list[object]) -> None:
    """Occupancy, sums of the box, today: equal where the noisy numbers are equal, whoever came."""
    ours, theirs = with_groups(worst())
    late = [visit(MIDNIGHT + WINDOW, crosses=[("mat", False)])]
    assert not beyond_the_draws(schedule, [*ours, *late], [*theirs], 2)  # type: ignore[arg-type]


def test_the_attack_finds_an_occupancy_of_true_passages() -> None:
    one = visit(FIRST, crosses=[("mat", True)])
    with with_true_occupancy():
        assert beyond_the_draws(WAITS, [one], [], 2)
