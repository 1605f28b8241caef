"""MediaPipe's face detectors as `FaceDetector`s: the only module that imports mediapipe.

A search calls MediaPipe's library itself. Its Python class, which opens a detector here, hands each call to a
thread of its own, and makes an object of each face and keypoint: 0.3 CPU-ms, and Python's lock meanwhile.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache, lru_cache
from types import ModuleType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.types import KEYPOINTS, Faces, Image
from edge.vision.detect.detector import FaceDetector
from edge.vision.detect.networks import NETWORKS, Range, read_file

SHAPES = 2
"""Shapes of pictures for which a detector keeps memory: the whole of a camera's, and its tiles."""


class MediaPipeDetector(FaceDetector):
    """One MediaPipe face detector, for one thread at a time."""

    def __init__(self, range_: Range, min_score: float) -> None:
        tasks, vision = _tasks()
        options = vision.FaceDetectorOptions(
            base_options=tasks.BaseOptions(model_asset_buffer=read_file(*NETWORKS[range_].mediapipe)),
            min_detection_confidence=min_score,
        )
        self._detector: Any = vision.FaceDetector.create_from_options(options)
        self._canvas = lru_cache(SHAPES)(_canvas)

    def detect(self, image: Image) -> Faces:
        """See `FaceDetector.detect`. Raises what MediaPipe raises."""
        library, rgb = _library(), self._in_rgb(image)
        found = library.search(self._detector._handle, rgb._image_ptr)
        try:
            return _faces(found, width=image.shape[1], height=image.shape[0])
        finally:
            library.release(found)

    def _in_rgb(self, image: Image) -> Any:  # noqa: ANN401
        """The picture in RGB order, as an mp.Image; in memory that is used again, if it can be."""
        canvas, pixels = self._canvas(image.shape)
        cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=pixels)
        return _as_picture(pixels) if canvas is None else canvas

    def close(self) -> None:
        self._detector.close()


def _canvas(shape: tuple[int, ...]) -> tuple[Any, Image]:
    """An mp.Image of this shape, and its pixels to be written; None and memory of ours where its rows do not
    follow each other, as each begins at a multiple of 16 bytes.

    What becomes an mp.Image is copied: at 1080p 0.5 CPU-ms and 6 MB for each search.
    """
    pixels = np.zeros(shape, np.uint8)
    picture = _as_picture(pixels)
    if not picture.is_contiguous():
        return None, pixels
    address = picture.numpy_view().ctypes.data
    return picture, np.ctypeslib.as_array((ctypes.c_uint8 * pixels.size).from_address(address)).reshape(shape)


def _as_picture(rgb: Image) -> Any:  # noqa: ANN401
    """A copy as an mp.Image; of a view with strides, such as image[..., ::-1], it would read garbage."""
    import mediapipe as mp

    return mp.Image(image_format=mp.ImageFormat.SRGB, data=rgb)


class _Library:
    """What a search needs of MediaPipe's library; for any thread, but one at a time for each detector."""

    def __init__(self) -> None:
        from mediapipe.tasks.python.components.containers.detections_c import DetectionResultC
        from mediapipe.tasks.python.core import mediapipe_c_bindings, mediapipe_c_utils

        self._raw: Any = mediapipe_c_bindings.load_raw_library()  # its functions' types are declared
        self._raise_if_failed: Any = mediapipe_c_utils.handle_status
        self._result: Any = DetectionResultC

    def search(self, detector: ctypes.c_void_p | None, picture: ctypes.c_void_p) -> Any:  # noqa: ANN401
        """The `DetectionResultC` of a picture; `release` it. detector: None where it is closed."""
        if not detector:
            raise RuntimeError("the detector is closed")
        found, error = self._result(), ctypes.c_char_p()
        status = self._raw.MpFaceDetectorDetectImage(
            detector, picture, None, ctypes.byref(found), ctypes.byref(error)
        )
        try:
            self._raise_if_failed(status, error)
        finally:
            if error.value is not None:
                self._raw.MpErrorFree(error)
        return found

    def release(self, found: Any) -> None:  # noqa: ANN401
        """Give the memory of a result back."""
        self._raw.MpFaceDetectorCloseResult(ctypes.byref(found))


_library = cache(_Library)


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


def _faces(found: Any, width: int, height: int) -> Faces:  # noqa: ANN401
    """The faces of a `DetectionResultC`, in memory of their own."""
    each = found.detections[: found.detections_count]
    if not each:
        return Faces.empty()
    corners = [(b.left, b.top, b.right, b.bottom) for b in [one.bounding_box for one in each]]
    return Faces(
        xyxy=np.array(corners, np.float32),
        score=np.array([one.categories[0].score for one in each], np.float32),
        keypoints=_keypoints(each) * np.array([width, height], np.float32),
    )


def _keypoints(each: list[Any]) -> NDArray[np.float32]:
    """x and y of the keypoints of each `DetectionC`, float32 (N, 6, 2), in 0..1 of the picture."""
    if any(one.keypoints_count != KEYPOINTS for one in each):
        raise ValueError(f"a face has not {KEYPOINTS} keypoints")
    size = ctypes.sizeof(each[0].keypoints._type_)
    held = b"".join([ctypes.string_at(one.keypoints, KEYPOINTS * size) for one in each])
    numbers = np.frombuffer(held, np.float32).reshape(len(each), KEYPOINTS, -1)
    return numbers[..., :2]  # they come first, before a name and a score
