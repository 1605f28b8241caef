"""Live sources that FFmpeg reads: RTSP, video over HTTP, and the cameras of this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit, urlunsplit

from edge.capture.live.address import Credentials, Timeouts, host_and_port, public_name, with_credentials
from edge.capture.live.refusal import UNSUPPORTED_TRANSPORT, why_refused
from edge.capture.live.tls import Relay, Trust, connect
from edge.capture.rate_limit import RateLimit
from edge.capture.source import Picture
from edge.capture.video import UnopenedError, Video
from edge.clock import Clock
from edge.errors import SourceError

Transport = Literal["auto", "tcp", "udp"]


class LiveStream:
    """A live source. Pictures beyond `max_fps` are decoded, as later ones depend on them, and dropped."""

    live = True

    def __init__(
        self,
        video: Video,
        max_fps: float,
        read_timeout: float,
        clock: Clock,
        release: Callable[[], None] = lambda: None,
    ) -> None:
        """release: called when the video has been closed."""
        self._video = video
        self._rate = RateLimit(max_fps)
        self._timeout = read_timeout
        self._clock = clock
        self._release = release

    @classmethod
    def from_rtsp(
        cls,
        url: str,
        credentials: Credentials,
        timeouts: Timeouts,
        max_fps: float,
        clock: Clock,
        *,
        trust: Trust = Trust(),  # noqa: B008 - it is frozen
        transport: Transport = "auto",
        threads: int = 1,
    ) -> Self:
        """Connect to an RTSP camera; auto: over UDP where it refuses TCP. Raises SourceError."""
        name = public_name(url)
        if urlsplit(url).scheme == "rtsps":
            return cls._through_tls(url, credentials, timeouts, max_fps, clock, trust=trust, threads=threads)
        address = with_credentials(url, credentials)
        asked_at = clock.monotonic()
        try:
            video = _open_rtsp(name, address, timeouts, transport, threads)
        except UnopenedError as fault:
            if clock.monotonic() - asked_at >= timeouts.open:
                raise SourceError(f"{name}: no answer within {timeouts.open:g} s") from None
            raise SourceError(f"{name}: {why_refused(url, trust, credentials, fault.status)}") from None
        return cls(video, max_fps, timeouts.read, clock)

    @classmethod
    def _through_tls(
        cls,
        url: str,
        credentials: Credentials,
        timeouts: Timeouts,
        max_fps: float,
        clock: Clock,
        *,
        trust: Trust,
        threads: int,
    ) -> Self:
        """RTSP over TLS, which carries the pictures as well."""
        name = public_name(url)
        try:
            relay = Relay(connect(*host_and_port(url), trust, timeouts.open))
        except SourceError as fault:
            raise SourceError(f"{name}: {fault}") from None
        inner = urlunsplit(urlsplit(url)._replace(scheme="rtsp", netloc=f"127.0.0.1:{relay.port}"))
        try:
            video = _open_rtsp(name, with_credentials(inner, credentials), timeouts, "tcp", threads)
        except UnopenedError as fault:
            relay.close()
            raise SourceError(f"{name}: {why_refused(url, trust, credentials, fault.status)}") from None
        return cls(video, max_fps, timeouts.read, clock, relay.close)

    @classmethod
    def from_device(
        cls, device: str, timeouts: Timeouts, max_fps: float, clock: Clock, *, threads: int = 1
    ) -> Self:
        """Open a camera by its index or its path under /dev. Raises SourceError."""
        path = f"/dev/video{int(device)}" if device.isdecimal() else device
        if not Path(path).exists():
            raise SourceError(f"{path}: the device does not exist")
        limits = (timeouts.open, timeouts.read)
        try:
            video = Video.open(path, path, threads=threads, timeouts=limits, container_format="v4l2")
        except UnopenedError:
            raise SourceError(f"{path}: is not a camera, is in use, or this user may not read it") from None
        return cls(video, max_fps, timeouts.read, clock)

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
            why = f"no frame for {self._timeout:g} s" if timed_out() else "the stream ended"
            raise SourceError(f"{self._video.name}: {why}")

    def close(self) -> None:
        self._video.close()
        self._release()


def _open_rtsp(name: str, address: str, timeouts: Timeouts, transport: Transport, threads: int) -> Video:
    """Raises UnopenedError. UDP loses parts of pictures, so TCP is tried first."""

    def over(way: str) -> Video:
        options = {"rtsp_transport": way, "allowed_media_types": "video"}
        limits = (timeouts.open, timeouts.read)
        return Video.open(name, address, threads=threads, timeouts=limits, options=options)

    if transport != "auto":
        return over(transport)
    try:
        return over("tcp")
    except UnopenedError as fault:
        if fault.status != UNSUPPORTED_TRANSPORT:
            raise
    return over("udp")
