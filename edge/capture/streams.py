"""Live sources: network streams and the cameras of this machine."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Self
from urllib.parse import quote, urlsplit, urlunsplit

from edge.capture.rate_limit import RateLimit
from edge.capture.source import Picture
from edge.capture.video import UnopenedError, Video
from edge.clock import Clock
from edge.errors import SourceError

DEFAULT_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
"""The allowed schemes, and the port of each if the URL names none."""

_OPTIONS = {"rtsp_transport": "tcp", "allowed_media_types": "video"}


class LiveStream:
    """A live source. Pictures beyond `max_fps` are decoded, as later ones depend on them, and dropped."""

    live = True

    def __init__(self, video: Video, max_fps: float, read_timeout: float, clock: Clock) -> None:
        self._video = video
        self._rate = RateLimit(max_fps)
        self._timeout = read_timeout
        self._clock = clock

    @classmethod
    def from_url(
        cls,
        url: str,
        credentials: tuple[str, str] | None,
        timeouts: tuple[float, float],
        max_fps: float,
        clock: Clock,
        *,
        threads: int = 1,
    ) -> Self:
        """Connect to an RTSP or HTTP stream. timeouts: open and read, in seconds. Raises SourceError."""
        name = public_name(url)
        asked_at = clock.monotonic()
        try:
            video = Video.open(
                name, with_credentials(url, credentials), threads=threads, timeouts=timeouts, options=_OPTIONS
            )
        except UnopenedError:
            waited = clock.monotonic() - asked_at
            raise SourceError(f"{name}: {_why_closed(url, timeouts[0], waited)}") from None
        return cls(video, max_fps, timeouts[1], clock)

    @classmethod
    def from_device(
        cls, device: str, timeouts: tuple[float, float], max_fps: float, clock: Clock, *, threads: int = 1
    ) -> Self:
        """Open a camera by its index or its path under /dev. Raises SourceError."""
        path = f"/dev/video{int(device)}" if device.isdecimal() else device
        if not Path(path).exists():
            raise SourceError(f"{path}: the device does not exist")
        try:
            video = Video.open(path, path, threads=threads, timeouts=timeouts, container_format="v4l2")
        except UnopenedError:
            raise SourceError(f"{path}: is not a camera, is in use, or this user may not read it") from None
        return cls(video, max_fps, timeouts[1], clock)

    @property
    def corrupt(self) -> int:
        return self._video.corrupt

    def read(self) -> Picture:
        while True:
            self._grab()
            if self._rate.keep(self._clock.monotonic()) and (image := self._video.retrieve()) is not None:
                return Picture(image)

    def _grab(self) -> None:
        asked_at = self._clock.monotonic()

        def timed_out() -> bool:
            return self._clock.monotonic() - asked_at >= self._timeout

        if not self._video.grab(give_up=timed_out):
            silent = f"no frame for {self._timeout:g} s"
            broken = "the stream ended"
            raise SourceError(f"{self._video.name}: {silent if timed_out() else broken}")

    def close(self) -> None:
        self._video.close()


def public_name(url: str) -> str:
    """Scheme, host and port of a URL, which may be logged. Some cameras take passwords in path or query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def with_credentials(url: str, credentials: tuple[str, str] | None) -> str:
    """The URL with user name and password, percent-encoded (RFC 3986, 3.2.1)."""
    if credentials is None:
        return url
    parts = urlsplit(url)
    user = ":".join(quote(part, safe="") for part in credentials)
    return urlunsplit(parts._replace(netloc=f"{user}@{parts.netloc}"))


def _why_closed(url: str, timeout: float, waited: float) -> str:
    """Why a stream could not be opened: OpenCV gives no reason, so connect to the host to find out more."""
    if waited >= timeout:
        return f"no answer within {timeout:g} s"
    parts = urlsplit(url)
    try:
        socket.create_connection(
            (parts.hostname, parts.port or DEFAULT_PORTS[parts.scheme]), timeout=2
        ).close()
    except OSError as error:
        return f"cannot be reached: {error.strerror or error}"
    return "answers but gives no video; check the user name, password and path"
