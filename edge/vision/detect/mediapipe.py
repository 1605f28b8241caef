"""MediaPipe's face detectors as `FaceDetector`s: the only module that imports mediapipe."""

from __future__ import annotations

import sys
from functools import cache
from types import ModuleType
from typing import Any, cast

import cv2
import numpy as np

from edge.types import KEYPOINTS, Faces, Image
from edge.vision.detect.detector import FaceDetector
from edge.vision.detect.networks import NETWORKS, Range, read_file


class MediaPipeDetector(FaceDetector):
    """One MediaPipe face detector, for one thread at a time."""

    def __init__(self, range_: Range, min_score: float) -> None:
        tasks, vision = _tasks()
        options = vision.FaceDetectorOptions(
            base_options=tasks.BaseOptions(model_asset_buffer=read_file(*NETWORKS[range_].mediapipe)),
            min_detection_confidence=min_score,
        )
        self._detector: Any = vision.FaceDetector.create_from_options(options)
        self._memory = np.empty(0, np.uint8)

    def detect(self, image: Image) -> Faces:
        import mediapipe as mp

        rgb = mp.Image(image_format=mp.ImageFormat.SRGB, data=self._in_rgb(image))
        found = self._detector.detect(rgb).detections
        return _faces(found, width=image.shape[1], height=image.shape[0])

    def _in_rgb(self, image: Image) -> Image:
        """A copy in RGB order: mp.Image reads a view with strides, such as image[..., ::-1], as garbage.

        It is in the detector's own memory, which mp.Image copies again.
        """
        if self._memory.size < image.size:
            self._memory = np.empty(image.size, np.uint8)
        copy = self._memory[: image.size].reshape(image.shape)
        return cast("Image", cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=copy))

    def close(self) -> None:
        self._detector.close()


@cache
def _tasks() -> tuple[Any, Any]:
    """MediaPipe's Tasks API, without the libraries for plots and for microphones that its parts import.

    Empty stand-ins during the import: matplotlib costs 40 MB and a third of a second at every start, and
    sounddevice looks for its library by running ldconfig and a compiler, which write temporary files.
    """
    absent = [name for name in ("matplotlib", "matplotlib.pyplot", "sounddevice") if name not in sys.modules]
    for name in absent:
        sys.modules[name] = ModuleType(name)
    try:
        from mediapipe.tasks import python as tasks
        from mediapipe.tasks.python import vision
    finally:
        for name in absent:
            del sys.modules[name]
    return tasks, vision


def _faces(detections: list[Any], width: int, height: int) -> Faces:
    if not detections:
        return Faces.empty()
    size = np.array([width, height], np.float32)
    corners = [d.bounding_box for d in detections]
    points = [[(k.x, k.y) for k in d.keypoints] for d in detections]
    return Faces(
        xyxy=np.array(
            [(b.origin_x, b.origin_y, b.origin_x + b.width, b.origin_y + b.height) for b in corners],
            np.float32,
        ),
        score=np.array([d.categories[0].score for d in detections], np.float32),
        keypoints=np.array(points, np.float32).reshape(-1, KEYPOINTS, 2) * size,
    )
