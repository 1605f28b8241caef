"""The error of an audit and its interval: known values, and how often it holds the truth."""

from __future__ import annotations

import numpy as np
import pytest

from edge.audit.error import FEWEST, FEWEST_ROUNDS, LEVEL, Error, Sums, error_of


def audit(*rounds: tuple[int, int]) -> Sums:
    """Of what the person and the box counted in each round."""
    sums = Sums()
    for seen, counted in rounds:
        sums = sums.with_round(seen, counted)
    return sums


def stated(sums: Sums) -> Error:
    assert sums.error is not None
    return sums.error


def test_the_parts_are_the_intervals_of_the_sources() -> None:
    """Wilson's of 10 of 100 is 5.52 to 17.44 %; the score interval of no event in 100 is 0 to 3.84 %."""
    found = error_of(10, 0, 100)
    assert found.share == pytest.approx(-0.1)
    assert found.low == pytest.approx(-0.1 - 0.0744, abs=2e-4)
    assert found.high == pytest.approx(-0.1 + np.hypot(0.0384, 0.0448), abs=2e-4)


def test_nothing_is_stated_of_few_visitors() -> None:
    few = audit(*[(FEWEST, FEWEST)] * (FEWEST_ROUNDS - 1))
    assert few.error is None
    assert few.reason == "no error is stated below 30 visitors and 5 rounds; 4 rounds so far"
    small = audit((FEWEST - 1, FEWEST - 1), *[(0, 0)] * (FEWEST_ROUNDS - 1))
    assert small.error is None
    enough = small.with_round(1, 1)
    assert enough.reason is None
    assert stated(enough).share == 0


def test_no_error_among_thirty_is_no_proof_of_none() -> None:
    found = stated(audit(*[(1, 1)] * 30))
    assert found.share == 0
    assert found.low == pytest.approx(-0.1135, abs=1e-3)  # Wilson's upper end of 0 of 30
    assert found.high == pytest.approx(0.128, abs=1e-3)


def test_a_box_that_counts_nobody_misses_all() -> None:
    found = stated(audit(*[(8, 0)] * 5))
    assert (found.share, found.low) == (-1, -1)
    assert -1 < found.high < -0.8


def test_a_box_that_counts_each_visitor_twice_or_more_has_an_error_above_one() -> None:
    assert stated(audit(*[(6, 18)] * 5)).share == 2


def test_errors_that_cancel_within_rounds_widen_the_interval() -> None:
    """Both audits are short of nobody in sum; in one the rounds differ."""
    steady, uneven = audit(*[(20, 20)] * 6), audit(*[(20, 16), (20, 24)] * 3)
    assert (steady.cancelled, stated(steady).share, stated(uneven).share) == (0, 0, 0)
    assert uneven.cancelled > 0
    widths = [stated(sums).high - stated(sums).low for sums in (steady, uneven)]
    assert widths[1] > 2 * widths[0]


@pytest.mark.parametrize(
    ("size", "missed", "extra", "seen", "least"),
    [
        (1, 0.1, 0.05, 60, 0.94),
        (1, 0.02, 0.01, 30, 0.95),
        (3, 0.1, 0.1, 120, 0.92),
        (6, 0.2, 0.1, 120, 0.90),
        (15, 0.1, 0.05, 300, 0.90),
        (30, 0.05, 0.05, 150, 0.88),
    ],
)
def test_the_interval_holds_the_truth(
    size: int, missed: float, extra: float, seen: int, least: float
) -> None:
    """size: visitors of a round on average; the rounds go on until `seen` visitors were there."""
    rng, held = np.random.default_rng(3), 0
    for _ in range(300):
        sums = Sums()
        while sums.seen < seen:
            there = int(rng.poisson(size)) if size > 1 else 1
            counted = there - int(rng.binomial(there, missed)) + int(rng.poisson(there * extra))
            sums = sums.with_round(there, counted)
        found = stated(sums)
        held += found.low <= extra - missed <= found.high
    assert held / 300 >= least
    assert LEVEL == 0.95
