"""MediaPipe's face networks on ONNX Runtime, as `FaceDetector`s: the same faces in two thirds of the time."""

from __future__ import annotations

import numpy as np

from edge.inference.onnxruntime import open_graph
from edge.types import Faces, Image
from edge.vision.detect.boxes import faces_of
from edge.vision.detect.letterbox import letterbox_for
from edge.vision.detect.networks import NETWORKS, Range, read_file


class OnnxDetector:
    """One face network on one thread, for one thread at a time."""

    def __init__(self, range_: Range, min_score: float) -> None:
        """min_score: of the boxes that are faces, in 0..1 without the ends."""
        network = NETWORKS[range_]
        self._session = open_graph(read_file(*network.onnx), threads=1)
        self._anchors = network.anchors()
        self._size = network.size
        self._min_score = min_score

    def detect(self, image: Image) -> Faces:
        """See `FaceDetector.detect`."""
        letterbox = letterbox_for(image.shape[1], image.shape[0], self._size)
        raw, logits = self._session.run(["boxes", "scores"], {"image": letterbox(image)[None]})
        shares = np.asarray(raw[0] / self._size, np.float32)
        return faces_of(shares, logits[0, :, 0], self._anchors, self._min_score, letterbox)

    def close(self) -> None:
        """See `FaceDetector.close`."""
        del self._session
