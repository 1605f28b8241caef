"""A visitor's age: the quality-weighted mean of the crops' distributions, or none where it is too vague."""

from __future__ import annotations

import numpy as np
import pytest

from edge.counting.visitor_age import VisitorAge
from edge.types import AGES


def at(*ages: int) -> np.ndarray:
    """All probability spread evenly over these ages."""
    probs = np.zeros(AGES, np.float32)
    probs[list(ages)] = 1 / len(ages)
    return probs


def fused(*crops: tuple[np.ndarray, float]) -> VisitorAge:
    age = VisitorAge()
    for probs, quality in crops:
        age.add(probs, quality)
    return age


def test_the_age_is_the_mean_weighted_by_quality():
    assert fused((at(20), 0.75), (at(40), 0.25)).decide(max_spread=50) == pytest.approx(25)


@pytest.mark.parametrize(("max_spread", "age"), [(10.0, 30.0), (9.99, None)])
def test_an_age_that_is_too_uncertain_is_none(max_spread: float, age: float | None):
    assert fused((at(20, 40), 1.0)).decide(max_spread) == age


def test_crops_that_disagree_are_uncertain_together():
    assert fused((at(20), 0.5), (at(40), 0.5)).decide(max_spread=9) is None


def test_without_a_crop_of_any_quality_there_is_no_age():
    assert VisitorAge().decide(max_spread=50) is None
    assert fused((at(30), 0.0)).decide(max_spread=50) is None


def test_a_model_that_gives_nan_gives_no_age():
    assert fused((np.full(AGES, np.nan, np.float32), 1.0)).decide(max_spread=50) is None
