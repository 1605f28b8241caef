from __future__ import annotations

import numpy as np
import pytest

from edge.correct import Observed


def test_a_cell_that_waits_may_hold_none_up_to_the_minimum_less_one() -> None:
    found = Observed.released_with([40, 0], [0, 1], 5)
    assert found.least.tolist() == [40, 0]
    assert found.weights[0].tolist() == [1, 0, 0, 0, 0]
    assert found.weights[1] == pytest.approx([0.2] * 5)
    assert found.released == 40


def test_cells_of_several_cameras_add_up() -> None:
    assert Observed.released_with([7], [2], 3).weights[0] == pytest.approx(np.array([1, 2, 3, 2, 1]) / 9)


def test_nothing_waits_where_the_gate_is_off() -> None:
    assert Observed.released_with([3, 0], [1, 1], 1).weights.tolist() == [[1], [1]]
    assert Observed.exact([3, 0]).weights.tolist() == [[1], [1]]


def test_a_noisy_number_may_stand_for_any_near_it_but_for_none_below_0() -> None:
    found = Observed.with_noise([-3, 50], variance=4.0)
    assert found.least.tolist() == [0, 42]
    assert found.weights[0].argmax() == 0
    assert found.least[1] + found.weights[1].argmax() == 50
    assert found.weights[1, 8 - 2] == pytest.approx(np.exp(-0.5))  # two below is one standard deviation
    assert found.released == 47


def test_numbers_without_noise_are_themselves() -> None:
    found = Observed.with_noise([5, 6], variance=0.0)
    assert (found.least + found.weights.argmax(axis=1)).tolist() == [5, 6]


def test_much_noise_is_seen_in_coarser_steps_round_the_same_number() -> None:
    seen = Observed.with_noise((500, -40), variance=1e4)
    assert seen.weights.shape[1] <= 65
    assert abs(seen.possible[0, seen.weights[0].argmax()] - 500) <= seen.step
    assert seen.possible.min() == 0
    assert seen.weights[1].argmax() == 0
