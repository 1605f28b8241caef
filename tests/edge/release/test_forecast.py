"""The forecast against the figures of `bench/results/privacy.md`, and where there is little to foresee."""

from __future__ import annotations

from fractions import Fraction
from math import exp, isnan
from pathlib import Path

import pytest

from edge.brackets import DEFAULT_BRACKETS, parse_brackets
from edge.release.forecast import Gauge, Traffic, forecast
from edge.release.noise.ledger import age_shares, flow_shares
from edge.release.noise.sampler import mean_error

GAUGE = Gauge(parse_brackets(DEFAULT_BRACKETS), minimum=5, release_every=1800, window=300)


@pytest.mark.parametrize(
    ("traffic", "share", "median"),
    [
        (Traffic(300), 1.000, 15),
        (Traffic(60), 0.994, 20),
        (Traffic(20), 0.960, 40),
        (Traffic(60, open_hours=24), 0.997, 20),
        (Traffic(20, open_hours=24), 0.981, 40),
        (Traffic(20 / 3), 0.843, 105),
    ],
)
def test_it_agrees_with_the_long_simulation(traffic: Traffic, share: float, median: int) -> None:
    told = forecast(GAUGE, traffic, days=60)
    assert told.with_bracket == pytest.approx(share, abs=0.02)
    assert told.median_minutes == pytest.approx(median, abs=10)
    assert told.with_bracket + told.with_group + told.other == pytest.approx(1)


def test_it_is_the_same_each_time() -> None:
    assert forecast(GAUGE, Traffic(20)) == forecast(GAUGE, Traffic(20))


def test_the_goals_of_a_store_with_one_zone_are_reached() -> None:
    assert forecast(GAUGE, Traffic(60)).with_bracket >= 0.97
    assert forecast(GAUGE, Traffic(20)).with_bracket >= 0.92


def test_fewer_brackets_and_a_lower_minimum_tell_more_and_earlier() -> None:
    usual = forecast(GAUGE, Traffic(5))
    coarse = Gauge(parse_brackets(["0-17", "18+"]), GAUGE.minimum, GAUGE.release_every, GAUGE.window)
    lower = Gauge(GAUGE.brackets, 3, GAUGE.release_every, GAUGE.window)
    for other in (forecast(coarse, Traffic(5)), forecast(lower, Traffic(5))):
        assert other.with_bracket > usual.with_bracket
        assert other.median_minutes < usual.median_minutes


def test_one_release_a_day_comes_at_its_end() -> None:
    told = forecast(Gauge(GAUGE.brackets, 5, 86_400, 300), Traffic(60))
    assert told.with_bracket == pytest.approx(1, abs=0.01)
    assert told.median_minutes == pytest.approx(12 * 60, abs=15)


def test_a_cell_that_nobody_is_in_changes_nothing() -> None:
    brackets = parse_brackets([*DEFAULT_BRACKETS[:-1], "65-99", "100+"])
    told = forecast(Gauge(brackets, 5, 1800, 300), Traffic(60))
    assert told.with_bracket == pytest.approx(forecast(GAUGE, Traffic(60)).with_bracket, abs=0.01)


@pytest.mark.parametrize("traffic", [Traffic(0), Traffic(60, open_hours=0)])
def test_without_visits_nothing_is_told(traffic: Traffic) -> None:
    told = forecast(GAUGE, traffic)
    assert told.with_bracket == told.with_group == told.other == 0
    assert isnan(told.median_minutes)


def test_a_minimum_beyond_every_cell_leaves_no_bracket() -> None:
    assert forecast(Gauge(GAUGE.brackets, 1000, 1800, 300), Traffic(20)).with_bracket == 0


@pytest.mark.parametrize("epsilon", [Fraction(1, 8), Fraction(1, 2), Fraction(1), Fraction(2)])
def test_the_error_is_the_mean_absolute_value_of_the_noise(epsilon: Fraction) -> None:
    """Summed over the distribution that `edge.release.noise` states."""
    q = exp(-epsilon)
    assert mean_error(epsilon) == pytest.approx(sum(2 * z * (1 - q) / (1 + q) * q**z for z in range(1, 1000)))


def test_the_page_on_privacy_states_these_errors() -> None:
    page = (Path(__file__).parents[3] / "docs" / "privacy.md").read_text(encoding="utf-8")
    stated = [row.split("|")[2:5] for row in page.splitlines() if row.startswith("| mean absolute error")]
    shares = [flow_shares(Fraction(4)), age_shares(Fraction(1)), age_shares(Fraction(2))]
    for cells, one in zip(stated, shares, strict=True):
        errors = [mean_error(epsilon) for epsilon in one.values()]
        assert [float(cell) for cell in cells] == pytest.approx(errors, abs=0.05)
