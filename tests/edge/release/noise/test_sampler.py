"""The noise has the distribution that it claims, exactly, and hides one visit as well as it claims."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.release.noise.sampler import RandomBelow, _with_probability_exp, discrete_laplace
from tests.privacy.noise import fit, losses

DRAWS = 100_000


def draws(epsilon: Fraction, number: int, seed: int) -> Counter[int]:
    """How often each value was drawn."""
    random_below = Random(seed).randrange
    return Counter(discrete_laplace(epsilon, random_below) for _ in range(number))


@pytest.mark.parametrize(
    "epsilon", [Fraction(1, 10), Fraction(3, 8), Fraction(1), Fraction(5, 2), Fraction(4)]
)
def test_values_come_as_often_as_the_formula_says(epsilon: Fraction) -> None:
    assert fit(epsilon, draws(epsilon, 20_000, seed=13)) > 0.001


@pytest.mark.parametrize("scale", [Fraction(95, 100), Fraction(105, 100)])
def test_the_comparison_notices_noise_that_is_five_percent_off(scale: Fraction) -> None:
    assert fit(Fraction(1), draws(scale, 20_000, seed=13)) < 0.001


def neighbours(epsilon: Fraction) -> tuple[Counter[int], Counter[int]]:
    """What is published of 7 visits, and of the same visits and one more."""
    without, with_it = draws(epsilon, DRAWS, seed=1), draws(epsilon, DRAWS, seed=2)
    return Counter({7 + z: n for z, n in without.items()}), Counter({8 + z: n for z, n in with_it.items()})


def test_one_visit_more_is_told_by_no_more_than_epsilon() -> None:
    assert 0.9 < max(losses(*neighbours(Fraction(1)))) <= 1.1


def test_the_estimate_notices_noise_that_is_too_small() -> None:
    assert max(losses(*neighbours(Fraction(5, 4)))) > 1.1


def exact_chance(game: Callable[[RandomBelow], bool], depth: int) -> tuple[Fraction, Fraction]:
    """The exact chances that `game` ends with True and with False within `depth` random numbers."""
    won = lost = Fraction(0)
    waiting: list[tuple[tuple[int, ...], Fraction]] = [((), Fraction(1))]
    while waiting:
        given_numbers, chance = waiting.pop()
        try:
            outcome = game(_Replay(given_numbers))
        except _Asked as asked:
            if len(given_numbers) < depth:
                waiting += [((*given_numbers, i), chance / asked.below) for i in range(asked.below)]
            continue
        won, lost = (won + chance, lost) if outcome else (won, lost + chance)
    return won, lost


class _Asked(Exception):  # noqa: N818 - no error: the game asks for one more number
    def __init__(self, below: int) -> None:
        self.below = below


class _Replay:
    """Gives these numbers, then asks for more."""

    def __init__(self, numbers: tuple[int, ...]) -> None:
        self._numbers = list(numbers)

    def __call__(self, below: int) -> int:
        if not self._numbers:
            raise _Asked(below)
        return self._numbers.pop(0)


@pytest.mark.parametrize(("numerator", "denominator"), [(0, 1), (1, 3), (2, 3), (1, 1)])
def test_the_coin_is_exact_to_the_last_term_that_is_enumerated(numerator: int, denominator: int) -> None:
    won, lost = exact_chance(lambda below: _with_probability_exp(numerator, denominator, below), depth=5)

    assert won <= Fraction(math.exp(-numerator / denominator)) + Fraction(1, 10**12)
    assert 1 - lost >= Fraction(math.exp(-numerator / denominator)) - Fraction(1, 10**12)
    assert 1 - won - lost == Fraction(numerator, denominator) ** 5 / math.factorial(5)


@given(st.fractions(min_value=Fraction(1, 1000), max_value=20), st.integers(min_value=0))
def test_any_fraction_above_zero_gives_a_whole_number(epsilon: Fraction, seed: int) -> None:
    assert isinstance(discrete_laplace(epsilon, Random(seed).randrange), int)


@pytest.mark.parametrize("epsilon", [Fraction(0), Fraction(-1)])
def test_noise_without_an_epsilon_is_refused(epsilon: Fraction) -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        discrete_laplace(epsilon, Random(1).randrange)
