"""Simulated visitors: a clock that is advanced by hand, painted faces, a detector and a model that read them.

The soak and the tests run the daemon's own stages on them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from edge.bundle import Bundle
from edge.config import CameraSettings, Settings
from edge.ops.metrics import Metrics
from edge.types import AGES, Boxes, Faces, Image
from edge.vision.detect import FaceDetector, Scanner, tile_side
from edge.vision.pipeline import Vision
from edge.vision.second_opinion import SecondOpinion

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ManualClock:
    """A clock that stands still until a test moves it; `wait` returns at once and moves it by the wait."""

    def __init__(self, start: datetime = EPOCH) -> None:
        self._start = start
        self._elapsed = 0.0
        self.waits: list[float] = []

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return self._elapsed

    def advance(self, seconds: float) -> None:
        self._elapsed += seconds

    def jump(self, seconds: float) -> None:
        """Move the wall clock alone, as a time server does."""
        self._start += timedelta(seconds=seconds)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.waits.append(seconds)
        if not event.is_set():
            self.advance(max(0.0, seconds))
        return event.is_set()


@dataclass(frozen=True, slots=True)
class Person:
    """A visitor as `paint` draws them: a square of one colour, so that the pixels alone identify the visitor.

    tag: 1..255, unique. age: years that `PaintedAges` reads. score: the detector's. second: that of the
    second opinion and the face check; the back of a head has a low one. turned: the head looks to the
    picture's right.
    """

    tag: int
    age: int
    score: float = 0.9
    second: float = 0.9
    turned: bool = False


def paint(image: Image, person: Person, x: float, y: float, size: float) -> None:
    """Draw a person's face, its middle at x, y: red is the tag, blue twice the age, green a sharp pattern."""
    left, top, side = round(x - size / 2), round(y - size / 2), round(size)
    seen = image[max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)]
    rows, columns = np.indices(seen.shape[:2])
    seen[...] = (2 * person.age, 0, person.tag)
    seen[..., 1] = np.where((rows // 4 + columns // 4) % 2, 190, 60)


class PaintedFaces(FaceDetector):
    """A `FaceDetector` that finds painted people by their colour; a covered part makes the box smaller.

    second: give the scores of the second opinion instead of the detector's.
    """

    def __init__(self, people: Iterable[Person], *, second: bool = False) -> None:
        people = list(people)
        self._scores = {p.tag: p.second if second else p.score for p in people}
        self._turned = {p.tag: p.turned for p in people}
        self.looks: list[tuple[int, int]] = []
        self.closed = False

    def detect(self, image: Image) -> Faces:
        self.looks.append((image.shape[1], image.shape[0]))
        seen = set(np.unique(image[..., 2]).tolist()) & {tag for tag, s in self._scores.items() if s > 0}
        boxes = np.array([_extent(image[..., 2] == tag) for tag in sorted(seen)], np.float32).reshape(-1, 4)
        score = np.array([self._scores[tag] for tag in sorted(seen)], np.float32)
        turned = [self._turned[tag] for tag in sorted(seen)]
        return Faces(
            boxes, score, np.where(np.reshape(turned, (-1, 1, 1)), to_right(boxes), straight_on(boxes))
        )

    def close(self) -> None:
        self.closed = True


class PaintedCheck:
    """A `FaceCheck` that knows painted people by the colour in the middle of the box."""

    def __init__(self, people: Iterable[Person]) -> None:
        self._second = {p.tag: p.second for p in people}
        self.looks = 0

    def __call__(self, image: Image, box: Boxes) -> float:
        self.looks += 1
        x, y = np.round((box[:2] + box[2:]) / 2).astype(int)
        tag = image[np.clip(y, 0, image.shape[0] - 1), np.clip(x, 0, image.shape[1] - 1), 2]
        return self._second.get(int(tag), 0.0)


def _extent(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def straight_on(boxes: Boxes) -> np.ndarray:
    """Keypoints (N, 6, 2) of faces that look into the camera."""
    places = np.array([(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.5, 0.8), (0.1, 0.5), (0.9, 0.5)], np.float32)
    return _in_boxes(places, boxes)


def to_right(boxes: Boxes) -> np.ndarray:
    """The same of faces that are turned to the picture's right by about 60 degrees."""
    places = np.array([(0.5, 0.4), (0.8, 0.4), (0.9, 0.6), (0.8, 0.8), (0.2, 0.5), (0.7, 0.5)], np.float32)
    return _in_boxes(places, boxes)


def _in_boxes(places: np.ndarray, boxes: Boxes) -> np.ndarray:
    found: np.ndarray = boxes[:, None, :2] + places * (boxes[:, None, 2:] - boxes[:, None, :2])
    return found


class PaintedAges:
    """An `AgeBackend` that reads the age of a painted face from its middle, with `sigma` years of spread."""

    name = "painted"
    device = "none"

    def __init__(self, max_batch: int = 8, sigma: float = 3.0) -> None:
        self.max_batch = max_batch
        self.sigma = sigma
        self.batches: list[int] = []

    def infer(self, batch: Image) -> np.ndarray:
        assert len(batch) <= self.max_batch
        self.batches.append(len(batch))
        middle = batch.shape[1] // 2
        ages = batch[:, middle, middle, 2].astype(np.float64) / 2
        bell = np.exp(-(((np.arange(AGES) - ages[:, None]) / self.sigma) ** 2) / 2)
        probs: np.ndarray = (bell / bell.sum(axis=1, keepdims=True)).astype(np.float32)
        return probs

    def close(self) -> None:
        """Nothing is held."""


def bundle(input_size: int = 64, temperature: float = 1.0) -> Bundle:
    """A bundle without files, for fake backends."""
    nowhere = Path("/nonexistent")
    return Bundle(
        folder=nowhere, name="painted", version="1", sha256="0" * 64, input_size=input_size,
        temperature=temperature, crop_scale=1.04, model_path=nowhere, variants={}, confusion_path=None,
        licence="none", metrics={},
    )  # fmt: skip


def painted_vision(camera: CameraSettings, settings: Settings, bundle: Bundle, metrics: Metrics, *,
                   people: Iterable[Person], detectors: object = None) -> Vision:  # fmt: skip
    """A `Vision` whose detectors find these painted people."""
    scanner = Scanner(
        PaintedFaces(people),
        tile=tile_side(camera.tile, settings.detection.min_face),
        full_scan_every=settings.detection.full_scan_every,
        min_face=settings.detection.min_face,
        still_scan_every=settings.detection.still_scan_every,
    )
    opinion = SecondOpinion(PaintedFaces(people, second=True))
    return Vision(
        camera, scanner=scanner, opinion=opinion, check=PaintedCheck(people), settings=settings,
        bundle=bundle, metrics=metrics,
    )  # fmt: skip
