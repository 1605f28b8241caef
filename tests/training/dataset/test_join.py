"""Several data sets as one."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.errors import ConfigurationError
from tests.training.evaluation.people import labelled_folder
from training.dataset import prepare
from training.dataset.join import DATA_SET, JoinedCrops, apart


@pytest.fixture
def places(tmp_path: Path) -> list[Path]:
    """Two data sets of 30 pictures of noise; the second is shown upside down, but for its first picture."""
    first, second = (labelled_folder(tmp_path / name) for name in ("first", "second"))
    for file in sorted((second / "final_files").iterdir())[1:]:
        picture = cv2.imread(str(file))
        assert picture is not None
        cv2.imwrite(str(file), np.asarray(cv2.flip(picture, 0)))
    return [first, second]


def test_crops_of_several_sets_are_in_one_row():
    a, b = (np.full((n, 4, 4, 3), n, np.uint8) for n in (2, 3))
    joined = JoinedCrops.of([a, b])
    assert [int(crop[0, 0, 0]) for crop in joined] == [2, 2, 3, 3, 3]
    assert len(joined) == 5
    with pytest.raises(IndexError):
        joined[5]


def test_copies_in_two_sets_go_to_the_part_furthest_from_training():
    split = np.array(["train", "test", "validation", "train", "train"])
    groups = np.array([0, 0, 1, 1, 2])
    assert apart(split, groups).tolist() == ["test", "test", "validation", "validation", "train"]


def test_each_set_keeps_its_own_split(places: list[Path], tmp_path: Path):
    alone = [prepare([one], size=32, scale=1.04, cache=tmp_path / "cache", seed=0) for one in places]
    both = prepare(places, size=32, scale=1.04, cache=tmp_path / "cache", seed=0)
    assert both.splits == tuple(one.split_hash() for one in alone)
    assert both.sets.tolist() == [0] * len(alone[0]) + [1] * len(alone[1])
    assert set(both.traits[DATA_SET].tolist()) == {"first", "second"}
    moved = np.flatnonzero(both.split != np.concatenate([one.split for one in alone]))
    assert set(both.groups[moved].tolist()) <= {both.groups[0]}  # the picture that is in both
    assert both.split[0] == both.split[len(alone[0])]
    assert np.array_equal(both.crops[len(alone[0]) + 2], alone[1].crops[2])


def test_a_folder_named_twice_is_refused(places: list[Path], tmp_path: Path):
    with pytest.raises(ConfigurationError, match="is named twice"):
        prepare([places[0], places[0]], size=32, scale=1.04, cache=tmp_path / "cache", seed=0)
