"""HTTP cameras: a stream of JPEGs, one JPEG for each request, or video for FFmpeg.

Which of them a URL gives is seen in the first answer: its content type, or its first bytes where that says
nothing.
"""

from __future__ import annotations

import io
import logging
import ssl
import threading
from contextlib import AbstractContextManager, nullcontext
from http.cookiejar import DefaultCookiePolicy
from typing import cast

import requests
import urllib3
from requests.auth import HTTPDigestAuth
from urllib3.util import parse_url

from edge.capture.live.address import DEFAULT_PORTS, Credentials, Timeouts, host_and_port, public_name
from edge.capture.live.ffmpeg import AT_ONCE, LiveStream
from edge.capture.live.http_adapter import BoundedAdapter
from edge.capture.live.jpegs import MAX_PICTURE, JpegReader
from edge.capture.live.refusal import in_words
from edge.capture.live.tls import Trust, why_untrusted
from edge.capture.rate_limit import RateLimit
from edge.capture.source import Picture, Source
from edge.capture.video import (
    BY_SOFTWARE,
    MAX_CORRUPT,
    NOT_VIDEO,
    Decoding,
    JpegDecoder,
    UnopenedError,
    Video,
)
from edge.clock import Clock, ended_after
from edge.errors import SourceError
from edge.types import Image

_CHUNK = 65_536
_MAX_REDIRECTS = 5
_SHOWN = 40
"""Characters that are repeated of what a camera writes."""
_PAUSE = 1.0
"""Seconds until a snapshot is asked for again after a fault."""

logging.getLogger("urllib3").setLevel(logging.ERROR)  # below, it logs paths, which may hold a password

_OK, _NOT_MODIFIED, _UNAUTHORIZED = 200, 304, 401
_REFUSED = (401, 403, 404, 405, 410)
_JPEG = b"\xff\xd8\xff"

_ALLOWED = "JPEGs, video in one answer, or the camera's rtsp:// address"
_ENDLESS = "sends a picture that does not end"
_NOTHING_ELSE = {"protocol_whitelist": "none"}
"""Options of FFmpeg: an answer that names another file, host or port does not make it open that."""


def open_http(
    url: str,
    credentials: Credentials,
    timeouts: Timeouts,
    max_fps: float,
    clock: Clock,
    *,
    trust: Trust,
    decoding: Decoding = BY_SOFTWARE,
    own: float | None = None,
) -> Source:
    """Ask an HTTP camera for its picture. Raises SourceError with what it says instead."""
    client = _Client(url, credentials, timeouts, trust)
    note = "" if decoding.decoder == "software" else NOT_VIDEO
    try:
        answer = client.get()
        kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        first = b"" if kind.startswith(("multipart/", "image/")) else client.read(answer)
        if "mpegurl" in kind or first.startswith(b"#EXTM3U"):
            raise client.fault(f"answers with an HLS playlist, whose pictures come late; allowed: {_ALLOWED}")
        if kind == "text/html" or first.lstrip()[:1] == b"<":
            raise client.fault("answers with a web page, not with pictures; check the path")
        if kind.startswith("image/") or first.startswith(_JPEG):
            first = _if_more_than_one(client, answer, first, clock)
            if not first:
                answer.close()
                return Snapshots(client, max_fps, clock, note=note)
        if kind.startswith("multipart/") or first.startswith((_JPEG, b"--")):
            return JpegStream(client, answer, first, max_fps, clock, note=note, own=own)
        body = _Body(client, answer, first, clock)
        video = _video(body, decoding)
        hooks = {"release": body.release, "expect": body.expect}
        return LiveStream(video, max_fps, timeouts.read, clock, **hooks, own=own)
    except SourceError:
        client.close()
        raise


def _if_more_than_one(client: _Client, answer: requests.Response, first: bytes, clock: Clock) -> bytes:
    """What was read of the answer, if it goes on behind its first picture; empty if it ends with it."""
    asked_at = clock.monotonic()
    if "Content-Length" in answer.headers:
        return b""
    reader, read = JpegReader(), bytearray(first)
    found = len(reader.feed(first))
    while found < 2 and (data := client.read(answer)):
        read += data
        if found or len(read) > MAX_PICTURE:
            return bytes(read)
        if clock.monotonic() - asked_at >= client.timeouts.read:
            raise client.fault(_ENDLESS)
        found += len(reader.feed(data))
    return bytes(read) if found > 1 else b""


class _Client:
    """Requests to one camera, over a connection that is kept. No error of it holds credentials."""

    def __init__(self, url: str, credentials: Credentials, timeouts: Timeouts, trust: Trust) -> None:
        self.name = public_name(url)
        self.credentials = credentials
        self.timeouts = timeouts
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy and no ~/.netrc that the configuration does not name
        self._session.headers["Accept-Encoding"] = "identity"  # else a small answer may unpack to a huge one
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # they would pile up
        self._session.verify = _verified_by(trust)
        self._session.mount("http://", BoundedAdapter())
        self._session.mount("https://", BoundedAdapter(trust.fingerprint))

    def get(self, **headers: str) -> requests.Response:
        """The answer to a request, its body unread. Raises SourceError unless it is 200 or 304."""
        answer = self._ask(headers)
        if answer.status_code == _UNAUTHORIZED and self.credentials and self._session.auth is None:
            digest = "digest" in answer.headers.get("WWW-Authenticate", "").lower()
            self._session.auth = _Digest(self.credentials, self) if digest else _basic(self.credentials)
            answer.close()
            answer = self._ask(headers)
        if answer.status_code in (_OK, _NOT_MODIFIED):
            return answer
        answer.close()
        raise RefusedError(
            f"{self.name}: {in_words(answer.status_code, self.credentials)}", answer.status_code
        )

    def read(self, answer: requests.Response) -> bytes:
        """What of the body is there; empty at its end."""
        limit: AbstractContextManager[None] = nullcontext()
        if answer.raw.chunked:  # the length of a chunk may come byte by byte
            limit = ended_after(self.timeouts.read, answer.raw.shutdown)
        try:
            with limit:
                return cast("bytes", answer.raw.read1(_CHUNK, decode_content=True))
        except (OSError, urllib3.exceptions.HTTPError) as error:
            raise self._fault_of(error, f"no frame for {self.timeouts.read:g} s") from None

    def fault(self, why: str) -> SourceError:
        return SourceError(f"{self.name}: {why}")

    def close(self) -> None:
        self._session.close()

    def _ask(self, headers: dict[str, str]) -> requests.Response:
        """The answer that redirects lead to."""
        url = self._url
        for _ in range(_MAX_REDIRECTS + 1):
            answer = self._send(url, headers)
            if answer.next is None:
                return answer
            url = self._followed(answer.next.url or "")
        raise self.fault(f"redirects more than {_MAX_REDIRECTS} times")

    def _followed(self, url: str) -> str:
        """The target of a redirect. Raises SourceError if another host or port would get the password, and if
        it is none of HTTP.
        """
        here, there = _origin(self._url), _origin(url)
        if there[0] not in ("http", "https"):
            target = _shown("{}://{}:{}".format(*there)) if there[0] else "what is no address"
            raise self.fault(f"redirects to {target}; allowed: http:// and https://")
        to_tls = (here, there) == (("http", here[1], 80), ("https", here[1], 443))
        if self.credentials is None or here == there or to_tls:
            return url
        target = _shown("{}://{}:{}".format(*there))
        raise self.fault(f"redirects to {target}; allowed with a password: the same scheme, host and port")

    def _send(self, url: str, headers: dict[str, str]) -> requests.Response:
        limits = (self.timeouts.open, self.timeouts.read)
        try:
            return self._session.get(url, headers=headers, stream=True, timeout=limits, allow_redirects=False)
        except (requests.RequestException, ValueError) as error:
            waited = limits[not isinstance(error, requests.ConnectTimeout)]
            raise self._fault_of(error, f"no answer within {waited:g} s") from None

    def _fault_of(self, error: BaseException, silent: str) -> SourceError:
        """In words: the error's own may hold the URL. silent: what a time-out means."""
        causes = _causes(error)
        if secure := [cause for cause in causes if isinstance(cause, ssl.SSLError)]:
            return self.fault(why_untrusted(*host_and_port(self._url), secure[-1], self.timeouts.open))
        if any(isinstance(cause, urllib3.exceptions.SSLError) for cause in causes):
            return self.fault("its certificate is not that of 'fingerprint'")
        for cause in causes:
            if isinstance(cause, OSError) and cause.strerror:
                return self.fault(f"cannot be reached: {cause.strerror}")
        if any(isinstance(cause, TimeoutError | urllib3.exceptions.TimeoutError) for cause in causes):
            return self.fault(silent)
        return self.fault("ends the connection, or does not speak HTTP")


class RefusedError(SourceError):
    """An answer with another status than 200."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


class _Digest(HTTPDigestAuth):
    """Answers a challenge; one that cannot be is a SourceError."""

    def __init__(self, credentials: tuple[str, str], client: _Client) -> None:
        super().__init__(*credentials)
        self._client = client

    def build_digest_header(self, method: str, url: str) -> str | None:
        try:
            return cast("str | None", super().build_digest_header(method, url))  # type: ignore[no-untyped-call]
        except Exception:  # noqa: BLE001 - it takes the fields of a challenge unchecked: KeyError, AttributeError
            raise self._client.fault("answers with a malformed challenge for the password") from None


def _verified_by(trust: Trust) -> bool | str:
    """What `requests` verifies certificates by: not at all, or by authorities."""
    if not trust.by_authority:
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        return False
    return trust.ca_file or ssl.get_default_verify_paths().cafile or True


def _origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port, by the parser of the request; empty where it takes the URL for none."""
    try:
        parts = parse_url(url)
    except ValueError:
        return "", "", 0
    scheme = parts.scheme or ""
    return scheme, parts.host or "", parts.port or DEFAULT_PORTS.get(scheme, 0)


def _shown(text: str) -> str:
    """What may be logged of a text that a camera wrote."""
    return "".join(filter(str.isprintable, text))[:_SHOWN]


def _basic(credentials: tuple[str, str]) -> tuple[str, str]:
    """As bytes of UTF-8 (RFC 7617, 2.1), which `requests` would encode in Latin-1."""
    user, password = (part.encode().decode("latin-1") for part in credentials)
    return user, password


def _causes(error: BaseException) -> list[BaseException]:
    """An error and what it was raised for, outermost first."""
    found: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, BaseException) and one not in found:
            found.append(one)
            waiting += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
    return found


class JpegStream:
    """JPEGs one after the other, over one connection. Pictures beyond `max_fps` are not decoded."""

    live = True

    def __init__(
        self,
        client: _Client,
        answer: requests.Response,
        first: bytes,
        max_fps: float,
        clock: Clock,
        *,
        note: str = "",
        own: float | None = None,
    ) -> None:
        self._client = client
        self._note = note
        self._answer = answer
        self._rate = RateLimit(max_fps, own)
        self._clock = clock
        self._reader = JpegReader()
        self._decoder = JpegDecoder()
        self._waiting = self._reader.feed(first)
        self._undecodable = 0
        self._failures = 0

    @property
    def corrupt(self) -> int:
        return self._undecodable + self._reader.corrupt

    def read(self) -> Picture:
        asked_at = self._clock.monotonic()
        while True:
            while self._waiting:
                if (image := self._decode(self._waiting.pop(0))) is not None:
                    return Picture(image, note=self._note)
            self._receive()
            if self._clock.monotonic() - asked_at >= self._client.timeouts.read:
                raise self._client.fault(f"no frame for {self._client.timeouts.read:g} s")

    def _receive(self) -> None:
        if not (data := self._client.read(self._answer)):
            raise self._client.fault("the stream ended")
        before = self._reader.corrupt
        self._waiting += self._reader.feed(data)
        self._failures = 0 if self._waiting else self._failures + self._reader.corrupt - before
        self._check()

    def _decode(self, data: bytes) -> Image | None:
        if not self._rate.keep(self._clock.monotonic()):
            return None
        image = self._decoder.decode(data)
        self._undecodable += image is None
        self._failures = self._failures + 1 if image is None else 0
        self._check()
        return image

    def _check(self) -> None:
        if self._failures > MAX_CORRUPT:
            raise self._client.fault(f"none of the last {MAX_CORRUPT} frames could be decoded")

    def close(self) -> None:
        self._answer.close()
        self._client.close()


class Snapshots:
    """One JPEG for each request, `max_fps` of them a second.

    A picture that has not changed since, as the camera says, is given again: whether it is frozen is decided
    elsewhere. A request that fails is made again until no picture has come for the read time-out; one that
    the camera refuses is not.
    """

    live = True

    def __init__(self, client: _Client, max_fps: float, clock: Clock, *, note: str = "") -> None:
        self._client = client
        self._note = note
        self._period = 1 / max_fps
        self._clock = clock
        self._decoder = JpegDecoder()
        self._due = clock.monotonic()
        self._last = clock.monotonic()
        self._tag = ""
        self._image: Image | None = None
        self.corrupt = 0

    def read(self) -> Picture:
        while True:
            self._wait()
            try:
                image = self._ask()
            except SourceError as fault:
                self._endure(fault)
                continue
            if image is not None:
                self._last = self._clock.monotonic()
                return Picture(image, note=self._note)
            self.corrupt += 1
            self._endure(self._client.fault("its pictures cannot be decoded; allowed: JPEG"))

    def _wait(self) -> None:
        now = self._clock.monotonic()
        self._clock.wait(threading.Event(), max(0.0, self._due - now))
        self._due = max(self._due + self._period, now)

    def _ask(self) -> Image | None:
        """The present picture; None if it cannot be decoded."""
        answer = self._client.get(**({"If-None-Match": self._tag} if self._tag else {}))
        with answer:
            if answer.status_code == _NOT_MODIFIED and self._image is not None:
                return self._image
            data = self._body(answer)
        self._image = self._decoder.decode(data)
        self._tag = answer.headers.get("ETag", "") if self._image is not None else ""
        return self._image

    def _body(self, answer: requests.Response) -> bytes:
        """All of it. Raises SourceError if it is too long, or takes too long."""
        body, asked_at = bytearray(), self._clock.monotonic()
        while data := self._client.read(answer):
            body += data
            late = self._clock.monotonic() - asked_at >= self._client.timeouts.read
            if late or len(body) > MAX_PICTURE:
                raise self._client.fault(_ENDLESS)
        return bytes(body)

    def _endure(self, fault: SourceError) -> None:
        """Try again soon; raise the fault if no picture has come for too long, or none will."""
        refused = isinstance(fault, RefusedError) and fault.status in _REFUSED
        if refused or self._clock.monotonic() - self._last >= self._client.timeouts.read:
            raise fault
        self._due = max(self._due, self._clock.monotonic() + _PAUSE)

    def close(self) -> None:
        self._client.close()


class _Body(io.RawIOBase):
    """The body of an answer, for FFmpeg. first: what was read of it before.

    Raises SourceError if no picture came of it for the read time-out: FFmpeg would read on.
    """

    def __init__(self, client: _Client, answer: requests.Response, first: bytes, clock: Clock) -> None:
        self.client = client
        self.kind = _shown(answer.headers.get("Content-Type", "no content type"))
        self._clock = clock
        self._expected_at = clock.monotonic()
        self._answer = answer
        self._held = first

    def readable(self) -> bool:
        return True

    def expect(self) -> None:
        """A picture is waited for from now on."""
        self._expected_at = self._clock.monotonic()

    def read(self, size: int = -1) -> bytes:
        limit = self.client.timeouts.read
        if self._clock.monotonic() - self._expected_at >= limit:
            raise self.client.fault(f"no frame for {limit:g} s")
        data = self._held or self.client.read(self._answer)
        self._held = data[size:] if size >= 0 else b""
        return data[:size] if size >= 0 else data

    def release(self) -> None:
        self._answer.close()
        self.client.close()


def _video(body: _Body, decoding: Decoding) -> Video:
    try:
        return Video.open(body.client.name, body, decoding=decoding, options=_NOTHING_ELSE | AT_ONCE)
    except UnopenedError:
        raise body.client.fault(f"answers with {body.kind}, which is neither JPEG nor video") from None
