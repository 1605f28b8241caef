"""Averaging numbers that say the same: nearer than one of them, and within the epsilon of a visit."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from edge.release.noise.sampler import discrete_laplace
from tests.privacy.flow.neighbours import SPENDS_MORE
from tests.privacy.flow.readers import (
    VISITS_A_WINDOW,
    WINDOWS,
    averaged,
    bound,
    guessed,
    occupancy_each_second,
    of_worst_visit,
    ways,
)


def test_every_way_says_the_visits_of_the_hour() -> None:
    said = ways()
    assert len(said) > 20
    assert {one.value for one in said} == {WINDOWS * VISITS_A_WINDOW}


def test_the_average_of_all_is_nearer_than_one_and_far_from_exact() -> None:
    said = ways()
    best = min(one.error for one in said)
    assert 0.3 * best < averaged(said) < best


@pytest.mark.parametrize("epsilon", [1.0, 4.0])
def test_a_guess_about_one_visit_is_right_no_more_often_than_its_epsilon_allows(epsilon: float) -> None:
    draws = of_worst_visit(f"privacy.flow_epsilon={epsilon}")
    alone = [max(draws, key=lambda draw: abs(draw[0]) * draw[1])]
    rng = np.random.default_rng(1)
    assert 0.5 < guessed(alone, rng) < guessed(draws, rng) <= bound(epsilon)


def test_a_gate_with_the_whole_budget_for_every_number_is_broken_by_a_guess() -> None:
    with SPENDS_MORE["every number with the whole budget"]():
        draws = of_worst_visit("privacy.flow_epsilon=1")
    assert guessed(draws, np.random.default_rng(1)) > bound(1) + 0.1


def test_noise_drawn_again_at_each_reading_of_the_occupancy_is_averaged_away() -> None:
    rng = np.random.default_rng(1)

    def again() -> int:
        return discrete_laplace(Fraction(1, 4), lambda n: int(rng.integers(n)))

    assert all(abs(occupancy_each_second(seed, again)) < 0.5 for seed in range(2))
    ours = [abs(occupancy_each_second(seed)) for seed in range(8)]
    assert sum(error < 0.5 for error in ours) < 4
    assert np.mean(ours) > 1
