from __future__ import annotations

import numpy as np

from training.opinions.heads import fold_of, learn
from training.opinions.settings import OpinionSettings

SETTINGS = OpinionSettings.model_validate_json(
    """{"data": {"folder": "faces"}, "heads": {"epochs": 60, "batch": 16, "rate": 0.01, "drop": 0.1},
        "networks": [{"backbone": "backbone", "source": "a network", "terms": "MIT"}]}"""
)


def test_copies_are_in_one_fold_and_folds_are_equal():
    groups = np.repeat(np.arange(30), 2)
    fold = fold_of(groups, 3, seed=0)
    assert (fold[::2] == fold[1::2]).all()
    assert np.bincount(fold).tolist() == [20, 20, 20]
    assert (fold != fold_of(groups, 3, seed=1)).any()


def test_a_head_learns_ages_from_features(keras):
    ages = np.tile(np.arange(20, 60, dtype=np.float32), 4)
    said = np.column_stack([ages, np.ones_like(ages)])  # the second says nothing, of any face
    probs = learn(said, ages, ages, SETTINGS, seed=0)(np.array([[25, 1], [50, 1], [1e9, 1]], np.float32))
    expected = probs @ np.arange(101)
    assert np.allclose(probs.sum(1), 1, atol=1e-5)
    assert abs(expected[0] - 25) < 5 and abs(expected[1] - 50) < 5
    assert 50 < expected[2] <= 100  # a face unlike all others is judged as the outermost that it knows
