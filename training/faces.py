"""A folder of labelled face crops: `labels.csv` (file_name, real_age) and `final_files/`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edge.bundle import sha256_of
from edge.errors import ConfigurationError
from edge.types import AGES, Image
from training.labels import labels_file, picture, read_rows


@dataclass(frozen=True, slots=True)
class Face:
    """One labelled crop: its file and the age in whole years, 0..100; older people count as 100."""

    path: Path
    age: int


def read_faces(folder: Path) -> list[Face]:
    """Every face that `labels.csv` names, in its order.

    Raises ConfigurationError when the file or a column is missing, or an age is no number of years.
    """
    rows = read_rows(folder, "file_name", "real_age")
    return [
        Face(picture(folder, row["file_name"]), _age(folder, line, row["real_age"]))
        for line, row in enumerate(rows, start=2)
    ]


def sample(faces: list[Face], size: int, seed: int) -> list[Face]:
    """`size` different faces drawn at random, in the order drawn; fewer if there are no more.

    A picture whose bytes were drawn before is skipped: data sets hold copies.
    """
    drawn: dict[str, Face] = {}
    for index in np.random.default_rng(seed).permutation(len(faces)):
        if len(drawn) == size:
            break
        face = faces[index]
        drawn.setdefault(sha256_of(face.path.read_bytes()), face)
    return list(drawn.values())


def read_image(path: Path) -> Image:
    """A picture as uint8 (H, W, 3) RGB; ConfigurationError when it cannot be read."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise ConfigurationError(f"{path}: is missing or is no picture")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def _age(folder: Path, line: int, text: str) -> int:
    if not text.isdecimal():
        raise ConfigurationError(
            f"{labels_file(folder)}, line {line}: real_age is {text!r}; wants whole years"
        )
    return min(int(text), AGES - 1)
