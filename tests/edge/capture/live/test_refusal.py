"""What a camera that gives no video says of itself, in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.capture.live.refusal import in_words, read_answer, why_refused
from edge.capture.live.tls import Trust
from tests.edge.capture.live.raw_server import answering
from tests.fakes import ManualClock

OPTIONS = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nPublic: DESCRIBE, SETUP, PLAY\r\n\r\n"
SDP = "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=door\r\nt=0 0\r\n"


def described(*media: str) -> bytes:
    """A camera's answers to OPTIONS and DESCRIBE."""
    body = (SDP + "".join(f"m={kind} 0 RTP/AVP 96\r\n" for kind in media)).encode()
    head = (
        f"RTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return OPTIONS + head.encode() + body


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (described("audio"), "offers audio but no video"),
        (described("audio", "application"), "offers application and audio but no video"),
        (described("video", "audio"), "offers video but sends none"),
        (OPTIONS + b"RTSP/1.0 404 Not Found\r\nCSeq: 2\r\n\r\n", "has no such path (404)"),
        (OPTIONS + b"RTSP/1.0 453 Not Enough Bandwidth\r\nCSeq: 2\r\n\r\n", "has no bandwidth left"),
        (OPTIONS + b"RTSP/1.0 551 Option not supported\r\n\r\n", "answers with status 551"),
        (b"RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\n\r\n", "asks for a user name and password (401)"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n<html>", "answers as a web server, not as an RTSP camera"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "does not speak RTSP: is it another port?"),
        (b"\xff\xfe\x00", "does not speak RTSP: is it another port?"),
    ],
)  # fmt: skip
def test_answers_are_put_into_words(data: bytes, why: str) -> None:
    assert read_answer(data, None).startswith(why)


def test_a_refused_password_is_not_a_missing_one() -> None:
    assert in_words(401, ("clerk", "x")) == "refuses the user name or password (401)"


MD5, SHA = 'Digest realm="c", nonce="7"', 'Digest realm="c", nonce="7", algorithm="SHA-256"'


@pytest.mark.parametrize(
    ("offers", "why"),
    [
        ([SHA], "takes the password as a digest by SHA-256 only (401); allowed: MD5 or basic, which"),
        ([MD5], "refuses the user name or password (401)"),
        ([SHA, MD5], "refuses the user name or password (401)"),
        ([SHA, 'Basic realm="c"'], "refuses the user name or password (401)"),
        ([], "refuses the user name or password (401)"),
    ],
)  # fmt: skip
def test_a_digest_that_ffmpeg_lacks_is_not_a_wrong_password(offers: list[str], why: str) -> None:
    head = "".join(f"WWW-Authenticate: {offer}\r\n" for offer in offers)
    refused = OPTIONS + f"RTSP/1.0 401 Unauthorized\r\nCSeq: 2\r\n{head}\r\n".encode()
    with answering(refused) as server:
        found = why_refused(f"rtsp://127.0.0.1:{server.port}/door", Trust(), ("clerk", "x"), 401)
    assert found.startswith(why)


@pytest.mark.parametrize(
    ("scheme", "data", "why"),
    [
        ("rtsp", described("audio"), "offers audio but no video"),
        ("rtsp", None, "ends the connection without an answer"),
        (
            "rtsps",
            b"RTSP/1.0 400 Bad Request\r\n\r\n",
            "does not agree on TLS (WRONG_VERSION_NUMBER); does it need",
        ),
    ],
)
def test_the_host_is_asked_once(scheme: str, data: bytes | None, why: str) -> None:
    with answering(data) as server:
        found = why_refused(f"{scheme}://127.0.0.1:{server.port}/door?channel=1", Trust(), None, None)
    assert found.startswith(why)


def test_a_status_that_is_known_is_not_asked_for() -> None:
    assert why_refused("rtsp://127.0.0.1:1/door", Trust(), None, 461).startswith(
        "refuses this transport (461)"
    )


def test_a_host_that_is_not_there_is_named() -> None:
    assert (
        why_refused("rtsp://127.0.0.1:1/door", Trust(), None, None) == "cannot be reached: Connection refused"
    )


def test_a_camera_over_tls_that_is_not_trusted_is_not_sent_the_path(certificate: Path) -> None:
    with answering(described("audio"), certificate=certificate) as server:
        url = f"rtsps://127.0.0.1:{server.port}/door?password=hunter2"
        assert why_refused(url, Trust(), None, None).startswith("its certificate is not trusted (")
        assert server.received == b""
        trusted = Trust(ca_file=str(certificate / "ca.pem"))
        assert why_refused(url, trusted, None, None) == "offers audio but no video"


class Striding(ManualClock):
    """A second passes from one look to the next."""

    def monotonic(self) -> float:
        self.advance(1.0)
        return super().monotonic()


def test_a_camera_that_answers_byte_by_byte_is_not_listened_to_for_ever() -> None:
    with answering(b"?", [b"?"] * 2000, every=0.01) as server:
        url = f"rtsp://127.0.0.1:{server.port}/door"
        assert why_refused(url, Trust(), None, None, Striding()).startswith("does not speak RTSP")
        assert server.sent < 100


def test_what_a_camera_names_is_cut() -> None:
    assert read_answer(described("a" * 5000), None) == f"offers {'a' * 20} but no video"
