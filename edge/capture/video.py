"""OpenCV's VideoCapture: the only module that opens, silences and releases it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, cast

import cv2

from edge.capture.buffers import Buffers
from edge.errors import SourceError
from edge.types import Image

MAX_CORRUPT = 50
"""Undecodable frames in a row after which a source counts as lost: two seconds at 25 a second."""

_ENVIRONMENT = {
    # Without it OpenCV opens one source at a time: a camera that is switched off delays all others.
    "OPENCV_FFMPEG_IS_THREAD_SAFE": "1",
    # OpenCV's default only prefers TCP: if TCP fails at first, it uses UDP, which loses parts of pictures.
    "OPENCV_FFMPEG_CAPTURE_OPTIONS": "rtsp_transport;tcp|allowed_media_types;video",
    # AV_LOG_QUIET: FFmpeg and OpenCV print URLs with their credentials.
    "OPENCV_FFMPEG_LOGLEVEL": "-8",
}


def prepare_opencv() -> None:
    """Set the environment variables of OpenCV that the user has not set."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if "OPENCV_LOG_LEVEL" not in os.environ:
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


class Video:
    """An open capture that distinguishes a frame that cannot be decoded from the end of the stream."""

    def __init__(self, name: str, capture: Any) -> None:  # noqa: ANN401 - cv2 has no types
        self.name = name
        self.corrupt = 0
        self._capture = capture
        self._failures = 0
        self._buffers = Buffers()

    @classmethod
    def with_ffmpeg(
        cls, name: str, address: str, *, threads: int, timeouts: tuple[float, float] | None = None
    ) -> Video | None:
        """Open a URL or a file; None if it cannot be opened. timeouts: open and read, in seconds.

        threads: decoder threads; each one beyond the first delays the picture by a frame. FFmpeg's default is
        one for each core: with 16 cores a visitor would be seen 0.6 s late.
        """
        parameters = [cv2.CAP_PROP_N_THREADS, threads]
        if timeouts is not None:
            names = (cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, cv2.CAP_PROP_READ_TIMEOUT_MSEC)
            for key, seconds in zip(names, timeouts, strict=True):
                parameters += [key, max(1, round(seconds * 1000))]
        return cls._opened(name, address, cv2.CAP_FFMPEG, parameters)

    @classmethod
    def with_v4l2(cls, name: str, device: str) -> Video | None:
        """Open a camera of this machine; None if it cannot be opened."""
        return cls._opened(name, device, cv2.CAP_V4L2, [])

    @classmethod
    def _opened(cls, name: str, address: str, backend: int, parameters: Sequence[int]) -> Video | None:
        prepare_opencv()
        try:
            capture = cv2.VideoCapture(address, backend, parameters)
        except cv2.error:  # its message may hold the address with its credentials
            return None
        if capture.isOpened():
            return cls(name, capture)
        capture.release()
        return None

    def grab(self, give_up: Callable[[], bool] = lambda: False) -> bool:
        """Advance to the next frame without converting it; False if there are no more.

        Frames that cannot be decoded are skipped, and counted once a good one follows: at the end of a stream
        every attempt fails. `give_up` is called before each further attempt. Raises SourceError if OpenCV
        itself raises an error.
        """
        for skipped in range(MAX_CORRUPT + 1):
            if self._grab():
                self.corrupt += skipped
                return True
            if give_up():
                return False
        return False

    def _grab(self) -> bool:
        try:
            return bool(self._capture.grab())
        except cv2.error:  # its message may hold the address with its credentials
            raise SourceError(f"{self.name}: OpenCV cannot continue to read it") from None

    def retrieve(self) -> Image | None:
        """The frame last grabbed, uint8 (H, W, 3) BGR; None if it is corrupt.

        Its memory is reused for a later frame once nothing refers to it or a part of it. Raises SourceError
        after more than `MAX_CORRUPT` corrupt frames in a row.
        """
        try:
            good, image = self._capture.retrieve(self._buffers.spare())
        except cv2.error:
            good, image = False, None
        if good and image is not None and image.size:
            self._failures = 0
            self._buffers.keep(image)
            return cast("Image", image)
        self.corrupt += 1
        self._failures += 1
        if self._failures > MAX_CORRUPT:
            raise SourceError(f"{self.name}: none of the last {MAX_CORRUPT} frames could be decoded")
        return None

    @property
    def fps(self) -> float:
        """Frames a second according to the file; may be 0 or wrong."""
        return float(self._capture.get(cv2.CAP_PROP_FPS))

    @property
    def position(self) -> float:
        """Media time of the frame last grabbed according to the file, in seconds."""
        return float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000

    def close(self) -> None:
        self._capture.release()
