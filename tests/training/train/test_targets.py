from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.types import AGES
from training.train.targets import age_distributions, draw_weights, targets


def arrays(*intervals: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    low, high = np.array(intervals, np.float32).T
    return low, high


@given(st.floats(0.1, 8))
def test_each_distribution_sums_to_one_and_has_its_age_as_mean(sigma: float):
    rows = age_distributions(sigma)
    assert np.allclose(rows.sum(1), 1)
    assert np.abs(rows @ np.arange(AGES) - np.arange(AGES)).max() < 0.05


def test_in_the_middle_it_is_normal():
    row = age_distributions(2.0)[40]
    assert row[42] / row[40] == pytest.approx(np.exp(-0.5))
    assert np.sqrt(row @ (np.arange(AGES) - 40) ** 2) == pytest.approx(2.0, abs=0.01)


def test_a_group_is_flat_inside_and_smooth_at_its_ends():
    target = targets(*arrays((20, 29)), sigma=2.0)[0, :AGES]
    assert target[24] == pytest.approx(0.1, abs=0.003)
    assert target[24] > target[20] > target[19] > target[17] > 0
    assert target @ np.arange(AGES) == pytest.approx(24.5, abs=0.01)


def test_a_year_and_a_group_stand_in_one_batch_with_their_intervals():
    made = targets(*arrays((34, 34), (70, 100)), sigma=2.0)
    assert made.shape == (2, 103)
    assert made.dtype == np.float32
    assert made[:, AGES:].tolist() == [[34, 34], [70, 100]]


def test_who_is_older_than_100_counts_as_100():
    made = targets(*arrays((116, 116)), sigma=2.0)[0]
    assert made[:AGES].argmax() == 100
    assert made[AGES:].tolist() == [100, 100]


def test_a_narrow_target_is_the_age_alone():
    made = targets(*arrays((7, 7)), sigma=1e-3)[0, :AGES]
    assert made.tolist() == [float(age == 7) for age in range(AGES)]


def test_rare_ages_are_drawn_more_often():
    low = np.array([30.0] * 90 + [80.0] * 10, np.float32)
    weights = draw_weights(low, low, power=0.5, smoothing=1.0)
    assert weights.mean() == pytest.approx(1)
    assert weights[-1] / weights[0] == pytest.approx(3.0, rel=1e-6)


def test_power_0_draws_all_alike_and_power_1_all_ages_alike():
    low = np.array([30.0] * 90 + [80.0] * 10, np.float32)
    assert np.allclose(draw_weights(low, low, power=0.0, smoothing=1.0), 1)
    even = draw_weights(low, low, power=1.0, smoothing=1.0)
    assert even[:90].sum() == pytest.approx(even[90:].sum(), rel=1e-3)


def test_a_group_weighs_as_its_ages_do():
    low, high = arrays(*[(20, 20)] * 8, (60, 69))
    weights = draw_weights(low, high, power=0.5, smoothing=1.0)
    assert weights[-1] > weights[0]
