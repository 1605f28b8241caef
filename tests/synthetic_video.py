"""Clips whose grey levels encode the number of each frame, so that a test knows which frames arrived."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edge.capture.recordings import prepare_opencv
from edge.types import Image

DIGITS = 3
BASE = 16
_BLACK, _STEP = 18, 14


def picture(number: int, size: tuple[int, int] = (192, 96)) -> Image:
    """uint8 (H, W, 3): bands from left to right, each a digit of `number` to the base 16, highest first.

    size: width, height. The levels lie 14 apart, so that a lossy codec does not blur one into the next. A
    white strip along the top tells which way up the picture is.
    """
    width, height = size
    if not 0 <= number < BASE**DIGITS:
        raise ValueError(f"number = {number}: must be 0 to {BASE**DIGITS - 1}")
    image = np.full((height, width, 3), 255, np.uint8)
    for band, columns in enumerate(np.array_split(np.arange(width), DIGITS)):
        digit = number // BASE ** (DIGITS - 1 - band) % BASE
        image[height // 6 :, columns] = _BLACK + _STEP * digit
    return image


def number_of(image: Image) -> int:
    """The number that `picture` was made with, read from the middle of each band."""
    height, width = image.shape[:2]
    number = 0
    for band in range(DIGITS):
        middle = round((band + 0.5) * width / DIGITS)
        patch = image[height // 2 : height * 3 // 4, middle - width // 16 : middle + width // 16]
        digit = round((float(patch.mean()) - _BLACK) / _STEP)
        number = number * BASE + min(max(digit, 0), BASE - 1)
    return number


def write_clip(
    path: Path, frames: int, fps: float = 25.0, size: tuple[int, int] = (192, 96), codec: str = "MJPG"
) -> Path:
    """Write a clip of frames numbered from 0. MJPG goes into .avi; mp4v into .mp4."""
    prepare_opencv()
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), fps, size)
    if not writer.isOpened():
        raise RuntimeError(f"{path}: OpenCV cannot write {codec}")
    for number in range(frames):
        writer.write(picture(number, size))
    writer.release()
    return path
