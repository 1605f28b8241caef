"""What is found in a data set, and that it is found once."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.errors import ConfigurationError
from edge.ops.terminal import silent
from edge.types import Image
from tests.training.dataset.folders import labels, noise, pictures, portrait, years
from training.dataset import Fault, FaultKind, survey
from training.dataset.looks import Looker


def faults(found, kind: FaultKind) -> list[Fault]:
    return [fault for fault in found.faults if fault.kind is kind]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def test_empty_files_and_files_that_are_no_picture(tmp_path: Path, cache: Path):
    folder = years(tmp_path / "data", {"a.png": 1, "b.png": 2, "c.png": 3})
    (folder / "final_files" / "b.png").write_bytes(b"")
    (folder / "final_files" / "c.png").write_bytes(b"not a picture")
    found = survey(folder, cache, silent)
    assert [one.name for one in found.seen] == ["a.png"]
    assert faults(found, FaultKind.EMPTY) == [Fault(FaultKind.EMPTY, "b.png")]
    assert [fault.name for fault in faults(found, FaultKind.UNREADABLE)] == ["c.png"]
    assert found.labelled == 3


def test_identical_copies_count_once_and_not_at_all_where_ages_differ(tmp_path: Path, cache: Path):
    folder = years(tmp_path / "data", {"a.png": 1, "b.png": 2, "c.png": 3, "d.png": 2, "e.png": 4})
    files = folder / "final_files"
    shutil.copy(files / "b.png", files / "d.png")
    shutil.copy(files / "c.png", files / "e.png")
    found = survey(folder, cache, silent)
    assert [one.name for one in found.seen] == ["a.png", "b.png"]
    assert faults(found, FaultKind.COPY) == [Fault(FaultKind.COPY, "d.png", "of b.png")]
    assert faults(found, FaultKind.CONFLICT) == [
        Fault(FaultKind.CONFLICT, "c.png", "ages 3, 4"),
        Fault(FaultKind.CONFLICT, "e.png", "ages 3, 4"),
    ]


def test_a_picture_that_two_rows_name_is_told_as_that(tmp_path: Path, cache: Path):
    folder = labels(tmp_path / "data", "file_name,real_age", "a.png,1", "a.png,1")
    pictures(folder / "final_files", {"a.png": noise(0)})
    found = survey(folder, cache, silent)
    assert faults(found, FaultKind.COPY) == [Fault(FaultKind.COPY, "a.png", "named by another row already")]


def test_near_copies_are_kept_and_told_with_their_ages(tmp_path: Path, cache: Path):
    folder = years(tmp_path / "data", {"a.png": 1, "b.png": 2, "c.png": 3})
    cv2.imwrite(str(folder / "final_files" / "c.png"), cv2.resize(noise(1), (96, 96)))
    found = survey(folder, cache, silent)
    assert found.groups[1] == found.groups[2] != found.groups[0]
    assert faults(found, FaultKind.NEAR_COPY) == [
        Fault(FaultKind.NEAR_COPY, "c.png", "of b.png, ages 2 and 3")
    ]


def two_people() -> Image:
    """A face in the middle, and a somewhat larger one at the right."""
    blank = np.zeros((320, 180, 3), np.uint8)
    middle = cv2.copyMakeBorder(portrait(0, 280), 20, 20, 0, 0, cv2.BORDER_REPLICATE)
    return np.asarray(cv2.hconcat([blank, middle, portrait(1, 320)]), np.uint8)


def test_faces_are_counted_and_the_one_in_the_middle_is_taken(tmp_path: Path, cache: Path):
    folder = labels(tmp_path / "data", "file_name,real_age", "none.png,1", "one.png,2", "two.png,3")
    images = {"none.png": noise(0), "one.png": portrait(0), "two.png": two_people()}
    pictures(folder / "final_files", images)
    found = survey(folder, cache, silent)
    assert [one.look.faces for one in found.seen] == [0, 1, 2]
    assert faults(found, FaultKind.NO_FACE) == [Fault(FaultKind.NO_FACE, "none.png")]
    assert faults(found, FaultKind.SEVERAL_FACES) == [Fault(FaultKind.SEVERAL_FACES, "two.png", "2 faces")]
    boxes = [one.look.box for one in found.seen if one.look.box]
    middles = [(left + right) / 2 for left, _, right, _ in boxes]
    assert middles == pytest.approx([160, 320], abs=40)


def test_what_was_seen_is_remembered_by_content(tmp_path: Path, cache: Path, monkeypatch):
    folder = years(tmp_path / "data", {"a.png": 1, "b.png": 2})
    first = survey(folder, cache, silent)
    (folder / "final_files" / "a.png").rename(folder / "final_files" / "z.png")
    labels(folder, "file_name,real_age", "z.png,5", "b.png,2")
    monkeypatch.setattr(Looker, "look", lambda *_: pytest.fail("looked at a known picture"))
    again = survey(folder, cache, silent)
    assert [one.look for one in again.seen] == [one.look for one in first.seen]
    assert again.seen[0].row.low == 5


def test_progress_runs_to_the_end(tmp_path: Path, cache: Path):
    told: list[tuple[str, int, int]] = []
    survey(years(tmp_path / "data", {"a.png": 1, "b.png": 2}), cache, lambda *step: told.append(step))
    assert told[0][1:] == (0, 2)
    assert told[-1][1:] == (2, 2)


def test_no_usable_picture_says_why(tmp_path: Path, cache: Path):
    folder = labels(tmp_path / "data", "file_name,real_age", "a.png,3", "b.png,x")
    pictures(folder / "final_files", {"b.png": noise(0)})
    with pytest.raises(ConfigurationError, match="no usable picture") as caught:
        survey(folder, cache, silent)
    assert "row without a file: 1" in str(caught.value)
    assert "age that is not a number: 1" in str(caught.value)


def test_a_cache_that_cannot_be_made(tmp_path: Path):
    folder = years(tmp_path / "data", {"a.png": 1})
    with pytest.raises(ConfigurationError, match=r"labels.csv.*cannot be made"):
        survey(folder, folder / "labels.csv" / "cache", silent)


def test_a_cache_that_is_no_database(tmp_path: Path, cache: Path):
    folder = years(tmp_path / "data", {"a.png": 1})
    survey(folder, cache, silent)
    store = next(cache.glob("looks-*.sqlite"))
    store.write_bytes(b"x" * 5000)
    with pytest.raises(ConfigurationError, match="file is not a database"):
        survey(folder, cache, silent)


def test_looking_writes_nothing_to_the_terminal():
    look = "import numpy as np; from training.dataset.looks import Lookers; lookers = Lookers(); "
    look += "lookers.look(np.zeros((200, 200, 3), np.uint8)); lookers.close()"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    # Where a picture lies in memory by chance, MediaPipe tells once that it copies it.
    by_chance = ("Logging before InitGoogle()", "Input tensor memory is not aligned")
    lines = done.stderr.splitlines()
    assert [line for line in lines if not any(words in line for words in by_chance)] == []
