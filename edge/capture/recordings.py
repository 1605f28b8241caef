"""Recordings: a video file or a folder of pictures. They end unless they are looped."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import cast

import cv2

from edge.capture.rate_limit import RateLimit
from edge.capture.source import Picture
from edge.capture.video import Video, prepare_opencv
from edge.errors import SourceError
from edge.types import Image

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
"""The suffixes of the picture files in a folder; other files are ignored."""

_DEFAULT_FPS = 25.0
_MAX_FPS = 240.0
_MAX_STEP = 86_400.0


class MediaTime:
    """Media time that starts at 0 and strictly increases, also where the file's own times do not.

    A position that is not after the one before, or more than a day after it, is wrong: the duration of a
    frame is added instead. A frame rate outside 0..240 is wrong as well (files with 0 or 1000 exist): 25 is
    used.
    """

    def __init__(self, fps: float) -> None:
        self._duration = 1 / (fps if 0 < fps <= _MAX_FPS else _DEFAULT_FPS)
        self._offset = -self._duration
        self.restart()

    def restart(self) -> None:
        """The recording starts again; the media time continues by the duration of a frame."""
        self._position: float | None = None

    def advance(self, position: float) -> float:
        """The offset in seconds of the next frame, which is at `position` as the file says."""
        step = self._duration if self._position is None else position - self._position
        self._offset += step if 0 < step <= _MAX_STEP else self._duration  # NaN fails this comparison as well
        if self._position is None or position > self._position:
            self._position = position
        return self._offset


class Clip:
    """A video file. Raises SourceError if it is missing, empty or not a video."""

    live = False

    def __init__(self, path: Path, max_fps: float, *, loop: bool = False, threads: int = 1) -> None:
        self._path = path
        self._threads = threads
        self._loop = loop
        self._rate = RateLimit(max_fps)
        self._video = _open_clip(path, threads)
        self._time = MediaTime(self._video.fps)
        self._frames = 0
        self._corrupt_before = 0

    @property
    def corrupt(self) -> int:
        return self._corrupt_before + self._video.corrupt

    def read(self) -> Picture | None:
        while self._next_frame():
            offset = self._time.advance(self._video.position)
            if self._rate.keep(offset) and (image := self._video.retrieve()) is not None:
                return Picture(image, offset)
        return None

    def _next_frame(self) -> bool:
        if self._video.grab():
            self._frames += 1
            return True
        if self._frames == 0:
            raise SourceError(f"{self._path}: none of its frames can be decoded")
        if not self._loop:
            return False
        self._open_again()
        return self._next_frame()

    def _open_again(self) -> None:
        """Rewind by opening the file again: not every format can seek."""
        self._corrupt_before = self.corrupt
        self._video.close()
        self._video = _open_clip(self._path, self._threads)
        self._time.restart()
        self._frames = 0

    def close(self) -> None:
        self._video.close()


def _open_clip(path: Path, threads: int) -> Video:
    try:
        size = path.stat().st_size
        path.open("rb").close()
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from None
    if size == 0:
        raise SourceError(f"{path}: is empty (0 bytes)")
    # An absolute path: FFmpeg would read a relative "concat:a.mp4" as a protocol.
    video = Video.with_ffmpeg(str(path), str(path.absolute()), threads=threads)
    if video is None:
        raise SourceError(f"{path}: cannot be decoded: it is not a video, or is damaged")
    return video


class Folder:
    """The pictures of a folder in the order of their names, `max_fps` of them a second.

    Raises SourceError if there are none.
    """

    live = False

    def __init__(self, path: Path, max_fps: float, *, loop: bool = False) -> None:
        prepare_opencv()
        paths = _pictures_in(path)
        self.corrupt = 0
        self._name = path
        self._count = len(paths)
        self._period = 1 / max_fps
        self._numbered = enumerate(itertools.cycle(paths) if loop else paths)
        self._failures = 0

    def read(self) -> Picture | None:
        for number, path in self._numbered:
            if (image := _decode(path)) is not None:
                self._failures = 0
                return Picture(image, number * self._period)
            self.corrupt += 1
            self._failures += 1
            if self._failures == self._count:
                raise SourceError(f"{self._name}: none of its {self._count} pictures can be decoded")
        return None

    def close(self) -> None:
        """Do nothing: no file stays open between two pictures."""


def _pictures_in(folder: Path) -> list[Path]:
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)
    except OSError as error:
        raise SourceError(f"{folder}: cannot be read: {error.strerror}") from None
    if not paths:
        raise SourceError(f"{folder}: holds no pictures; allowed: {', '.join(PICTURES)}")
    return paths


def _decode(path: Path) -> Image | None:
    try:
        return cast("Image | None", cv2.imread(str(path), cv2.IMREAD_COLOR))
    except cv2.error:  # a size that OpenCV refuses
        return None
