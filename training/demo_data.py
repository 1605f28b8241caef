"""Drawn faces whose age shows: a data set that ships with the package, to try its commands on."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.types import AGES, Image
from training.labels import labels_file, picture
from training.staging import staged

SIDE = 128
TERMS = "Drawn by a program; free for any use."

Colour = NDArray[np.float64]
Random = np.random.Generator


def write_faces(out: Path, count: int, seed: int) -> None:
    """Write `count` drawn faces with ages 0..100 to the new folder `out`, in the layout of `labels.csv`.

    Raises ConfigurationError when `out` exists or cannot be written to.
    """
    random = np.random.default_rng(seed)
    with staged(out) as folder:
        picture(folder, "").mkdir()
        rows = ["file_name,real_age,gender,ethnicity"]
        for number in range(count):
            age = int(random.integers(0, AGES))
            _write_image(picture(folder, f"{number:05}.png"), draw_face(age, random))
            rows.append(f"{number:05}.png,{age},{random.choice(['female', 'male'])},")
        labels_file(folder).write_text("\n".join(rows) + "\n", encoding="utf-8")
        (folder / "terms.txt").write_text(TERMS + "\n", encoding="utf-8")


def draw_face(age: int, random: Random) -> Image:
    """A face of this age, uint8 (128, 128, 3) RGB: hair goes grey, skin wrinkles, children have big eyes."""
    image = np.full((SIDE, SIDE, 3), random.integers(90, 200, 3), np.uint8)
    skin = np.array([240, 195, 165]) * random.uniform(0.35, 1)
    hair = np.clip(30 + 2 * age + random.normal(0, 8, 3), 0, 255)
    middle = (64 + int(random.integers(-4, 5)), 68 + int(random.integers(-4, 5)))
    _ellipse(image, middle, (52, 58), hair)
    _ellipse(image, (middle[0], middle[1] + 8), (42, 50), skin)
    _draw_features(image, middle, 10 - age // 20, skin)
    for line in range(age // 10):
        height = middle[1] - 34 + 3 * line
        cv2.line(image, (middle[0] - 24, height), (middle[0] + 24, height), (skin * 0.7).tolist(), 1)
    noise = random.normal(0, 4, image.shape)
    return np.asarray(np.clip(image + noise, 0, 255), np.uint8)


def _draw_features(image: Image, middle: tuple[int, int], eye: int, skin: Colour) -> None:
    for side in (-18, 18):
        _ellipse(image, (middle[0] + side, middle[1]), (eye, eye), np.full(3, 250.0))
        _ellipse(image, (middle[0] + side, middle[1]), (eye // 2, eye // 2), np.full(3, 20.0))
    _ellipse(image, (middle[0], middle[1] + 18), (4, 8), skin * 0.85)
    _ellipse(image, (middle[0], middle[1] + 38), (16, 4), np.array([170.0, 60, 60]))


def _ellipse(image: Image, middle: tuple[int, int], axes: tuple[int, int], colour: Colour) -> None:
    cv2.ellipse(image, middle, axes, 0, 0, 360, colour.tolist(), -1, cv2.LINE_AA)


def _write_image(path: Path, image: Image) -> None:
    # Not by OpenCV, which does not say what is wrong where it cannot write.
    path.write_bytes(cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes())
