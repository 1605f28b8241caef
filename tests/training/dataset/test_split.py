"""The split: its shares, its copies, and what a new file changes."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from training.dataset.split import PARTS, split, split_beside


def keys(count: int) -> list[str]:
    return [hashlib.sha256(str(i).encode()).hexdigest() for i in range(count)]


def apart(count: int) -> np.ndarray:
    return np.arange(count)


def test_every_span_of_ages_has_its_share():
    ages = np.random.default_rng(0).integers(0, 90, 4000).astype(float)
    parts = split(keys(4000), apart(4000), ages, 0)
    for start in range(0, 90, 5):
        own = parts[(ages >= start) & (ages < start + 5)]
        assert abs((own == "test").sum() - len(own) / 10) <= 1
        assert abs((own == "validation").sum() - len(own) / 10) <= 1


@pytest.mark.parametrize("count", [40, 100, 333])
def test_few_pictures_are_split_too(count: int):
    ages = np.linspace(1, 90, count)
    parts = split(keys(count), apart(count), ages, 0)
    for part in ("validation", "test"):
        assert abs((parts == part).mean() - 0.1) < 0.06
        assert (parts == part).any()


def test_copies_stay_together():
    groups = np.random.default_rng(1).integers(0, 150, 600)
    ages = np.random.default_rng(2).uniform(0, 90, 600)
    parts = split(keys(600), groups, ages, 0)
    for group in set(groups.tolist()):
        assert len(set(parts[groups == group])) == 1
    assert set(parts) == set(PARTS)


def test_the_order_of_the_files_does_not_matter():
    ages = np.random.default_rng(0).uniform(0, 90, 300)
    order = np.random.default_rng(1).permutation(300)
    parts = split(keys(300), apart(300), ages, 0)
    shuffled = split([keys(300)[i] for i in order], apart(300), ages[order], 0)
    assert shuffled.tolist() == parts[order].tolist()


def test_a_file_more_moves_at_most_two_others():
    ages = np.random.default_rng(0).uniform(0, 90, 1000)
    for extra in range(20):
        before = split(keys(980 + extra), apart(980 + extra), ages[: 980 + extra], 0)
        after = split(keys(981 + extra), apart(981 + extra), ages[: 981 + extra], 0)
        assert (after[:-1] != before).sum() <= 2


def test_another_seed_is_another_split():
    ages = np.random.default_rng(0).uniform(0, 90, 300)
    first, second = (split(keys(300), apart(300), ages, seed) for seed in (0, 1))
    assert (first != second).any()


def test_nothing_is_split_into_nothing():
    assert split([], apart(0), np.zeros(0), 0).shape == (0,)


def test_what_the_authors_hold_out_is_the_test_part_with_its_copies():
    ages = np.random.default_rng(0).uniform(0, 90, 600)
    groups = apart(600)
    groups[7] = groups[599]  # a copy among the pictures for training
    held_out = np.arange(600) >= 500
    parts = split_beside(held_out, keys(600), groups, ages, 0)
    assert np.flatnonzero(parts == "test").tolist() == [7, *range(500, 600)]
    assert (parts == "validation").sum() == pytest.approx(50, abs=2)


@pytest.mark.parametrize("held_out", [True, False])
def test_where_all_or_none_are_held_out_there_are_three_parts_all_the_same(held_out: bool):
    ages = np.random.default_rng(0).uniform(0, 90, 300)
    parts = split_beside(np.full(300, held_out), keys(300), apart(300), ages, 0)
    assert parts.tolist() == split(keys(300), apart(300), ages, 0).tolist()
