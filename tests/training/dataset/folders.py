"""Small data sets of drawn pictures and public portraits, in the layouts that users have."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from edge.commands.demo import scene
from edge.types import Image

PORTRAITS = sorted((Path(scene.__file__).parent / "portraits").glob("*.png"))
assert PORTRAITS


def noise(seed: int, width: int = 48, height: int = 48) -> Image:
    """A picture of coloured patches: no face, and unlike any other seed's."""
    patches = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    return np.asarray(cv2.resize(patches, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)


def portrait(index: int, side: int = 320) -> Image:
    """A head and shoulders, with surroundings, BGR."""
    image = cv2.imread(str(PORTRAITS[index]), cv2.IMREAD_COLOR)
    return np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def labels(folder: Path, head: str, *rows: str) -> Path:
    """A `labels.csv` of these lines, and the folder for its pictures."""
    (folder / "final_files").mkdir(parents=True, exist_ok=True)
    (folder / "labels.csv").write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return folder


def pictures(folder: Path, images: Mapping[str, Image]) -> None:
    for name, image in images.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), image)


def years(folder: Path, ages: Mapping[str, float]) -> Path:
    """Different drawn pictures of these ages, by file name, in the layout of labels.csv."""
    labels(folder, "file_name,real_age,gender", *(f"{name},{age},f" for name, age in ages.items()))
    pictures(folder / "final_files", {name: noise(i) for i, name in enumerate(ages)})
    return folder
