"""Crops, labels and parts, and what is left on disk when something goes wrong."""

from __future__ import annotations

import errno
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.errors import ConfigurationError
from edge.ops.terminal import silent
from edge.preprocess import resize
from edge.vision.crops import cut_face
from tests.training.dataset.folders import labels, noise, pictures, portrait, years
from training.dataset import Prepared, prepare, survey
from training.terms import UNSTATED


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def sixty(tmp_path: Path) -> Path:
    """Sixty different pictures that are crops already, by age; the last two are one photo."""
    folder = years(tmp_path / "data", {f"{i}.png": i for i in range(60)})
    cv2.imwrite(str(folder / "final_files" / "59.png"), cv2.flip(noise(58), 1))
    return folder


def make(folder: Path, cache: Path, **options) -> Prepared:
    base: dict[str, Any] = {"size": 32, "scale": 1.04, "cache": cache, "seed": 0}
    return prepare([folder], **base | options)


def test_gives_crops_labels_and_parts_in_one_order(sixty: Path, cache: Path):
    found = make(sixty, cache)
    assert isinstance(found.crops, np.memmap)
    assert found.crops.shape == (60, 32, 32, 3)
    assert found.crops.dtype == np.uint8
    assert not found.crops.flags.writeable
    assert found.low.tolist() == found.high.tolist() == list(range(60))
    assert found.low.dtype == np.float32
    assert found.files.tolist() == [f"{i}.png" for i in range(60)]
    assert set(found.traits) == {"gender"}
    assert len(set(found.keys.tolist())) == 60
    assert found.split[58] == found.split[59]
    assert set(found.split.tolist()) == {"train", "validation", "test"}


def test_pictures_that_are_crops_already_are_taken_whole(sixty: Path, cache: Path):
    found = make(sixty, cache)
    whole = cv2.cvtColor(noise(7), cv2.COLOR_BGR2RGB)
    assert np.array_equal(found.crops[7], resize(np.asarray(whole, np.uint8), 32))


def test_a_closer_framing_takes_the_middle_of_them(sixty: Path, cache: Path):
    closer = make(sixty, cache, scale=0.52).crops[7]
    middle = cv2.cvtColor(noise(7)[12:36, 12:36], cv2.COLOR_BGR2RGB)
    assert np.array_equal(closer, resize(np.asarray(middle, np.uint8), 32))


def photos(folder: Path) -> Path:
    """Portraits with surroundings, and one picture without anyone."""
    labels(folder, "file_name,age_group", *(f"{i}.png,{i}0-{i}9" for i in range(1, 5)), "5.png,70+")
    pictures(folder / "final_files", {f"{i + 1}.png": portrait(i) for i in range(4)} | {"5.png": noise(0)})
    return folder


def test_faces_are_cut_from_photos_as_a_box_cuts_them(tmp_path: Path, cache: Path):
    folder = photos(tmp_path / "data")
    found = make(folder, cache, test_only=True)
    assert found.files.tolist() == ["1.png", "2.png", "3.png", "4.png"]
    assert set(found.split.tolist()) == {"test"}
    assert (found.low[0], found.high[0]) == (10, 19)
    looks = survey(folder, cache, silent).seen
    for crop, one, index in zip(found.crops, looks, range(4), strict=False):
        wanted = cut_face(portrait(index), np.array(one.look.box, np.float32), 1.04, 32)
        assert np.array_equal(crop, wanted)


def test_photos_in_which_nobody_is_found_are_refused(tmp_path: Path, cache: Path):
    folder = labels(tmp_path / "data", "file_name,real_age", "a.png,1", "b.png,2")
    pictures(folder / "final_files", {"a.png": noise(0, width=80), "b.png": noise(1, width=80)})
    with pytest.raises(ConfigurationError, match="no face found in any of 2 pictures"):
        make(folder, cache, test_only=True)


def test_the_second_time_nothing_is_cut(sixty: Path, cache: Path):
    first = make(sixty, cache)
    steps = set()
    again = make(sixty, cache, seed=1, progress=lambda step, *_: steps.add(step))
    assert steps == {"looking at pictures"}
    assert np.array_equal([*first.crops], [*again.crops])


def test_another_size_or_framing_is_cut_anew(sixty: Path, cache: Path):
    for options in ({}, {"size": 48}, {"scale": 1.2}):
        make(sixty, cache, **options)
    assert len(list(cache.glob("crops-*.npy"))) == 3


def test_terms_are_read_from_the_data(sixty: Path, cache: Path):
    assert [own.licence for own in make(sixty, cache).terms] == [UNSTATED]
    (sixty / "terms.txt").write_text("our customers agreed\n")
    (own,) = make(sixty, cache).terms
    assert (own.part, own.licence, own.commercial_use) == (
        "data (labels.csv)",
        "our customers agreed",
        "unknown",
    )


def test_three_pictures_are_too_few(tmp_path: Path, cache: Path):
    folder = years(tmp_path / "data", {"a.png": 1, "b.png": 2, "c.png": 3})
    with pytest.raises(ConfigurationError, match="3 usable pictures; at least 20 are needed"):
        make(folder, cache)
    assert len(make(folder, cache, test_only=True)) == 3


def test_a_single_age_is_refused(tmp_path: Path, cache: Path):
    folder = years(tmp_path / "data", {f"{i}.png": 30 for i in range(25)})
    with pytest.raises(
        ConfigurationError, match="all 25 pictures have the age 30; at least two ages are needed"
    ):
        make(folder, cache)


def nothing_but_looks(cache: Path) -> bool:
    return all(file.name.startswith("looks-") for file in cache.iterdir())


def test_a_disk_that_is_too_small_is_told_before_any_work(sixty: Path, cache: Path, monkeypatch):
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(free=1000))
    with pytest.raises(ConfigurationError, match=r"the crops take 0\.2 MB, and 0\.0 MB are free"):
        make(sixty, cache)
    assert nothing_but_looks(cache)


def test_a_disk_that_fills_up_leaves_nothing_half_written(sixty: Path, cache: Path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array_header_1_0", full)
    with pytest.raises(ConfigurationError, match="cannot be written \\(No space left on device\\)"):
        make(sixty, cache)
    assert nothing_but_looks(cache)


def test_an_interruption_leaves_nothing_half_written_and_is_made_up_for(sixty: Path, cache: Path):
    def interrupt(step: str, done: int, _: int) -> None:
        if step == "cutting faces" and done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(sixty, cache, progress=interrupt)
    assert nothing_but_looks(cache)
    assert len(make(sixty, cache)) == 60
