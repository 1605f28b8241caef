"""MediaPipe's face networks on ONNX Runtime, as `FaceDetector`s: the same faces in two thirds of the time."""

from __future__ import annotations

from edge.inference.onnxruntime import open_graph
from edge.types import Faces, Image
from edge.vision.detect.boxes import Answer
from edge.vision.detect.detector import FaceDetector, Wanted
from edge.vision.detect.letterbox import letterbox_for
from edge.vision.detect.networks import NETWORKS, Range, read_file


class OnnxDetector(FaceDetector):
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
        return self._answer(image).faces()

    def surest(self, image: Image, wanted: Wanted) -> Faces:
        """See `FaceDetector.surest`."""
        return self._answer(image).surest(wanted)

    def _answer(self, image: Image) -> Answer:
        letterbox = letterbox_for(image.shape[1], image.shape[0], self._size)
        raw, logits = self._session.run(["boxes", "scores"], {"image": letterbox(image)[None]})
        return Answer(raw[0], logits[0, :, 0], self._anchors, self._min_score, letterbox)

    def close(self) -> None:
        """See `FaceDetector.close`."""
        del self._session
