"""Live sources that FFmpeg reads: RTSP, video over HTTP, and the cameras of this machine."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit, urlunsplit

from edge.capture.live.address import Credentials, Timeouts, host_and_port, public_name, with_credentials
from edge.capture.live.refusal import why_refused
from edge.capture.live.tls import Relay, Trust, connect
from edge.capture.rate_limit import RateLimit
from edge.capture.source import Picture
from edge.capture.video import (
    BY_SOFTWARE,
    SERVER_FAULT,
    UNSUPPORTED_TRANSPORT,
    Decoding,
    UnopenedError,
    Video,
)
from edge.clock import Clock
from edge.errors import SourceError

Transport = Literal["auto", "tcp", "udp"]

_BUSY_TRIES, _BUSY_PAUSE = 4, 0.5
"""How often UDP is tried while the camera is busy with the end of the try over TCP; seconds between."""


AT_ONCE = {"fpsprobesize": "0"}
"""Options of FFmpeg: it would hold back the first pictures, 20 or so, to measure their rate."""


class LiveStream:
    """A live source. Of the pictures beyond `max_fps` those are decoded on which others depend."""

    live = True

    def __init__(
        self,
        video: Video,
        max_fps: float,
        read_timeout: float,
        clock: Clock,
        *,
        release: Callable[[], None] = lambda: None,
        expect: Callable[[], None] = lambda: None,
        own: float | None = None,
    ) -> None:
        """own: of its `RateLimit`.

        release: called when the video has been closed. expect: called before a frame is waited for.
        """
        self._video = video
        self._rate = RateLimit(max_fps, own)
        self._timeout = read_timeout
        self._clock = clock
        self._release = release
        self._expect = expect

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
        decoding: Decoding = BY_SOFTWARE,
        own: float | None = None,
    ) -> Self:
        """Connect to an RTSP camera; auto: over UDP where it refuses TCP. Raises SourceError."""
        asked_at = clock.monotonic()
        relay = _relay(url, trust, timeouts) if urlsplit(url).scheme == "rtsps" else None
        address = with_credentials(_through(relay, url) if relay else url, credentials)
        try:
            over = partial(_open_rtsp, public_name(url), address, timeouts, decoding)
            video = _over_tcp_or_udp(over, clock) if transport == "auto" and not relay else over(transport)
        except UnopenedError as fault:
            if relay:
                relay.close()
            if clock.monotonic() - asked_at >= timeouts.open:
                raise SourceError(f"{public_name(url)}: no answer within {timeouts.open:g} s") from None
            why = why_refused(url, trust, credentials, fault.status, clock)
            raise SourceError(f"{public_name(url)}: {why}") from None
        release = relay.close if relay else lambda: None
        return cls(video, max_fps, timeouts.read, clock, release=release, own=own)

    @classmethod
    def from_device(
        cls,
        device: str,
        timeouts: Timeouts,
        max_fps: float,
        clock: Clock,
        *,
        threads: int = 1,
        own: float | None = None,
    ) -> Self:
        """Open a camera by its index or its path under /dev. Raises SourceError."""
        path = f"/dev/video{int(device)}" if device.isdecimal() else device
        if not Path(path).exists():
            raise SourceError(f"{path}: the device does not exist")
        limits = (timeouts.open, timeouts.read)
        try:
            video = Video.open(
                path, path, decoding=Decoding(threads), timeouts=limits, container_format="v4l2"
            )
        except UnopenedError:
            raise SourceError(f"{path}: is not a camera, is in use, or this user may not read it") from None
        return cls(video, max_fps, timeouts.read, clock, own=own)

    @property
    def corrupt(self) -> int:
        return self._video.corrupt

    def read(self) -> Picture:
        while True:
            self._grab()
            if self._rate.keep(self._clock.monotonic()) and (decoded := self._video.retrieve()) is not None:
                return Picture(decoded, note=self._video.note)

    def _grab(self) -> None:
        self._expect()
        asked_at = self._clock.monotonic()

        def timed_out() -> bool:
            return self._clock.monotonic() - asked_at >= self._timeout

        def unwanted() -> bool:
            return self._clock.monotonic() < self._rate.opens

        # Both clocks must say so: the stream's may be wrong, and pictures come later than their packets.
        left = self._rate.opens - asked_at
        if not self._video.grab(give_up=timed_out, unwanted=left, still_unwanted=unwanted):
            why = f"no frame for {self._timeout:g} s" if timed_out() else "the stream ended"
            raise SourceError(f"{self._video.name}: {why}")

    def close(self) -> None:
        self._video.close()
        self._release()


def _relay(url: str, trust: Trust, timeouts: Timeouts) -> Relay:
    """To a camera that is trusted, over TLS, which carries the pictures as well. Raises SourceError."""
    try:
        return Relay(connect(*host_and_port(url), trust, timeouts.open))
    except SourceError as fault:
        raise SourceError(f"{public_name(url)}: {fault}") from None


def _through(relay: Relay, url: str) -> str:
    return urlunsplit(urlsplit(url)._replace(scheme="rtsp", netloc=f"127.0.0.1:{relay.port}"))


def _over_tcp_or_udp(over: Callable[[Transport], Video], clock: Clock) -> Video:
    """UDP loses parts of pictures, so TCP is tried first. Raises UnopenedError."""
    try:
        return over("tcp")
    except UnopenedError as fault:
        if fault.status != UNSUPPORTED_TRANSPORT:
            raise
    for _ in range(_BUSY_TRIES):
        try:
            return over("udp")
        except UnopenedError as fault:
            if fault.status != SERVER_FAULT:
                raise
        clock.wait(threading.Event(), _BUSY_PAUSE)
    return over("udp")


def _open_rtsp(
    name: str, address: str, timeouts: Timeouts, decoding: Decoding, transport: Transport
) -> Video:
    """auto: over TCP. Raises UnopenedError."""
    way = "udp" if transport == "udp" else "tcp"
    options = {"rtsp_transport": way, "allowed_media_types": "video", **AT_ONCE}
    limits = (timeouts.open, timeouts.read)
    return Video.open(name, address, decoding=decoding, timeouts=limits, options=options)
