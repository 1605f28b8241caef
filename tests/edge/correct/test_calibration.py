from __future__ import annotations

import numpy as np
import pytest

from edge.correct import Calibration
from edge.correct.calibration import ROW_WEIGHT, SHIFT, TILT
from tests.edge.correct.models import BRACKETS, calibration, table

STILL = np.zeros((1, 2))


def test_rows_are_the_counted_shares_of_each_bracket() -> None:
    faces = np.zeros((101, 101), np.int64)
    faces[10, 10], faces[15, 15], faces[15, 30] = 4000, 3000, 1000
    rows = Calibration.of(("0-12", "13-17", "18+"), faces).rows(STILL)[0]
    assert rows[0] == pytest.approx([1, 0, 0], abs=0.001)
    assert rows[1] == pytest.approx([0, 0.75, 0.25], abs=0.04)  # the few years between them are smoothed


def test_estimates_are_smoothed_as_far_as_few_faces_scatter_by_chance() -> None:
    """Two samples of ten faces of one model: smoothed rows of single years are nearer to each other."""
    errors = np.random.default_rng(5).normal(0, 5, (2, 10))
    samples = np.zeros((2, 101, 101), np.int64)
    for sample, own in zip(samples, errors, strict=True):
        np.add.at(sample, (40, np.rint(40 + own).astype(int)), 1)
    cells = (*(f"{year}-{year}" for year in range(100)), "100+")
    one, other = (Calibration.of(("0-34", "35-44", "45+"), own, cells).rows(STILL)[0, 1] for own in samples)
    plain = np.abs(samples[0, 40] - samples[1, 40]).sum() / 2 / 10
    assert np.abs(one - other).sum() / 2 < plain / 2


def test_a_model_that_is_never_wrong_is_not_smoothed() -> None:
    rows = Calibration.of(BRACKETS, np.diag(np.full(101, 30)).astype(np.int64)).rows(STILL)[0]
    assert rows == pytest.approx(np.eye(8), abs=0.001)


def test_finer_cells_add_up_to_the_rows_of_the_brackets() -> None:
    finer = ("0-6", "7-12", "13-17", "18-24", "25-34", "35-44", "45-54", "55-59", "60-64", "65+")
    rows = Calibration.of(BRACKETS, table(6.0), finer).rows(STILL)[0]
    joined = np.add.reduceat(rows, [0, 2, 3, 4, 5, 6, 7, 9], axis=1)
    assert joined == pytest.approx(calibration().rows(STILL)[0])


def test_a_cell_of_two_brackets_is_at_home_in_both() -> None:
    homes = Calibration.of(("0-12", "13-17", "18+"), table(6.0), ("0-9", "10-14", "15+")).homes
    assert homes[:2] == pytest.approx(np.array([(1, 0, 0), (0.6, 0.4, 0)]))
    assert homes.sum(axis=1) == pytest.approx(1)


def test_every_row_is_a_distribution_under_every_move() -> None:
    rows = calibration().rows(np.array([(3.0, 3.0), (-3.0, 3.0), (40.0, 0.0), (-40.0, 0.0)]))
    assert rows.shape == (4, 8, 8)
    assert rows.min() >= 0
    assert rows.sum(axis=2) == pytest.approx(1)


def test_a_bracket_without_faces_borrows_the_errors_of_all() -> None:
    faces = table(1.0, faces=100)
    faces[65:] = 0
    row = Calibration.of(BRACKETS, faces).rows(STILL)[0, -1]
    assert row.argmax() == 7
    assert row[7] > 0.9


def test_a_bracket_above_every_year_that_a_model_knows_is_counted_as_itself() -> None:
    rows = Calibration.of(("0-100", "101+"), table(6.0)).rows(STILL)[0]
    assert rows == pytest.approx(np.eye(2))


@pytest.mark.parametrize(("move", "years"), [((1.0, 0.0), SHIFT), ((0.0, 1.0), TILT * 15)])
def test_a_move_makes_fifty_year_olds_seem_so_much_older(move: tuple[float, float], years: float) -> None:
    """Nobody errs; at 50, 15 years from the pivot, each year's people move over the edge at 55 one by one."""
    faces = np.diag(np.full(101, 10_000)).astype(np.int64)
    still, moved = Calibration.of(("0-44", "45-54", "55+"), faces).rows(np.array([(0, 0), move]))
    assert still[1, 2] == pytest.approx(0, abs=0.001)
    assert moved[1, 2] == pytest.approx(years / 10, abs=0.05)


def test_a_row_weighs_no_more_than_its_faces_and_than_the_limit() -> None:
    faces = np.zeros((101, 101), np.int64)
    faces[10, 10], faces[50, 50] = 7, 5000
    assert Calibration.of(("0-17", "18-64", "65+"), faces).weights.tolist() == [7, ROW_WEIGHT, 1]


def test_a_table_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"confusion: int64 \(3, 3\)"):
        Calibration.of(BRACKETS, np.zeros((3, 3), np.int64))
