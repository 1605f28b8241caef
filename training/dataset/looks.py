"""A picture's size, faces and hash: computed once and stored by the file's content."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock
from typing import TypeVar

import cv2
import numpy as np

from edge.errors import ConfigurationError
from edge.geometry import centres
from edge.types import Boxes, Image
from edge.vision.detect.mediapipe import MediaPipeDetector
from edge.vision.detect.networks import NETWORKS
from edge.vision.second_opinion import SecondOpinion
from training.dataset.copies import Hash, difference_hash, mirrored_hash

SEES_A_FACE = 0.5
"""The detector's confidence from which a picture counts as showing a face; MediaPipe's own default."""

LOOK_VERSION = 1
"""Increased with every change of how looks are computed: stored ones are then computed again."""

PASSER_BY = 0.5
"""A face smaller than this share of the largest one is a person in the background."""

CHUNK = 128
"""Pictures between two writes to disk: an interruption loses at most these."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Look:
    """The size, faces and hashes of one picture.

    width, height: px. faces: how many. box: left, top, right, bottom in px of the labelled face, by the
    detector from whose boxes a store box cuts its crops; None without a face. hash, mirrored: as in
    `copies`, in hexadecimal.
    """

    width: int
    height: int
    faces: int
    box: tuple[float, float, float, float] | None
    hash: str
    mirrored: str


class Looker:
    """Looks at pictures with the box's own detectors; used by one thread at a time."""

    def __init__(self) -> None:
        self._far = MediaPipeDetector("far", SEES_A_FACE)
        self._near = MediaPipeDetector("near", SEES_A_FACE)
        self._opinion = SecondOpinion(self._near)

    def look(self, image: Image) -> Look:
        """Look at a picture, uint8 (H, W, 3) BGR."""
        boxes = self._boxes(image)
        box = boxes[_labelled(boxes, image)].tolist() if len(boxes) else None
        return Look(
            width=image.shape[1],
            height=image.shape[0],
            faces=len(boxes),
            box=tuple(box) if box else None,
            hash=difference_hash(image).tobytes().hex(),
            mirrored=mirrored_hash(image).tobytes().hex(),
        )

    def close(self) -> None:
        self._near.close()
        self._far.close()

    def _boxes(self, image: Image) -> Boxes:
        """Boxes of the near detector, which frame the crops; the far one finds the small faces for it."""
        near = self._near.detect(image).xyxy
        if len(near):
            return near
        opinions = self._opinion.examine(image, self._far.detect(image).xyxy)
        agreed = [opinion.xyxy for opinion in opinions if opinion.score]
        return np.array(agreed, np.float32).reshape(-1, 4)


def _labelled(boxes: Boxes, image: Image) -> int:
    """The index of the face that the label is about: the nearest to the middle of those about as large.

    Data sets centre their photos on the labelled face; a person beside it may be a little nearer.
    """
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    away = np.linalg.norm(centres(boxes) - np.array(image.shape[1::-1]) / 2, axis=1)
    away[sides < PASSER_BY * sides.max()] = np.inf
    return int(away.argmin())


def hashes(texts: Sequence[str]) -> Hash:
    """Hashes in hexadecimal as uint64 (N, 4)."""
    return np.frombuffer(bytes.fromhex("".join(texts)), np.uint64).reshape(len(texts), -1)


def decode(content: bytes) -> Image | None:
    """The picture in a file's content, uint8 (H, W, 3) BGR, upright; None where it cannot be decoded."""
    if not content:
        return None
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # sizes that the decoder refuses
        return None
    return None if image is None else np.asarray(image, np.uint8)


class LookStore:
    """Looks on disk, by the SHA-256 of the file; several processes may share it."""

    def __init__(self, folder: Path) -> None:
        models = "-".join(network.mediapipe[1][:8] for network in NETWORKS.values())
        self._path = folder / f"looks-{LOOK_VERSION}-{models}.sqlite"
        with self._open() as database:
            database.execute("CREATE TABLE IF NOT EXISTS looks (key TEXT PRIMARY KEY, look TEXT NOT NULL)")

    def read(self) -> dict[str, Look]:
        """All stored looks."""
        with self._open() as database:
            return {k: _parse(text) for k, text in database.execute("SELECT key, look FROM looks")}

    def write(self, looks: Iterable[tuple[str, Look]]) -> None:
        with self._open() as database:
            rows = [(key, json.dumps(asdict(look))) for key, look in looks]
            database.executemany("INSERT OR REPLACE INTO looks VALUES (?, ?)", rows)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A transaction; ConfigurationError where the disk refuses it."""
        try:
            with closing(sqlite3.connect(self._path, timeout=60)) as database, database:
                yield database
        except sqlite3.Error as error:
            raise ConfigurationError(f"{self._path}: {error}") from error


def _parse(text: str) -> Look:
    found = json.loads(text)
    return Look(**{**found, "box": tuple(found["box"]) if found["box"] else None})


class Lookers:
    """A looker for each thread, made when first needed: loading the detector takes seconds."""

    def __init__(self) -> None:
        self._idle: SimpleQueue[Looker] = SimpleQueue()
        self._making = Lock()

    def look(self, image: Image) -> Look:
        """Look at a picture; called by any thread."""
        try:
            looker = self._idle.get_nowait()
        except Empty:
            with self._making, native_silence():
                looker = Looker()
                looker.look(np.zeros((64, 64, 3), np.uint8))  # it writes a warning at the first picture
        try:
            return looker.look(image)
        finally:
            self._idle.put(looker)

    def close(self) -> None:
        """Close them all; no thread may use one afterwards."""
        with native_silence():
            while not self._idle.empty():
                self._idle.get().close()


@contextmanager
def native_silence() -> Iterator[None]:
    """Discard the output of native libraries to file descriptor 2 within the block.

    MediaPipe prints a hundred lines for every model that it loads, and more where it closes one.
    """
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def threads() -> int:
    """Threads that look at pictures: OpenCV and the detector release the GIL."""
    return min(8, os.cpu_count() or 1)


def chunks(items: Sequence[T], size: int = CHUNK) -> Iterator[list[T]]:
    """Runs of `size` items; the last may be shorter."""
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk
