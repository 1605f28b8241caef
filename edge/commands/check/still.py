"""A still of a camera with its lines and zones, for the technician who draws them; a person asks for it.

It is the one picture that the program ever writes, so no face is on it. It is the median of a minute or more,
which drops all that is in one place for less than half of that time. It is small, and grey wherever anything
like a face, at any score, was found more than once in a while. A person who has turned the back to the camera
for most of the minute is on it. It is made in memory and goes into the file that was named, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime, timedelta
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
from edge.geometry import squares
from edge.types import Boxes, CameraState, Frame, Image
from edge.vision.anchor import Anchor

MINUTE = timedelta(minutes=1)
SPACING = timedelta(seconds=0.9)
"""Between two pictures, at least: `max_fps` is one a second."""

FEWEST = 40
"""Pictures that make a median. Of two, each person would be seen through."""

MOST = 300
"""Frames that are waited for: five minutes of a live camera."""

WIDEST = 480
"""Pixels: the longer side of the still."""

ANY_SCORE = 0.05
"""The detector's least score: it reports no less."""

SMALLEST = 8
"""Pixels of the smallest face that is covered."""

COVERED = 2.5
"""Side of what is covered, in faces: with hair and chin."""

OFTEN = 0.05
"""Share of the pictures from which on a place is grey: a face that is there for half of the minute is
found in far more of them; who only passes is not in the median."""

GREY = 128
_LINE, _BORDER = (0, 220, 255), (0, 0, 0)
_ZONE = {"staff": (255, 160, 0), "ignore": (60, 60, 255), "area": (80, 220, 80), "queue": (255, 80, 220)}

Mask = NDArray[np.bool_]
Find = Callable[[Frame], Boxes]
"""The boxes, float32 (N, 4), of all that may be a face in a frame."""


def check_still(camera: CameraSettings, folder: Path, clock: Clock, find: Find, target: Path) -> str:
    """Write a still of the camera to `target`, for its owner alone.

    Raises SourceError, ConfigurationError where the file cannot be written, and Warn where the camera gives
    too few pictures that differ.
    """
    feed = Feed(
        camera.model_copy(update={"max_fps": 1.0, "loop": False}),
        partial(open_source, secrets_beside=folder, clock=clock),
        clock,
    )
    taking = _Taking(find)
    with closing(feed.frames()) as frames:
        for frame in islice(frames, MOST):
            taking.add(frame)
            if taking.is_enough:
                break
    if not taking.is_enough:
        raise Warn(f"not made: needs {FEWEST} pictures that differ, of a minute; got {len(taking.taken)}")
    still = drawn(composed(taking.taken), camera)
    _write(target, still)
    return f"{target}: {still.shape[1]}x{still.shape[0]}, the median of {len(taking.taken)} pictures"


class _Taking:
    """The pictures of a minute: a second apart, of one size, each another one than the one before.

    A camera that hangs shows whom it showed last, so its pictures are not taken.
    """

    def __init__(self, find: Find) -> None:
        self.taken: list[tuple[Image, Mask]] = []
        self._find = find
        self._first: datetime | None = None
        self._last: datetime | None = None

    @property
    def is_enough(self) -> bool:
        """Whether they are of at least a minute, and enough for a median."""
        if self._first is None or self._last is None:
            return False
        return self._last - self._first >= MINUTE and len(self.taken) >= FEWEST

    def add(self, frame: Frame) -> None:
        if frame.state is not CameraState.UP or not self._is_later(frame.captured_at):
            return
        image, covered = _shrunk(frame, self._find(frame))
        if self.taken and image.shape != self.taken[0][0].shape:
            raise Warn("not made: the size of the picture changed meanwhile")
        if self.taken and np.array_equal(image, self.taken[-1][0]):
            return
        self.taken.append((image, covered))
        self._first, self._last = self._first or frame.captured_at, frame.captured_at

    def _is_later(self, at: datetime) -> bool:
        """Also false after a clock was set back, until its time is reached again."""
        return self._last is None or at - self._last >= SPACING


def composed(taken: Sequence[tuple[Image, Mask]]) -> Image:
    """The median of pictures (H, W, 3), grey where many of them are covered (H, W)."""
    still = np.median(np.stack([image for image, _ in taken]), axis=0).astype(np.uint8)
    still[np.mean([covered for _, covered in taken], axis=0) >= OFTEN] = GREY
    return np.asarray(still, np.uint8)


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


class FaceLikes:
    """Finds all in a frame that may be a face: every view, at any score."""

    def __init__(self, camera: CameraSettings) -> None:
        from edge.vision.detect import Scanner
        from edge.vision.detect.mediapipe import MediaPipeDetector

        detector = MediaPipeDetector(camera.range, ANY_SCORE)
        self._scanner = Scanner(detector, tile=camera.tile, full_scan_every=1.0, min_face=SMALLEST)

    def __call__(self, frame: Frame) -> Boxes:
        self._scanner.restart()  # so that each frame is searched as a whole
        return self._scanner.scan(frame.image, frame.captured_at, np.zeros((0, 4), np.float32)).xyxy

    def close(self) -> None:
        """Release the detector."""
        self._scanner.close()


def _shrunk(frame: Frame, found: Boxes) -> tuple[Image, Mask]:
    """The frame at the width of the still, and where something was found on it."""
    height, width = frame.image.shape[:2]
    scale = min(1.0, WIDEST / max(width, height))
    size = round(width * scale), max(1, round(height * scale))
    small: Image = np.asarray(cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA), np.uint8)
    covered = np.zeros(small.shape[:2], np.uint8)
    for left, top, right, bottom in np.round(squares(found, COVERED) * scale).astype(int).tolist():
        cv2.rectangle(covered, (left - 1, top - 1), (right + 1, bottom + 1), 1, cv2.FILLED)
    return small, covered.astype(np.bool_)


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
