from __future__ import annotations

import numpy as np
import pytest

from tests.training.evaluation.people import judged, noisy
from training.evaluation.bootstrap import interval, intervals, resamples


def test_the_interval_is_that_of_the_mean():
    faces = noisy(400, spread=6)
    low, high = intervals(faces, seed=0)["mae"]
    error = faces.error.std() / np.sqrt(len(faces))
    assert low == pytest.approx(faces.error.mean() - 1.96 * error, abs=0.3 * error)
    assert high == pytest.approx(faces.error.mean() + 1.96 * error, abs=0.3 * error)


def test_four_times_the_faces_halve_the_interval():
    few, many = (intervals(noisy(n, spread=6), seed=0)["mae"] for n in (200, 800))
    assert (few[1] - few[0]) / (many[1] - many[0]) == pytest.approx(2, rel=0.25)


def test_faces_that_are_all_alike_leave_no_doubt():
    found = intervals(judged([30] * 9, [33] * 9), seed=0)
    assert found == {"mae": (3, 3), "cs5": (1, 1), "accuracy": (1, 1), "within_one": (1, 1)}


def test_a_seed_draws_the_same_again_and_another_does_not():
    assert intervals(noisy(50, 6), seed=3) == intervals(noisy(50, 6), seed=3)
    assert intervals(noisy(50, 6), seed=3) != intervals(noisy(50, 6), seed=4)


def test_draws_are_with_replacement_and_as_many_as_there_are():
    drawn = list(resamples(40, seed=0, draws=5))
    assert [len(index) for index in drawn] == [40] * 5
    assert all(len(set(index.tolist())) < 40 for index in drawn)


def test_an_interval_holds_the_middle_95_of_100():
    assert interval(np.arange(1001)) == pytest.approx((25, 975))
