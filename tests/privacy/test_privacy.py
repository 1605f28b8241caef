"""The short part of the attack on the gate; `make prove` is the long one, with the same code."""

from __future__ import annotations

import numpy as np
import pytest

from tests.privacy.averaging import broken_by_averages
from tests.privacy.bounds import Attack, model, told_totals
from tests.privacy.cases import QUICK, WRONG, Case
from tests.privacy.days import SCENARIOS, Run, Scenario, run
from tests.privacy.figures import carry, old
from tests.privacy.prove import adversary_a, adversary_b


@pytest.mark.parametrize("case", QUICK, ids=lambda case: case.name)
def test_only_released_sets_can_be_worked_out(case: Case) -> None:
    found = case.attack()

    assert found.publications > 10
    assert (found.beyond, found.small, found.zero) == (0, 0.0, 0.0)


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case.name)
def test_the_attack_breaks_a_wrong_gate(case: Case) -> None:
    found = case.attack()

    assert found.small + found.zero > 0.03
    assert found.example is not None


def test_noise_drawn_again_is_broken_by_averages() -> None:
    found = broken_by_averages(seed=1, trials=20)

    assert found["again"] >= 0.95
    assert found["once"] < 0.6


def short(scenario: Scenario, seed: int = 1) -> Run:
    """One day of it."""
    return run(scenario, 1, np.random.default_rng(seed))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_the_reader_of_a_day_has_a_true_model_of_it(scenario: Scenario) -> None:
    """Whatever happened is among what the reader holds possible, for both adversaries."""
    for by_window in (False, True):
        known = model(short(scenario), by_window=by_window)
        told_totals(known)
        assert Attack(known, np.random.default_rng(1)).truth_fits()


def test_adversary_a_determines_nothing_of_a_quiet_day() -> None:
    tried, certain = adversary_a(short(SCENARIOS[0]), np.random.default_rng(1))

    assert tried > 300
    assert certain == 0


def test_the_attack_on_days_finds_what_an_exact_total_gives_away() -> None:
    """Adversary B has those of all windows; of a quiet day under the smallest minimum they tell some."""
    visits, certain = adversary_b(short(Scenario("small sets", 4, minimum=2)), np.random.default_rng(1))

    assert visits > 20
    assert certain > 0


def test_what_is_told_keeps_its_goals() -> None:
    rng = np.random.default_rng(1)
    busy, usual = carry(60, 12, 20, rng), carry(20, 12, 20, rng)

    assert busy.by_bracket / busy.visits > 0.97
    assert usual.by_bracket / usual.visits > 0.92
    assert np.median(busy.delays) < 30
    assert old(60, 12, 2, rng) < 0.05
