"""Why an RTSP camera does not open: it is asked once, and what it says is put into words."""

from __future__ import annotations

import re
import socket
import ssl
from urllib.parse import urlsplit

from edge.capture.live.address import Credentials, host_and_port
from edge.capture.live.tls import Trust, connect
from edge.capture.video import SERVER_FAULT, UNSUPPORTED_TRANSPORT
from edge.clock import Clock, SystemClock
from edge.errors import SourceError

ASK_TIMEOUT = 2.0
_MOST = 16_384

_UNAUTHORIZED, _OK = 401, 200
_DIGEST = "takes the password as a digest by"


def in_words(status: int, credentials: Credentials) -> str:
    """What an RTSP or HTTP status means for who configures the camera."""
    if status == _UNAUTHORIZED and credentials is None:
        return "asks for a user name and password (401); allowed: 'username' and 'password_file'"
    words = {
        _UNAUTHORIZED: "refuses the user name or password (401)",
        403: "refuses this user (403)",
        404: "has no such path (404)",
        453: "has no bandwidth left for another viewer (453)",
        UNSUPPORTED_TRANSPORT: "refuses this transport (461); allowed: 'transport' tcp, udp or auto",
        503: "serves no more viewers, or is busy (503)",
    }
    return words.get(status, f"answers with status {status}")


def why_refused(
    url: str,
    trust: Trust,
    credentials: Credentials,
    status: int | None,
    clock: Clock = SystemClock(),  # noqa: B008 - it holds nothing
) -> str:
    """Why an RTSP camera gives no video. status: the one that FFmpeg got, if any."""
    if status == SERVER_FAULT:
        return "is busy, or has a fault (5xx)"
    if (
        status == _UNAUTHORIZED
        and credentials
        and (why := _asked(url, trust, credentials, clock)).startswith(_DIGEST)
    ):
        return why
    if status is not None:
        return in_words(status, credentials)
    return _asked(url, trust, credentials, clock)


def _asked(url: str, trust: Trust, credentials: Credentials, clock: Clock) -> str:
    host, port = host_and_port(url)
    secure = urlsplit(url).scheme == "rtsps"
    try:
        connection = (
            connect(host, port, trust, ASK_TIMEOUT)  # path and query may hold a password
            if secure
            else socket.create_connection((host, port), timeout=ASK_TIMEOUT)
        )
    except SourceError as fault:
        return str(fault)
    except OSError as error:
        return f"cannot be reached: {error.strerror or error}"
    try:
        with connection:
            return _what_it_says(connection, url, credentials, clock)
    except OSError:
        return "ends the connection without an answer" if secure else _is_it_tls(host, port)


def _what_it_says(connection: socket.socket, url: str, credentials: Credentials, clock: Clock) -> str:
    parts = urlsplit(url)
    asked = (
        "rtsp://" + parts.netloc.rpartition("@")[2] + parts.path + (f"?{parts.query}" if parts.query else "")
    )
    connection.sendall(
        f"OPTIONS {asked} RTSP/1.0\r\nCSeq: 1\r\n\r\n"
        f"DESCRIBE {asked} RTSP/1.0\r\nCSeq: 2\r\nAccept: application/sdp\r\n\r\n".encode()
    )
    return read_answer(_received(connection, clock), credentials)


def _received(connection: socket.socket, clock: Clock) -> bytes:
    """What comes until the second answer is there, the time is up, or the other side ends it."""
    data, until = b"", clock.monotonic() + ASK_TIMEOUT
    while len(data) < _MOST and not re.search(rb"(?i)cseq: *2\r?\n.*\r?\n\r?\n", data, re.DOTALL):
        if (left := until - clock.monotonic()) <= 0:
            break
        try:
            connection.settimeout(left)
            piece = connection.recv(4096)
        except TimeoutError:
            break
        if not piece:
            break
        data += piece
    if not data:
        raise ConnectionError
    return data


def read_answer(data: bytes, credentials: Credentials) -> str:
    """What the answers to OPTIONS and DESCRIBE say about the camera."""
    statuses = [int(status) for status in re.findall(rb"(?m)^RTSP/\d\.\d (\d{3})", data)]
    if not statuses:
        if data.startswith(b"HTTP/"):
            return "answers as a web server, not as an RTSP camera: is it another port?"
        return "does not speak RTSP: is it another port?"
    if statuses[-1] == _UNAUTHORIZED and credentials and (digest := _unknown_digest(data)):
        return f"{_DIGEST} {digest} only (401); allowed: MD5 or basic, which is set in the camera"
    if statuses[-1] != _OK:
        return in_words(statuses[-1], credentials)
    media = [kind.decode() for kind in re.findall(rb"(?m)^m=(\w{1,20})", data)]
    if not media or "video" in media:
        return "offers video but sends none"
    return f"offers {' and '.join(sorted(set(media)))} but no video"


def _unknown_digest(data: bytes) -> str:
    """The digest that the camera asks for, if FFmpeg has none that it takes; empty otherwise."""
    offers = re.findall(rb"(?im)^www-authenticate: *(.*)$", data)
    digests = [re.search(rb'(?i)^digest.*algorithm *= *"?(sha[\w-]{1,20})', offer) for offer in offers]
    found = {digest[1].decode() for digest in digests if digest}
    return " or ".join(sorted(found)) if all(digests) else ""


def _is_it_tls(host: str, port: int) -> str:
    context = Trust(insecure=True).context()
    try:
        with socket.create_connection((host, port), timeout=ASK_TIMEOUT) as plain, context.wrap_socket(plain):
            return "speaks TLS; allowed: the scheme rtsps://"
    except (OSError, ssl.SSLError):
        return "ends the connection without an answer"
