from __future__ import annotations

import numpy as np
import pytest

from edge.brackets import parse_bracket
from edge.bundle import calibrate
from training.scores import (
    confusion,
    expected_ages,
    fit_temperature,
    score_brackets,
    score_groups,
    score_years,
)


def certain(*ages: int) -> np.ndarray:
    return np.eye(101, dtype=np.float32)[list(ages)]


def test_expected_age_is_the_mean_of_the_distribution():
    half = (certain(20) + certain(31)) / 2
    assert expected_ages(half) == pytest.approx([25.5])


def test_figures_of_a_case_counted_by_hand():
    scores = score_years(certain(10, 20, 30, 50), np.array([10, 23, 36, 70]))
    assert scores["n"] == 4
    assert scores["mae"] == pytest.approx((0 + 3 + 6 + 20) / 4)
    assert scores["median_ae"] == pytest.approx(4.5)
    assert scores["bias"] == pytest.approx(-29 / 4)
    assert scores["cs5"] == pytest.approx(2 / 4)
    assert scores["accuracy"] == pytest.approx(2 / 4)  # 36 is in 35-44, 70 in 65+
    assert scores["within_one"] == pytest.approx(3 / 4)
    assert scores["histogram_tv"] == pytest.approx(2 / 4)


def test_brackets_are_counted_apart():
    scores = score_brackets(certain(10, 20, 30), np.array([10, 12, 30]))
    assert scores == {
        "0-12": {"n": 2, "mae": 4.0, "recall": 0.5},
        "25-34": {"n": 1, "mae": 0.0, "recall": 1.0},
    }


def test_group_distance_is_0_inside_the_interval():
    groups = [parse_bracket(text) for text in ("3-9", "10-19", "70+", "70+")]
    scores = score_groups(certain(9, 25, 90, 60), groups)
    assert scores["n"] == 4
    assert scores["mae"] == pytest.approx((0 + 5 + 0 + 10) / 4)
    assert scores["accuracy"] == pytest.approx(2 / 4)
    assert scores["within_one"] == pytest.approx(4 / 4)


def test_an_age_between_the_groups_is_in_none():
    groups = [parse_bracket(text) for text in ("10-19", "40-49")]
    assert score_groups(certain(25, 45), groups)["accuracy"] == pytest.approx(1 / 2)


def test_confusion_cuts_estimates_to_whole_years():
    probs = np.concatenate([certain(30), certain(30), 0.4 * certain(30) + 0.6 * certain(31)])
    assert confusion(probs, np.array([28, 28, 33])).counts == [(28, 30, 2), (33, 30, 1)]


def noisy_people(temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Distributions round the true age with a far second guess, sharpened or flattened."""
    rng = np.random.default_rng(0)
    ages = rng.integers(5, 95, 400)
    years = np.arange(101)
    near = np.exp(-0.5 * ((years - ages[:, None]) / 3.0) ** 2)
    far = 0.2 * np.exp(-0.5 * ((years - rng.integers(0, 101, 400)[:, None]) / 3.0) ** 2)
    probs = near + far + 1e-9
    return calibrate((probs / probs.sum(axis=1, keepdims=True)).astype(np.float32), temperature), ages


def test_a_temperature_that_helps_is_found():
    flat, ages = noisy_people(4.0)
    temperature = fit_temperature(flat, ages)
    assert temperature < 0.8
    before = np.abs(expected_ages(flat) - ages).mean()
    assert np.abs(expected_ages(calibrate(flat, temperature)) - ages).mean() < before - 1


def test_a_temperature_that_gains_nothing_stays_1():
    assert fit_temperature(certain(10, 50), np.array([12, 49])) == 1.0
