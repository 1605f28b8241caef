from __future__ import annotations

import numpy as np
import pytest

from tests.training.evaluation.people import BRACKETS, blend, certain, judged, years
from training.evaluation.scores import (
    by_bracket,
    confusion_table,
    expected_ages,
    judge,
    mass,
    summary,
    year_confusion,
)
from training.evaluation.truth import Truth, own_brackets


def test_expected_age_is_the_mean_of_the_distribution():
    assert expected_ages((certain(20) + certain(31)) / 2) == pytest.approx([25.5])


def test_figures_of_a_case_counted_by_hand():
    figures = summary(judged([10, 20, 30, 50], [10, 23, 36, 70]))
    assert figures["n"] == 4
    assert figures["mae"] == pytest.approx((0 + 3 + 6 + 20) / 4)
    assert figures["median_ae"] == pytest.approx(4.5)
    assert figures["bias"] == pytest.approx(-29 / 4)
    assert figures["cs5"] == pytest.approx(2 / 4)
    assert figures["accuracy"] == pytest.approx(2 / 4)  # 36 is in 35-44, 70 in 65+
    assert figures["within_one"] == pytest.approx(3 / 4)


def test_an_error_of_exactly_5_years_is_within_5():
    assert summary(judged([35, 36], [30, 30]))["cs5"] == pytest.approx(1 / 2)


def test_the_error_to_a_group_is_the_distance_to_its_interval():
    truth = Truth.of([3, 10, 70, 70], [9, 19, 100, 100])
    figures = summary(judge(certain(9, 25, 90, 60), truth, own_brackets(truth, BRACKETS)))
    assert figures["mae"] == pytest.approx((0 + 6 + 0 + 10) / 4)
    assert figures["bias"] == pytest.approx((6 - 10) / 4)
    assert figures["accuracy"] == pytest.approx(2 / 4)
    assert figures["within_one"] == pytest.approx(4 / 4)


def test_years_and_groups_are_judged_together():
    truth = Truth.of([25, 20], [25, 29])
    figures = summary(judge(certain(27, 33), truth, own_brackets(truth, BRACKETS)))
    assert figures["mae"] == pytest.approx((2 + 4) / 2)
    assert figures["accuracy"] == pytest.approx(1 / 2)


def test_an_estimate_half_a_year_below_a_bracket_is_in_it():
    half = (certain(34) + certain(35)) / 2
    assert judge(half, years(35), BRACKETS).right.all()


def test_likelihood_is_the_probability_of_the_true_interval():
    spread = (certain(20) + certain(24) + certain(60) + certain(61)) / 4
    assert mass(spread, np.array([20]), np.array([29])) == pytest.approx([0.5])
    truth = Truth.of([20], [29])
    figures = summary(judge(spread, truth, own_brackets(truth, BRACKETS)))
    assert figures["nll"] == pytest.approx(np.log(2))


def test_confidence_is_the_probability_of_the_estimated_bracket():
    spread = blend({30: 0.6, 36: 0.4})
    assert judge(spread, years(30), BRACKETS).confidence == pytest.approx([0.6])


def test_precision_recall_and_f1_counted_by_hand():
    found = by_bracket(judged([10, 20, 30, 40], [10, 12, 30, 30]), BRACKETS)
    assert found["0-12"] == {"n": 2, "mae": 4.0, "precision": 1.0, "recall": 0.5, "f1": pytest.approx(2 / 3)}
    assert found["25-34"] == {"n": 2, "mae": 5.0, "precision": 1.0, "recall": 0.5, "f1": pytest.approx(2 / 3)}
    assert found["18-24"] == {"n": 0, "mae": None, "precision": 0.0, "recall": None, "f1": 0.0}
    assert found["65+"] == {"n": 0, "mae": None, "precision": None, "recall": None, "f1": None}


def test_confusion_has_true_brackets_in_rows():
    table = confusion_table(judged([10, 20, 20], [10, 12, 11]), len(BRACKETS))
    assert table[0, 0] == 1
    assert table[0, 2] == 2
    assert table.sum() == 3


def test_confusion_by_years_takes_the_nearest_one_and_leaves_groups_out():
    probs = np.concatenate([certain(30), certain(30), 0.4 * certain(30) + 0.6 * certain(31), certain(50)])
    truth = Truth.of([28, 28, 33, 50], [28, 28, 33, 59])
    assert year_confusion(probs, truth).counts == [(28, 30, 2), (33, 31, 1)]
