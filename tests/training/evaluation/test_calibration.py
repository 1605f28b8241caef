from __future__ import annotations

import numpy as np
import pytest

from edge.bundle import calibrate
from tests.training.evaluation.people import BRACKETS, blend, certain, years
from training.evaluation.calibration import DRIFT, calibration_error, fit_temperature, reliability
from training.evaluation.scores import expected_ages, judge
from training.evaluation.truth import Truth


def confident(share: float, right: int, wrong: int):
    """People taken for 30 or so with this confidence, of whom as many are and as many are not."""
    probs = blend({30: share, 36: 1 - share}).repeat(right + wrong, axis=0)
    return judge(probs, years(*[30] * right, *[50] * wrong), BRACKETS)


def test_as_sure_as_right_is_calibrated():
    assert calibration_error(reliability(confident(0.75, right=30, wrong=10))) == pytest.approx(0, abs=1e-6)


def test_too_sure_is_the_gap():
    bins = reliability(confident(0.75, right=10, wrong=30))
    assert [(b.n, b.accuracy) for b in bins] == [(40, 0.25)]
    assert bins[0].low < 0.75 <= bins[0].high
    assert calibration_error(bins) == pytest.approx(0.5, abs=1e-6)


def test_bins_weigh_by_their_faces():
    sure = reliability(judge(certain(30, 30, 30, 50), years(30, 30, 30, 20), BRACKETS))
    assert [b.n for b in sure] == [4]
    assert calibration_error(sure) == pytest.approx(0.25)


def people(temperature: float, far: float) -> tuple[np.ndarray, Truth]:
    """Distributions round the true age with a far second guess, sharpened or flattened."""
    random = np.random.default_rng(0)
    ages = random.integers(5, 95, 400)
    years_ = np.arange(101)
    seen = ages + random.normal(0, 3, 400)
    near = np.exp(-0.5 * ((years_ - seen[:, None]) / 3.0) ** 2)
    guess = far * np.exp(-0.5 * ((years_ - random.integers(0, 101, 400)[:, None]) / 3.0) ** 2)
    probs = near + guess + 1e-9
    return calibrate((probs / probs.sum(axis=1, keepdims=True)).astype(np.float32), temperature), years(*ages)


def test_a_temperature_that_brings_the_error_down_is_found():
    flat, truth = people(4.0, far=0.2)
    temperature = fit_temperature(flat, truth)
    assert temperature < 0.8
    before = np.abs(expected_ages(flat) - truth.low).mean()
    assert np.abs(expected_ages(calibrate(flat, temperature)) - truth.low).mean() < before - 1


def test_too_sure_a_model_is_flattened_where_that_moves_nobody():
    sharp, truth = people(0.5, far=0)
    temperature = fit_temperature(sharp, truth)
    assert 1.5 < temperature < 2.5
    moved = expected_ages(calibrate(sharp, temperature)) - expected_ages(sharp)
    assert np.abs(moved).mean() < DRIFT


def test_calibration_does_not_buy_likelihood_with_the_estimates_of_the_old():
    """Two in five who look 80 are 20; flattened to say so, everybody would be taken for younger."""
    probs = blend({80: 0.995, 20: 0.005}).repeat(100, axis=0)
    temperature = fit_temperature(probs, years(*[80] * 60, *[20] * 40))
    assert temperature > 1
    assert abs(expected_ages(calibrate(probs[:1], temperature))[0] - expected_ages(probs[:1])[0]) <= DRIFT


def test_a_temperature_that_gains_nothing_stays_1():
    assert fit_temperature(certain(10, 50), years(12, 49)) == pytest.approx(1.0)


def test_groups_fit_a_temperature_too():
    sharp, truth = people(0.5, far=0)
    decades = np.floor(truth.low / 10) * 10
    assert fit_temperature(sharp, Truth.of(decades, decades + 9)) > 1
