"""OpenCV's VideoCapture: the one place that opens it, keeps it quiet, and lets go of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, cast

import cv2

from edge.capture.buffers import Buffers
from edge.errors import SourceError
from edge.types import Image

MAX_CORRUPT = 50
"""Frames in a row that may be undecodable before a source counts as lost: two seconds at 25 a second."""

_ENVIRONMENT = {
    # Without it one lock spans every open: a camera that is switched off holds up all the others.
    "OPENCV_FFMPEG_IS_THREAD_SAFE": "1",
    # OpenCV's own default only prefers TCP, and takes UDP with its torn pictures where TCP fails at first.
    "OPENCV_FFMPEG_CAPTURE_OPTIONS": "rtsp_transport;tcp|allowed_media_types;video",
    # Quiet (AV_LOG_QUIET): FFmpeg and OpenCV name URLs in what they print, credentials and all.
    "OPENCV_FFMPEG_LOGLEVEL": "-8",
}


def prepare_opencv() -> None:
    """Set what OpenCV reads from the environment, except where the user has set it already."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if "OPENCV_LOG_LEVEL" not in os.environ:
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


class Video:
    """An open capture that tells a frame it cannot decode from the end of them all."""

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
        """Open a URL or a file; None when it cannot be opened. timeouts: open and read, in seconds.

        threads: of the decoder, and every one beyond the first holds a frame back. FFmpeg's own default is
        one for each core: 16 cores would show a visitor 0.6 s late.
        """
        parameters = [cv2.CAP_PROP_N_THREADS, threads]
        if timeouts is not None:
            names = (cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, cv2.CAP_PROP_READ_TIMEOUT_MSEC)
            for key, seconds in zip(names, timeouts, strict=True):
                parameters += [key, max(1, round(seconds * 1000))]
        return cls._opened(name, address, cv2.CAP_FFMPEG, parameters)

    @classmethod
    def with_v4l2(cls, name: str, device: str) -> Video | None:
        """Open a camera of this machine; None when it cannot be opened."""
        return cls._opened(name, device, cv2.CAP_V4L2, [])

    @classmethod
    def _opened(cls, name: str, address: str, backend: int, parameters: Sequence[int]) -> Video | None:
        prepare_opencv()
        try:
            capture = cv2.VideoCapture(address, backend, parameters)
        except cv2.error:  # its message may hold the address, credentials and all
            return None
        if capture.isOpened():
            return cls(name, capture)
        capture.release()
        return None

    def grab(self, give_up: Callable[[], bool] = lambda: False) -> bool:
        """Go to the next frame without converting it; False when there are no more.

        Frames that cannot be decoded are stepped over and counted once a good one follows: at the end of a
        stream every attempt fails. `give_up` is asked before another attempt. Raises SourceError where OpenCV
        does not fail but breaks.
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
        except cv2.error:  # its message may hold the address, credentials and all
            raise SourceError(f"{self.name}: OpenCV cannot go on reading it") from None

    def retrieve(self) -> Image | None:
        """The frame last grabbed, uint8 (H, W, 3) BGR; None when it is corrupt.

        Its memory is used for a later one when nobody holds it, or a part of it, any more. Raises SourceError
        when none could be decoded again and again.
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
        """Frames a second as the file says; may be 0 or absurd."""
        return float(self._capture.get(cv2.CAP_PROP_FPS))

    @property
    def position(self) -> float:
        """Media time of the frame last grabbed as the file says, in seconds."""
        return float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000

    def close(self) -> None:
        self._capture.release()
