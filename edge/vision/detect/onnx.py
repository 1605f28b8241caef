"""MediaPipe's face networks as `FaceDetector`s, on ONNX Runtime or another backend: the same faces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.inference.backend import Backend
from edge.inference.onnxruntime import open_graph
from edge.types import Faces, Image
from edge.vision.detect.boxes import Answer
from edge.vision.detect.detector import FaceDetector, Wanted
from edge.vision.detect.letterbox import letterbox_for
from edge.vision.detect.networks import MAX_BATCH, NETWORKS, NUMBERS, OUTPUTS, Range, checked

Numbers = NDArray[np.float32]

_OUTPUTS = list(OUTPUTS)


class OnnxNetwork:
    """`Backend` of one face network, for any number of threads: each computes in its own.

    The pictures of a batch are looked at one by one: on a CPU nothing is gained by more.
    """

    name = "onnxruntime"
    device = "CPU, 1 thread, fp32"
    max_batch = MAX_BATCH

    def __init__(self, range_: Range) -> None:
        self._session: Any = open_graph(checked(*NETWORKS[range_].onnx), threads=1)
        self._numbers = len(NETWORKS[range_].anchors()) * NUMBERS

    def infer(self, batch: Image) -> NDArray[np.float32]:
        """See `Backend.infer`."""
        found = np.empty((len(batch), self._numbers), np.float32)
        for numbers, picture in zip(found, batch, strict=True):
            np.concatenate(self.look(picture), out=numbers)
        return found

    def look(self, picture: Image) -> tuple[Numbers, Numbers]:
        """As `infer` of one picture, (S, S, 3): the boxes and the scores, each flat, without a copy."""
        if self._session is None:
            raise RuntimeError("the backend is closed")
        boxes, scores = self._session.run(_OUTPUTS, {"image": picture[None]})
        return boxes.ravel(), scores.ravel()

    def close(self) -> None:
        """See `Backend.close`."""
        self._session = None


class NetworkDetector(FaceDetector):
    """One face network on a backend, which is not closed with it."""

    def __init__(self, backend: Backend, range_: Range, min_score: float) -> None:
        """min_score: of the boxes that are faces, in 0..1."""
        self._backend = backend
        self._anchors = NETWORKS[range_].anchors()
        self._size = NETWORKS[range_].size
        self._min_score = min_score

    def detect(self, image: Image) -> Faces:
        """See `FaceDetector.detect`."""
        return self._answers([image])[0].faces()

    def detect_all(self, images: Sequence[Image]) -> list[Faces]:
        """See `FaceDetector.detect_all`."""
        return [answer.faces() for answer in self._answers(images)]

    def surest(self, images: Sequence[Image], wanted: Sequence[Wanted]) -> list[Faces]:
        """See `FaceDetector.surest`."""
        return [answer.surest(which) for answer, which in zip(self._answers(images), wanted, strict=True)]

    def _answers(self, images: Sequence[Image]) -> list[Answer]:
        """What the network says of each of these, in batches."""
        most = self._backend.max_batch
        batches = [images[i : i + most] for i in range(0, len(images), most)]
        return [answer for batch in batches for answer in self._batch(batch)]

    def _batch(self, images: Sequence[Image]) -> list[Answer]:
        boxes = [letterbox_for(image.shape[1], image.shape[0], self._size) for image in images]
        pictures = np.empty((len(images), self._size, self._size, 3), np.uint8)
        for letterbox, image, picture in zip(boxes, images, pictures, strict=True):
            letterbox(image, picture)
        # First all networks, which empty the caches, and then all that is made of their numbers.
        found = list(self._look(pictures))
        return [
            Answer(raw, logits, self._anchors, self._min_score, letterbox)
            for (raw, logits), letterbox in zip(found, boxes, strict=True)
        ]

    def _look(self, pictures: Image) -> Iterator[tuple[Numbers, Numbers]]:
        """The boxes and the scores of each picture, flat."""
        count = len(self._anchors)
        return ((one[:-count], one[-count:]) for one in self._backend.infer(pictures))

    def close(self) -> None:
        """See `FaceDetector.close`."""


class OnnxDetector(NetworkDetector):
    """One face network on ONNX Runtime, on one thread and for one thread at a time."""

    def __init__(self, range_: Range, min_score: float) -> None:
        """min_score: as of `NetworkDetector`."""
        self._network = OnnxNetwork(range_)
        super().__init__(self._network, range_, min_score)

    def _look(self, pictures: Image) -> Iterator[tuple[Numbers, Numbers]]:
        return map(self._network.look, pictures)

    def close(self) -> None:
        """See `FaceDetector.close`."""
        self._network.close()
