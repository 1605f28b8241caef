"""The comparison of ways to estimate an age mix; QuaPy is the reference for those that it has."""

from __future__ import annotations

import numpy as np
import pytest
from quapy.method.aggregative import ACC, EMQ

from edge.correct import Calibration
from edge.types import AGES
from tests.training.evaluation.people import BRACKETS, judged, noisy
from training.evaluation.scores import Judged, confusion_table
from training.evaluation.shares import ANY, FEWEST_FACES, STORES, by_expectation, compare_methods

LABELS = [bracket.label for bracket in BRACKETS]


def calibration(spread: float) -> Calibration:
    """Of a model whose errors are normal, measured on many faces of each year."""
    years = np.arange(AGES)
    errors = np.exp(-((years[None] - years[:, None]) ** 2) / (2 * spread**2))
    return Calibration.of(LABELS, np.round(1000 * errors / errors.sum(1, keepdims=True)).astype(np.int64))


def rows_of(faces: Judged) -> np.ndarray:
    table = confusion_table(faces, len(BRACKETS)) + 0.01
    return table / table.sum(axis=1, keepdims=True)


@pytest.fixture
def faces() -> Judged:
    return noisy(3000, spread=6)


def test_em_finds_the_mix_that_quapy_finds(faces):
    """To QuaPy each person of an estimated bracket has the posterior that the confusion gives to it."""
    rows, even = rows_of(faces), np.full(8, 1 / 8)
    counts = np.array([5, 80, 60, 40, 30, 20, 10, 15])
    posteriors = (even[:, None] * rows).T
    posteriors /= posteriors.sum(axis=1, keepdims=True)
    found, _ = EMQ.EM(even, np.repeat(posteriors, counts, axis=0), epsilon=1e-7)
    assert by_expectation(counts, rows, prior=0.0) == pytest.approx(found, abs=0.01)


def test_corrected_shares_are_nearer_than_quapys_adjusted_counts(faces):
    """ACC inverts the confusion; on 300 people that amplifies chance, which a prior damps."""
    rows, rng = rows_of(faces), np.random.default_rng(4)
    ours, theirs = [], []
    for _ in range(40):
        true = rng.dirichlet(np.ones(8))
        counts = rng.multinomial(300, true @ rows)
        adjusted = ACC.solve_adjustment(rows.T, counts / 300, method="inversion", solver="minimize")
        ours.append(np.abs(by_expectation(counts, rows) - true).sum() / 2)
        theirs.append(np.abs(adjusted - true).sum() / 2)
    assert np.mean(ours) < np.mean(theirs)


def test_crowds_of_other_mixes_are_corrected_and_covered(faces):
    found = compare_methods(faces, BRACKETS, calibration(6), seed=0, crowds=12)
    assert list(found) == [ANY, *STORES]
    assert found[ANY].corrected < 0.8 * found[ANY].counted
    assert found["teenagers"].corrected < found["teenagers"].counted
    assert all(mix.covered >= 0.9 and 0 < mix.width < 0.5 for mix in found.values())


def test_a_model_that_is_never_wrong_is_not_made_wrong():
    ages = [5, 15, 20, 30, 40, 50, 60, 70] * 30
    (mix,) = [compare_methods(judged(ages, ages), BRACKETS, calibration(0.3), 0, 4)[ANY]]
    assert mix.counted == 0
    assert mix.corrected < 0.05


def test_no_figures_without_a_confusion_or_for_few_faces(faces):
    empty = Calibration.of(LABELS, np.zeros((AGES, AGES), np.int64))
    few = faces.select(np.arange(FEWEST_FACES - 1))
    assert compare_methods(faces, BRACKETS, empty, 0) == {}
    assert compare_methods(few, BRACKETS, calibration(6), 0) == {}


def test_a_seed_draws_the_same_crowds_again(faces):
    once, again = (compare_methods(faces, BRACKETS, calibration(6), 3, 2) for _ in range(2))
    assert once == again
