"""Faces put together from two: what they show, whom they are made of, and the folder that holds them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.errors import ConfigurationError
from tests.training.train import made_up
from training.opinions.composites import compose, composite, pairs
from training.train.batches import Examples
from training.train.composites import CROPS, PROBS, Composites

SIDE = 48


def face(level: int, seed: int = 0) -> np.ndarray:
    """A noisy picture about as bright as `level`."""
    noise = np.random.default_rng(seed).integers(-30, 31, (SIDE, SIDE, 3))
    return (level + noise).clip(0, 255).astype(np.uint8)


def written(folder: Path) -> Composites:
    examples = made_up.examples(12, size=SIDE)
    keys = np.array([f"{n:064x}" for n in range(12)])
    chosen = np.array([[0, 1], [2, 3], [4, 5]])

    def judge(made: Examples, first: np.ndarray) -> np.ndarray:
        assert len(made) == 3
        return np.eye(101, dtype=np.float32)[10 * first]

    compose(examples, chosen, judge, folder, keys=keys, seed=0)
    return Composites.read(folder)


class TestFaces:
    def test_a_face_shows_both(self):
        one, other = face(60, 1), face(200, 2)
        for seed in range(20):
            made = composite(one, other, np.random.default_rng(seed))
            assert made.shape == one.shape
            assert made.dtype == np.uint8
            assert not np.array_equal(made, one)
            assert 55 < made.mean() < 205

    def test_it_takes_on_some_of_the_light_of_the_first(self):
        dark, bright = face(60, 1), face(200, 2)
        made = np.mean([composite(dark, bright, np.random.default_rng(n)).mean() for n in range(200)])
        assert made < (60 + 200) / 2 - 10

    def test_the_same_random_numbers_give_the_same_face(self):
        one, two = (composite(face(60), face(200), np.random.default_rng(7)) for _ in range(2))
        assert np.array_equal(one, two)


class TestPairs:
    def test_are_of_one_fold_of_two_people_and_of_about_the_same_age(self):
        random = np.random.default_rng(0)
        ages = random.integers(0, 100, 200).astype(np.float32)
        fold, groups = random.integers(0, 3, 200), random.integers(0, 150, 200)
        found = pairs(ages, fold, groups, weights=np.ones(200), count=300, random=random)
        one, other = found.T
        assert found.shape == (300, 2)
        assert (fold[one] == fold[other]).all()
        assert (groups[one] != groups[other]).all()
        assert np.abs(ages[one] - ages[other]).max() <= 40
        assert (np.abs(ages[one] - ages[other]) <= 6).mean() > 0.3

    def test_rare_ages_come_first_as_often_as_their_weight(self):
        ages = np.array([20.0] * 90 + [80.0] * 10, np.float32)
        weights = np.array([1.0] * 90 + [9.0] * 10, np.float32)
        zeros = np.zeros(100, np.intp)
        found = pairs(
            ages, zeros, np.arange(100), weights=weights, count=400, random=np.random.default_rng(0)
        )
        assert (ages[found[:, 0]] == 80).mean() == pytest.approx(0.5, abs=0.08)

    def test_people_of_whom_nobody_is_near_are_too_few(self):
        ages, zeros = np.array([5, 90], np.float32), np.zeros(2, np.intp)
        with pytest.raises(ConfigurationError, match=r"composites\.count = 3: too few of the 2 faces"):
            pairs(ages, zeros, np.arange(2), weights=np.ones(2), count=3, random=np.random.default_rng(0))


class TestFolder:
    def test_holds_the_faces_with_their_opinions_and_whom_they_are_made_of(self, tmp_path: Path):
        found = written(tmp_path / "made")
        assert found.crops.shape == (3, SIDE, SIDE, 3)
        assert found.probs.argmax(1).tolist() == [0, 20, 40]
        assert found.keys[1].tolist() == [f"{2:064x}", f"{3:064x}"]

    def test_is_joined_to_the_examples_as_a_set_of_its_own(self, tmp_path: Path):
        found = written(tmp_path / "made")
        ages = np.arange(4, dtype=np.float32)
        opinions = np.full((4, 101), 1 / 101, np.float32)
        crops = np.zeros((4, 64, 64, 3), np.uint8)
        own = Examples(crops, np.arange(4), ages, ages, np.array([0, 0, 1, 1]), opinions)
        joined = found.joined_to(own, 2)
        assert len(joined) == 7
        assert joined.sets is not None
        assert joined.sets.tolist() == [0, 0, 1, 1, 2, 2, 2]
        assert joined.low.tolist() == [0, 1, 2, 3, 0, 20, 40]
        assert np.array_equal(joined.crop(5), found.crops[1])
        assert np.array_equal(joined.crop(3), crops[3])

    @pytest.mark.parametrize("damage", ["missing", "short", "empty"])
    def test_a_damaged_one_is_named(self, tmp_path: Path, damage: str):
        written(tmp_path / "made")
        if damage == "missing":
            (tmp_path / "made" / CROPS).unlink()
        elif damage == "empty":
            (tmp_path / "made" / PROBS).write_bytes(b"")
        else:
            np.save(tmp_path / "made" / PROBS, np.zeros((2, 101), np.float32))
        with pytest.raises(ConfigurationError, match="made: "):
            Composites.read(tmp_path / "made")
