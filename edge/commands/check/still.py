"""Writes a still of a camera with its lines and zones into the file that a person named, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.capture import Feed, open_source
from edge.clock import Clock
from edge.commands.check.verdict import Warn
from edge.config import CameraSettings
from edge.errors import ConfigurationError
from edge.files import PRIVATE, write_atomically
from edge.types import Image
from edge.vision.anchor import Anchor
from edge.vision.setup.still import Find, NoStillError, Taking

MOST = 300
"""Frames that are waited for: five minutes of a live camera."""

_LINE, _BORDER = (0, 220, 255), (0, 0, 0)
_ZONE = {"staff": (255, 160, 0), "ignore": (60, 60, 255), "area": (80, 220, 80), "queue": (255, 80, 220)}


def check_still(
    camera: CameraSettings,
    folder: Path,
    clock: Clock,
    find: Find,
    target: Path,
    *,
    likely: Find | None = None,
) -> str:
    """Write a still of the camera to `target`, for its owner alone. find, likely: as of `Taking`.

    Raises SourceError, ConfigurationError where the file cannot be written, and Warn where there is no still.
    """
    feed = Feed(
        camera.model_copy(update={"max_fps": 1.0, "loop": False}),
        partial(open_source, secrets_beside=folder, clock=clock),
        clock,
    )
    taking = Taking(find, likely)
    try:
        with closing(feed.frames()) as frames:
            for frame in islice(frames, MOST):
                taking.add(frame)
                if taking.is_enough:
                    break
        still = drawn(taking.still(), camera)
    except NoStillError as none:
        raise Warn(str(none)) from None
    _write(target, still)
    return f"{target}: {still.shape[1]}x{still.shape[0]}, the median of {len(taking.taken)} pictures"


def drawn(still: Image, camera: CameraSettings) -> Image:
    """The still with the camera's zones and lines, and an arrow for the direction "in" of each line."""
    still, anchor = still.copy(), Anchor(camera)
    size = (still.shape[1], still.shape[0])
    for zone in camera.zones:
        corners = np.round(anchor.pixels(zone.polygon, size)).astype(np.int32)
        _stroke(still, partial(cv2.polylines, pts=[corners], isClosed=True), _ZONE[zone.role])
        _label(still, f"{zone.name} ({zone.role})", corners.mean(axis=0))
    for line in camera.lines:
        one, other = anchor.pixels((line.from_, line.to), size)
        inwards = np.array([one[1] - other[1], other[0] - one[0]])
        middle = (one + other) / 2
        tip = middle + inwards / np.linalg.norm(inwards) * max(size) / 12
        _stroke(still, partial(cv2.line, pt1=_pixel(one), pt2=_pixel(other)), _LINE)
        _stroke(still, partial(cv2.arrowedLine, pt1=_pixel(middle), pt2=_pixel(tip), tipLength=0.3), _LINE)
        _label(still, f"{line.name}: in", tip + np.array([6, 4]))
    return still


def _stroke(image: Image, draw: Callable[..., object], colour: tuple[int, int, int]) -> None:
    """Draw with a dark border, so that it shows on any ground."""
    draw(image, color=_BORDER, thickness=4)
    draw(image, color=colour, thickness=2)


def _label(image: Image, text: str, at: NDArray[np.float64]) -> None:
    """Write near a place, on a dark ground. Letters that the font has not show as a question mark."""
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.4
    (width, height), below = cv2.getTextSize(text, font, scale, 1)
    x = max(2, min(int(at[0]), image.shape[1] - width - 2))
    y = max(height + 2, min(int(at[1]), image.shape[0] - below - 2))
    cv2.rectangle(image, (x - 2, y - height - 2), (x + width + 1, y + below), _BORDER, cv2.FILLED)
    cv2.putText(image, text, (x, y), font, scale, (255, 255, 255), 1, cv2.LINE_AA)


def _pixel(place: NDArray[np.float64]) -> tuple[int, int]:
    return round(float(place[0])), round(float(place[1]))


def _write(target: Path, still: Image) -> None:
    done, content = cv2.imencode(target.suffix, still)
    try:
        write_atomically(target, content.tobytes() if done else b"", mode=PRIVATE)
    except OSError as error:
        raise ConfigurationError(f"--picture {target}: cannot be written: {error.strerror}") from None
