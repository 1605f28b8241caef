from __future__ import annotations

import numpy as np
import pytest

from edge.brackets import parse_brackets
from edge.errors import ConfigurationError
from tests.training.evaluation.people import BRACKETS, years
from training.evaluation.truth import Truth, own_brackets, ranks, true_ranks


def labels(*groups: tuple[int, int]) -> list[str]:
    truth = Truth.of(*zip(*groups, strict=True))
    return [bracket.label for bracket in own_brackets(truth, BRACKETS)]


def test_years_are_judged_in_the_default_brackets():
    assert own_brackets(years(3, 40), BRACKETS) == BRACKETS


def test_groups_are_judged_in_themselves():
    assert labels((3, 9), (0, 2), (70, 100), (10, 69), (3, 9)) == ["0-2", "3-9", "10-69", "70+"]


def test_years_beside_groups_are_judged_in_the_groups():
    assert labels((0, 17), (25, 25), (18, 100)) == ["0-17", "18+"]


def test_what_groups_leave_out_is_a_bracket_too():
    assert labels((10, 19), (40, 49)) == ["0-9", "10-19", "20-39", "40-49", "50+"]


def test_groups_that_overlap_are_named():
    with pytest.raises(ConfigurationError, match="20-29 and 25-34 overlap"):
        labels((20, 29), (25, 34))


def test_a_group_across_two_brackets_is_named():
    with pytest.raises(ConfigurationError, match="20-29 lies in the brackets 18-24 and 25-34"):
        true_ranks(Truth.of([20], [29]), BRACKETS)


def test_a_label_is_completed_years_and_an_estimate_the_nearest_year():
    adults = parse_brackets(["0-17", "18+"])
    assert true_ranks(years(17, 17.9, 18), adults).tolist() == [0, 0, 1]
    assert ranks(np.array([17.4, 17.5, 17.9, 18.0]), adults).tolist() == [0, 1, 1, 1]


def test_people_over_100_count_as_100():
    assert Truth.of([116], [116]).low.tolist() == [100]


def test_the_nearest_age_of_an_interval():
    truth = Truth.of([20, 20, 20, 34], [29, 29, 29, 34])
    assert truth.nearest(np.array([15.0, 25.0, 31.0, 30.0])).tolist() == [20, 25, 29, 34]
