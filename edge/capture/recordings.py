"""Recordings: a video file or a folder of pictures. They end unless they are looped."""

from __future__ import annotations

import itertools
import logging
import os
from pathlib import Path
from typing import cast

import cv2

from edge.capture.rate_limit import ROUNDED, RateLimit
from edge.capture.recorded.codec_change import first_byte
from edge.capture.recorded.media_time import Losses, MediaTime
from edge.capture.source import Picture
from edge.capture.video import BY_SOFTWARE, Decoding, UnopenedError, Video
from edge.clock import Clock
from edge.errors import SourceError
from edge.types import Image

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
"""The suffixes of the picture files in a folder; other files are ignored."""

_OPTIONS = {
    "protocol_whitelist": "file",  # a playlist that calls itself a recording must not reach the network
    "correct_ts_overflow": "0",  # FFmpeg would take a jump back for a wrapped clock
}

_UNPROBED = {"fpsprobesize": "0"}
"""FFmpeg would read up to 5 MB to measure the rate, and take the codec that it finds last in them."""

log = logging.getLogger(__name__)


def prepare_opencv() -> None:
    """Stop OpenCV and its FFmpeg from printing, unless the user has set how much they say."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET
    if "OPENCV_LOG_LEVEL" not in os.environ:
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


class Clip:
    """A video file. own: of its `RateLimit`, by the clock in whose real time it plays.

    Raises SourceError if it is missing, empty or not a video.
    """

    live = False

    def __init__(
        self,
        path: Path,
        max_fps: float,
        *,
        loop: bool = False,
        decoding: Decoding = BY_SOFTWARE,
        clock: Clock | None = None,
        own: float | None = None,
    ) -> None:
        self._path = path
        self._decoding = decoding
        self._loop = loop
        self._rate = RateLimit(max_fps)
        self._clock = clock
        self._own = own
        self._video = _open_clip(path, decoding)
        self._time = MediaTime(self._video.fps)
        self._losses = Losses(self._time.fps)
        self._lost = 0
        self._frames = 0
        self._shown = False
        self._first = -1  # byte at which the file was opened, -1 before its codec has changed

    @property
    def corrupt(self) -> int:
        return self._lost + self._video.corrupt

    @property
    def seconds(self) -> float:
        """How long the file says that it lasts; 0 where it does not say."""
        return self._video.seconds

    def skip(self, seconds: float) -> float:
        """Begin so much later in the recording, before the first `read`: these frames are not given.

        Returns how many seconds were skipped: fewer where the recording ends before.
        """
        begin = seconds - 1 / self._time.fps - ROUNDED  # of the last one that is not
        while self._time.offset < begin and self._next_frame() is not None:
            pass
        return max(0.0, self._time.offset + 1 / self._time.fps)

    def read(self) -> Picture | None:
        self._note_start()
        while (offset := self._next_frame()) is not None:
            if self._rate.keep(offset) and (decoded := self._video.retrieve()) is not None:
                self._shown = True
                return Picture(decoded, offset, self._time.segment, self._video.note)
        return None

    def _note_start(self) -> None:
        """The clock's time of the first picture is known once it is shown, when the second is asked for."""
        if self._clock and self._own is not None and self._shown:
            self._rate.own = self._own - (self._clock.monotonic() - self._time.offset)
            self._clock = None

    def _next_frame(self) -> float | None:
        """Advance to the next frame that was decoded; its media time, None at the end."""
        skipped = self._video.corrupt + self._video.left_out
        if self._video.grab(unwanted=self._rate.opens - self._time.offset):
            self._note_missing_times()
            self._frames += 1
            offset = self._time.advance(self._video.position)
            skipped = self._video.corrupt + self._video.left_out - skipped
            self._lost += self._losses.before(offset, self._video.faults, skipped)
            return offset
        if self._video.changes_at is not None:
            self._go_on_at(self._video.changes_at)
            return self._next_frame()
        if self._frames == 0:
            raise SourceError(f"{self._path}: none of its frames can be decoded")
        if not self._loop:
            return None
        self._open_again()
        return self._next_frame()

    def _note_missing_times(self) -> None:
        if self._frames == 0 and not self._video.has_times:
            log.warning(
                "%s: has no time stamps, as raw H.264; %g frames a second are assumed",
                self._path,
                self._time.fps,
            )

    def _open_again(self) -> None:
        """Rewind by opening the file again: not every format can seek."""
        self._lost = self.corrupt
        self._video.close()
        self._first, self._video = -1, _open_clip(self._path, self._decoding)
        self._time.restart()
        self._losses = Losses(self._time.fps)
        self._frames = 0

    def _go_on_at(self, byte: int) -> None:
        """Go on with the rest of the file, which is in another codec. Its time tells whether it continues."""
        self._lost = self.corrupt
        self._video.close()
        before = self._first
        try:
            self._first = first_byte(self._path, byte)
            self._video = _open_clip(self._path, self._decoding, self._first)
        except (OSError, SourceError):
            before = self._first
        if self._first <= before:  # or it was opened there before, and is no other codec
            raise SourceError(
                f"{self._path}: the codec changes inside it, at byte {byte}, and the rest cannot be opened; "
                "split it there, or convert it to one codec"
            )
        log.warning(
            "%s: the codec changes inside it, at byte %d; the rest is decoded as well", self._path, byte
        )
        self._losses = Losses(self._time.fps)

    def close(self) -> None:
        self._video.close()


def _open_clip(path: Path, decoding: Decoding, first: int = -1) -> Video:
    try:
        size = path.stat().st_size
        path.open("rb").close()
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from None
    if size == 0:
        raise SourceError(f"{path}: is empty (0 bytes)")
    try:
        # An absolute path: FFmpeg would read a relative "concat:a.mp4" as a protocol.
        options = _OPTIONS | ({"skip_initial_bytes": str(first), **_UNPROBED} if first >= 0 else {})
        return Video.open(str(path), f"file:{path.absolute()}", decoding=decoding, options=options)
    except UnopenedError as fault:
        raise SourceError(f"{path}: {fault}") from None


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
