from __future__ import annotations

import pytest

from tests.training.evaluation.people import BRACKETS, judged, noisy
from training.evaluation.crowds import HEADLINE, headline, histogram_error, histogram_errors


def errors(faces, seed: int = 0) -> dict:
    return histogram_errors(faces, len(BRACKETS), seed)


def test_who_is_never_wrong_has_the_right_histogram():
    perfect = errors(judged([5, 15, 30, 50], [5, 15, 30, 50]))
    assert all(figure == 0 for sizes in perfect.values() for figure in sizes.values())


def test_who_is_always_wrong_has_the_wrong_one():
    assert errors(judged([30, 30], [50, 50]))["50"] == {"shifted": 1, "shifted_p90": 1, "same": 1}


def test_errors_that_cancel_out_do_so_only_in_the_mix_of_the_data():
    """A fifth of each side is taken for the other: right for half and half, wrong for any other mix."""
    faces = judged([30] * 8 + [50] * 2 + [50] * 8 + [30] * 2, [30] * 10 + [50] * 10)
    found = errors(faces)["1000"]
    assert found["same"] < 0.02
    assert found["shifted"] == pytest.approx(0.1, abs=0.02)  # mean of 0.4 * |share - 1/2| for a uniform share


def test_chance_matters_less_in_larger_crowds():
    found = errors(noisy(500, spread=5))
    assert found["50"]["same"] > found["200"]["same"] > found["1000"]["same"]
    assert all(sizes["shifted"] < sizes["shifted_p90"] for sizes in found.values())


def test_a_seed_draws_the_same_crowds_again():
    faces = noisy(200, spread=5)
    assert errors(faces, seed=1) == errors(faces, seed=1)
    assert errors(faces, seed=1) != errors(faces, seed=2)


def test_the_headline_is_that_of_one_size():
    faces = noisy(200, spread=5)
    assert headline(errors(faces)) == errors(faces)[str(HEADLINE)]["shifted"]
    assert histogram_error(faces, len(BRACKETS), 0) == pytest.approx(headline(errors(faces)))
