from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from training.train.config import LossSettings
from training.train.targets import targets


def wanted(low: float, high: float) -> np.ndarray:
    return targets(np.array([low], np.float32), np.array([high], np.float32), 2.0)


def certain(age: int) -> np.ndarray:
    logits = np.full((1, 101), -50.0, np.float32)
    logits[0, age] = 50
    return logits


def test_divergence_is_0_for_the_target_itself_and_more_for_anything_else(keras):
    from training.train.losses import divergence

    target = wanted(40, 40)
    same = np.log(np.maximum(target[:, :101], 1e-12))
    assert float(divergence(target, same)[0]) == pytest.approx(0, abs=1e-4)
    assert float(divergence(target, np.zeros((1, 101), np.float32))[0]) > 1


@pytest.mark.parametrize(("age", "years"), [(25, 0), (20, 0), (29, 0), (15, 5), (40, 11)])
def test_the_error_of_a_group_is_the_distance_to_it(keras, age: int, years: float):
    from training.train.losses import mae

    assert float(mae(wanted(20, 29), certain(age))[0]) == pytest.approx(years, abs=1e-3)


@pytest.mark.parametrize(
    ("kind", "weights"), [("distribution", (1, 0.1)), ("cross_entropy", (1, 0)), ("regression", (0, 1))]
)
def test_each_kind_weighs_divergence_and_years(keras, kind: Any, weights: tuple[float, float]):
    from training.train.losses import age_loss, divergence, mae

    logits = np.random.default_rng(0).normal(size=(1, 101)).astype(np.float32)
    target = wanted(70, 70)
    loss = float(age_loss(LossSettings(kind=kind))(target, logits)[0])
    parts = float(divergence(target, logits)[0]), float(mae(target, logits)[0])
    assert loss == pytest.approx(np.dot(weights, parts), rel=1e-5)
