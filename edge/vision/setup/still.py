"""A still of a camera for the person who draws on it; it is made only when a person asks for one.

It is the one picture that the program shows, so no face is on it. It is the median of a minute or more, in
which each second weighs the same: it drops all that is in one place for less than half of that time. It is
small, and grey wherever anything like a face, at any score, was found more than once in a while, and wherever
a face is found on the still itself. A person who has turned the back to the camera for most of the minute is
on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.config import CameraSettings
from edge.errors import OutsideError
from edge.geometry import squares
from edge.types import Boxes, CameraState, Faces, Frame, Image
from edge.vision.detect.detector import FaceDetector
from edge.vision.toning import is_grey, toned

MINUTE = timedelta(minutes=1)
SPACING = timedelta(seconds=0.9)
"""Between two pictures, at least: a still takes one a second."""

LONGEST_GAP = timedelta(seconds=3)
"""Between two pictures, at most: with fewer, somebody who stays for seconds could be half of a median."""

FEWEST = 40
"""Pictures that make a median. Of two, each person would be seen through."""

WIDEST = 480
"""Pixels: the longer side of the still."""

ANY_SCORE = 0.05
"""The detector's least score: it reports no less."""

SMALLEST = 8
"""Pixels of the smallest face that is covered."""

TILE = 480
"""Pixels of a tile's side where the camera sets none: smaller faces than counted ones are covered."""

COVERED = 2.5
"""Side of what is covered, in faces: with hair and chin."""

OFTEN = 0.05
"""Share of the pictures from which on a place is grey: a face that is there for half of the minute is
found in far more of them; who only passes is not in the median."""

LIKELY = 0.3
"""Score from which on a box on the still itself is a face: below it, small pictures are full of them."""

ROUNDS = 4
"""Searches of the still itself. What is found in the last one is not covered, and there is no still."""

COVERED_SHARE = 0.9
"""Share of a box that is grey from which on it is covered: detectors see faces in grey as well."""

GREY = 128

T = TypeVar("T")
Mask = NDArray[np.bool_]
Find = Callable[[Frame], Boxes]
"""The boxes, float32 (N, 4), of all that may be a face in a frame."""


class NoStillError(OutsideError):
    """The camera's pictures make no still, or one that must not be shown."""


class Taking:
    """The pictures of a minute: a second apart, of one size, each another one than the one before.

    A camera that hangs shows whom it showed last, so its pictures are not taken. After a gap, or a clock that
    was set, the minute begins again.
    """

    def __init__(self, find: Find, likely: Find | None = None) -> None:
        """likely: finds faces on the still itself, at a score at which they are some; else `find`."""
        self.taken: list[tuple[Image, Mask]] = []
        self._at: list[float] = []
        self._find = find
        self._likely = likely or find
        self._first: Frame | None = None
        self._last: datetime | None = None

    @property
    def seconds(self) -> float:
        """Between the first picture and the last."""
        if self._first is None or self._last is None:
            return 0.0
        return (self._last - self._first.captured_at).total_seconds()

    @property
    def is_enough(self) -> bool:
        """Whether they are of at least a minute, and enough for a median."""
        return self.seconds >= MINUTE.total_seconds() and len(self.taken) >= FEWEST

    def add(self, frame: Frame) -> None:
        """Take this frame, unless it comes too soon or shows nothing new. Raises NoStillError."""
        if frame.state is not CameraState.UP:
            return
        if not self._follows(frame.captured_at):
            self._begin_again()
        if self._last is not None and frame.captured_at - self._last < SPACING:
            return
        image, covered = _shrunk(frame, self._find(frame))
        if self.taken and image.shape != self.taken[0][0].shape:
            raise NoStillError("not made: the size of the picture changed meanwhile")
        if self.taken and np.array_equal(image, self.taken[-1][0]):
            return
        self._first, self._last = self._first or frame, frame.captured_at
        self.taken.append((image, covered))
        self._at.append(self.seconds)

    def still(self) -> Image:
        """The still, uint8 (H, W, 3). Raises NoStillError where there is too little, or a face is left."""
        if self._first is None or not self.is_enough:
            raise NoStillError(
                f"not made: needs {FEWEST} pictures that differ, of a minute; got {len(self.taken)} "
                f"without a gap of more than {LONGEST_GAP.seconds} s"
            )
        return without_faces(composed(self.taken, self._at), self._first, self._likely)

    def _follows(self, at: datetime) -> bool:
        """Whether a frame of this time is of the same run: there was no gap, and no clock was set."""
        return self._last is None or self._last <= at <= self._last + LONGEST_GAP

    def _begin_again(self) -> None:
        self.taken.clear()
        self._at.clear()
        self._first = self._last = None


def composed(taken: Sequence[tuple[Image, Mask]], at: Sequence[float]) -> Image:
    """The median of pictures (H, W, 3), grey where many of them are covered (H, W).

    at: seconds of each, ascending. Each second weighs the same, also where there are fewer pictures.
    """
    shown = _by_second(at)
    still = np.median(np.stack([taken[n][0] for n in shown]), axis=0).astype(np.uint8)
    for chosen in (shown, range(len(taken))):  # a face may be found on a picture that no second is nearest to
        still[np.mean([taken[n][1] for n in chosen], axis=0) >= OFTEN] = GREY
    return np.asarray(still, np.uint8)


def _by_second(at: Sequence[float]) -> list[int]:
    """For each second from the first of these to the last, the nearest of them."""
    times = np.asarray(at)
    seconds = np.arange(times[0], times[-1] + SPACING.total_seconds() / 2, 1.0)
    nearest: list[int] = np.abs(times - seconds[:, None]).argmin(axis=1).tolist()
    return nearest


def without_faces(still: Image, of: Frame, find: Find) -> Image:
    """The still, grey wherever a search of it finds something. of: a frame of its camera.

    Raises NoStillError where something is found that covering it does not end.
    """
    for _ in range(ROUNDS):
        found = find(Frame(of.camera_id, of.captured_at, still.copy()))
        shown = found[[_is_shown(box, still) for box in found]]
        if not len(shown):
            return still
        still = np.where(_mask(shown, still.shape[:2])[..., None], np.uint8(GREY), still)
    raise NoStillError("not shown: something like a face is left on it")


def _is_shown(box: NDArray[np.float32], still: Image) -> bool:
    """Whether something of a box (4,) is left."""
    left, top, right, bottom = np.clip(box, 0, None).astype(int).tolist()
    part = still[top : bottom + 1, left : right + 1]
    return bool(part.size) and float((part == GREY).all(axis=2).mean()) < COVERED_SHARE


class DetectorError(OutsideError):
    """The library of a detector failed: for the still alone, since a click must not end the daemon."""


class _Detector(FaceDetector):
    """A detector whose library's faults are a DetectorError."""

    def __init__(self, camera: CameraSettings, engine: str) -> None:
        from edge.vision.detect import detectors_on, engine_of, faults_of

        chosen = engine_of(engine)
        self._faults: tuple[type[Exception], ...] = (*faults_of(chosen), MemoryError, cv2.error)
        self._detector = self._try(lambda: detectors_on(chosen)(camera.range, ANY_SCORE))

    def detect(self, image: Image) -> Faces:
        return self._try(lambda: self._detector.detect(image))

    def close(self) -> None:
        self._detector.close()

    def _try(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except self._faults as error:
            raise DetectorError(f"the detector failed: {type(error).__name__}: {error}") from error


class FaceLikes:
    """Finds all in a frame that may be a face: every view, at any score. It raises DetectorError."""

    def __init__(self, camera: CameraSettings, engine: str = "auto") -> None:
        """engine: as of `detection.engine`."""
        from edge.vision.detect import Scanner

        tile = TILE if camera.tile == "auto" else camera.tile
        detector = _Detector(camera, engine)
        self._scanner = Scanner(detector, tile=tile, full_scan_every=1.0, min_face=SMALLEST)

    def __call__(self, frame: Frame) -> Boxes:
        return self.scan(frame).xyxy

    def likely(self, frame: Frame) -> Boxes:
        """Those that are likely to be a face."""
        found = self.scan(frame)
        return found.xyxy[found.score >= LIKELY]

    def scan(self, frame: Frame) -> Faces:
        """All of them, with their scores; in a picture without colour those of either tone."""
        return self.search(in_tones(frame.image), frame.captured_at)

    def search(self, images: Sequence[Image], at: datetime) -> Faces:
        """All of them on any of these, the tones of one picture."""
        return Faces.joined([self._search(image, at) for image in images])

    def _search(self, image: Image, at: datetime) -> Faces:
        self._scanner.restart()  # so that each picture is searched as a whole
        return self._scanner.scan(image, at, np.zeros((0, 4), np.float32))

    def close(self) -> None:
        """Release the detector."""
        self._scanner.close()


def in_tones(image: Image) -> list[Image]:
    """What to search of a picture, uint8 (H, W, 3): without colour, it in the tone of skin as well."""
    return [image, toned(image)] if is_grey(image) else [image]


def _shrunk(frame: Frame, found: Boxes) -> tuple[Image, Mask]:
    """The frame at the width of the still, and where something was found on it."""
    small = shrunk(frame.image, WIDEST)
    return small, _mask(found, small.shape[:2], scale_to(frame.image, WIDEST))


def scale_to(image: Image, widest: int) -> float:
    """What shrinks a picture to `widest` pixels on its longer side; 1 where it is smaller."""
    return min(1.0, float(widest / max(image.shape[:2])))


def shrunk(image: Image, widest: int) -> Image:
    """The picture with at most `widest` pixels on its longer side."""
    height, width = image.shape[:2]
    scale = scale_to(image, widest)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _mask(found: Boxes, shape: tuple[int, ...], scale: float = 1.0) -> Mask:
    """Where these boxes, in pixels of a picture that was shrunk by `scale`, cover a picture (H, W)."""
    covered = np.zeros(shape, np.uint8)
    for left, top, right, bottom in np.round(squares(found, COVERED) * scale).astype(int).tolist():
        cv2.rectangle(covered, (left - 1, top - 1), (right + 1, bottom + 1), 1, cv2.FILLED)
    return covered.astype(np.bool_)
