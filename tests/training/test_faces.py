from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.errors import ConfigurationError
from training.faces import read_faces, read_image, sample


def test_reads_every_label_in_order_and_caps_ages_at_100(faces: Path):
    found = read_faces(faces)
    assert [face.age for face in found] == [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 100]
    assert found[3].path == faces / "final_files" / "3.png"


def test_a_sample_holds_no_picture_twice(faces: Path):
    drawn = sample(read_faces(faces), 100, seed=0)
    assert len(drawn) == 10
    assert len({face.path.read_bytes() for face in drawn}) == 10


def test_a_seed_draws_the_same_again_and_another_does_not(faces: Path):
    everyone = read_faces(faces)
    assert sample(everyone, 5, seed=1) == sample(everyone, 5, seed=1)
    assert sample(everyone, 5, seed=1) != sample(everyone, 5, seed=2)
    assert len(sample(everyone, 5, seed=1)) == 5


def test_pictures_are_read_as_rgb(tmp_path: Path):
    import cv2

    blue = np.zeros((4, 4, 3), np.uint8)
    blue[..., 0] = 255
    cv2.imwrite(str(tmp_path / "blue.png"), blue)
    assert read_image(tmp_path / "blue.png")[0, 0].tolist() == [0, 0, 255]


@pytest.mark.parametrize("content", [None, b"", b"no picture"])
def test_a_picture_that_is_none_is_named(tmp_path: Path, content: bytes | None):
    path = tmp_path / "face.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"face\.jpg: is missing or is no picture"):
        read_image(path)


@pytest.mark.parametrize(
    ("labels", "named"),
    [
        (None, "cannot be read"),
        ("name,real_age\na.png,3\n", "no column 'file_name'"),
        ("file_name,age\na.png,3\n", "no column 'real_age'"),
        ("file_name,real_age\na.png,3\nb.png,old\n", "line 3: real_age is 'old'"),
        ("file_name,real_age\na.png,-1\n", "line 2: real_age is '-1'"),
        ("file_name,real_age\na.png,\n", "line 2: real_age is ''"),
        ("file_name,real_age\na.png\n", "line 2: ends before real_age"),
        ("file_name,real_age\n", "names no picture"),
    ],
)
def test_bad_labels_are_named_with_their_line(tmp_path: Path, labels: str | None, named: str):
    if labels is not None:
        (tmp_path / "labels.csv").write_text(labels)
    with pytest.raises(ConfigurationError) as caught:
        read_faces(tmp_path)
    assert str(tmp_path / "labels.csv") in str(caught.value)
    assert named in str(caught.value)
