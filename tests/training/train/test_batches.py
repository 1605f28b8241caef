from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.training.train import made_up
from training.train.batches import Batches, Examples, draw, shared, train_dataset, validation_dataset


def test_draws_each_as_often_as_its_weight_says_give_or_take_one():
    weights = np.array([1.0, 2.0, 5.0])
    counts = np.bincount(draw(weights, 80, np.random.default_rng(0)), minlength=3)
    assert np.abs(counts - [10, 20, 50]).max() <= 1


def test_an_epoch_of_even_weights_holds_every_picture_once():
    drawn = draw(np.ones(50), 50, np.random.default_rng(1))
    assert sorted(drawn.tolist()) == list(range(50))
    assert drawn.tolist() != list(range(50))


def test_a_batch_depends_on_its_number_and_the_seed_alone(tmp_path: Path):
    settings = made_up.settings(tmp_path, augment={"mix": 0.5})
    first, second = Batches(made_up.examples(), settings), Batches(made_up.examples(), settings)
    for step in (4, 0, 4):
        for a, b in zip(first.make(step), second.make(step), strict=True):
            assert np.array_equal(np.asarray(a), np.asarray(b))
        first.make(step + 1)
    assert not np.array_equal(first.make(0)[0], first.make(1)[0])
    other = Batches(made_up.examples(), made_up.settings(tmp_path, seed=1))
    assert not np.array_equal(first.make(0)[0], other.make(0)[0])


def test_workers_share_a_batch_between_them(tmp_path: Path):
    settings = made_up.settings(tmp_path)
    whole = Batches(made_up.examples(), settings).make(1)[0]
    parts = [Batches(made_up.examples(), settings, part, 2).make(1)[0] for part in range(2)]
    assert np.array_equal(parts[0], whole[0::2])
    assert np.array_equal(parts[1], whole[1::2])


def test_a_blend_has_a_target_between_two_of_about_the_same_age(tmp_path: Path):
    ages = np.array([10, 12, 60, 62] * 8, np.float32)
    crops = np.zeros((32, 64, 64, 3), np.uint8)
    examples = Examples(crops, np.arange(32), ages, ages)
    settings = made_up.settings(tmp_path, augment={"mix": 1.0}, loop={"batch": 32})
    mixed = Batches(examples, settings).make(0)[1]
    assert np.allclose(mixed[:, :101].sum(1), 1, atol=1e-5)
    assert ((mixed[:, 101] < 12.01) | (mixed[:, 101] > 59.99)).all()
    assert len(np.unique(mixed[:, 101])) > 4


def test_a_teacher_has_its_share_of_the_distribution_and_none_of_the_ages(tmp_path: Path):
    examples = made_up.examples(8)
    sure_of_40 = np.eye(101, dtype=np.float32)[np.full(8, 40)]
    taught = replace(examples, opinions=sure_of_40)
    settings = made_up.settings(tmp_path, teacher={"share": 0.25}, loop={"batch": 8})
    plain, mixed = (Batches(one, settings).make(0)[1] for one in (examples, taught))
    assert np.allclose(mixed[:, :101], 0.75 * plain[:, :101] + 0.25 * sure_of_40, atol=1e-6)
    assert np.array_equal(mixed[:, 101:], plain[:, 101:])


def test_faces_put_together_have_their_share_and_the_teacher_s_opinion_as_target(tmp_path: Path):
    sets = np.array([0] * 12 + [1] * 4)  # those after the only data set
    sure_of_40 = np.eye(101, dtype=np.float32)[np.full(16, 40)]
    examples = replace(made_up.examples(16), sets=sets, opinions=sure_of_40)
    teacher = {"opinions": Path("o.npz"), "composites": Path("o"), "composites_share": 0.5, "share": 0.25}
    settings = made_up.settings(tmp_path, teacher=teacher, loop={"batch": 8, "epoch_steps": 50})
    batches = Batches(examples, settings)
    taught = np.concatenate([batches.make(step)[1] for step in range(50)])
    composed = np.isclose(taught[:, 40], 1)
    assert composed.mean() == pytest.approx(0.5, abs=0.02)


def test_examples_must_fit_together():
    with pytest.raises(ValueError, match="2 rows, 3 low"):
        Examples(np.zeros((4, 8, 8, 3), np.uint8), np.arange(2), *np.zeros((2, 3), np.float32))


def test_the_dataset_is_the_batches_from_any_number_on(keras, tmp_path: Path):
    settings = made_up.settings(tmp_path)
    batches = Batches(made_up.examples(), settings)
    made = list(train_dataset(batches, 4, settings).as_numpy_iterator())
    assert len(made) == 2
    for step, (images, wanted) in enumerate(made, start=4):
        assert np.array_equal(images, batches.make(step)[0])
        assert np.array_equal(wanted, batches.make(step)[1])


def test_validation_shows_every_picture_as_it_is_and_in_order(keras, tmp_path: Path):
    examples = made_up.examples(9)
    made = list(validation_dataset(examples, made_up.settings(tmp_path)).as_numpy_iterator())
    assert np.array_equal(np.concatenate([images for images, _ in made]), [*examples.crops])
    assert np.concatenate([wanted for _, wanted in made])[:, 101].tolist() == examples.low.tolist()


def test_each_data_set_has_its_share_of_what_is_drawn():
    weights = np.array([1.0, 3.0, 1.0, 1.0])
    scaled = shared(weights, np.array([0, 0, 1, 1]), (0.8, 0.2))
    assert scaled.tolist() == pytest.approx([0.8, 2.4, 0.4, 0.4])
    assert shared(weights, None, (1.0,)) is weights
