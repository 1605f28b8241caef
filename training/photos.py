"""A folder of photos with surroundings, labelled by age group: `labels.csv` (file_name, age_group)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edge.brackets import Bracket, parse_bracket
from edge.crops import cut_face
from edge.detect.base import FaceDetector
from edge.errors import ConfigurationError
from edge.geometry import areas
from edge.types import Image
from training.faces import read_image
from training.labels import labels_file, picture, read_rows


@dataclass(frozen=True, slots=True)
class Photo:
    """One photo of one person: its file and the group of their age."""

    path: Path
    group: Bracket


def read_photos(folder: Path) -> list[Photo]:
    """Every photo that `labels.csv` names, in its order; ConfigurationError on a bad or missing label."""
    rows = read_rows(folder, "file_name", "age_group")
    try:
        return [Photo(picture(folder, row["file_name"]), parse_bracket(row["age_group"])) for row in rows]
    except ValueError as error:
        raise ConfigurationError(f"{labels_file(folder)}: {error}") from error


def cut_faces(
    photos: Sequence[Photo], detector: FaceDetector, scale: float, most: int
) -> list[tuple[Image, Bracket]]:
    """The largest face of each photo and its group; photos without a face are left out.

    See `edge.crops.cut_face` for the crops, `scale` and `most`.
    """
    cuts = ((cut_largest(read_image(photo.path), detector, scale, most), photo.group) for photo in photos)
    return [(crop, group) for crop, group in cuts if crop is not None]


def cut_largest(image: Image, detector: FaceDetector, scale: float, most: int) -> Image | None:
    """The largest face of `image`, uint8 (H, W, 3) RGB, cut as on a box; None where there is none."""
    bgr = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), np.uint8)
    faces = detector.detect(bgr)
    return cut_face(bgr, faces.xyxy[areas(faces.xyxy).argmax()], scale, most) if len(faces) else None
