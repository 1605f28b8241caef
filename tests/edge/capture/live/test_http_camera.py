"""Cameras that answer each request with one JPEG, and what other answers are named as."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from edge.capture import Source
from edge.capture.live.address import Timeouts
from edge.capture.live.ffmpeg import LiveStream
from edge.capture.live.http_camera import JpegStream, Snapshots, open_http
from edge.capture.live.tls import Trust
from edge.errors import SourceError
from tests.edge.capture.encoded_clips import numbered, write_video
from tests.edge.capture.live.certificates import fingerprint_of
from tests.edge.capture.live.raw_server import RawServer, answering
from tests.fakes import ManualClock
from tests.mjpeg_server import jpeg
from tests.patience import PATIENCE
from tests.synthetic_video import number_of, picture
from tests.web_camera import Answer, WebCamera

JPEGS = [jpeg(picture(number)) for number in range(6)]


def opened(
    camera: WebCamera | RawServer,
    clock: ManualClock | None = None,
    *,
    credentials: tuple[str, str] | None = None,
    read_timeout: float = PATIENCE,
    max_fps: float = 10.0,
    trust: Trust = Trust(),  # noqa: B008 - it is frozen
) -> Source:
    timeouts = Timeouts(PATIENCE, read_timeout)
    url = camera.url if isinstance(camera, WebCamera) else f"http://127.0.0.1:{camera.port}/door"
    return open_http(url, credentials, timeouts, max_fps, clock or ManualClock(), trust=trust)


def numbers_of(source: Source, pictures: int) -> list[int]:
    """The numbers of its next pictures."""
    found = []
    for _ in range(pictures):
        got = source.read()
        assert got is not None and got.offset is None
        found.append(number_of(got.image))
    return found


def in_turn(*answers: Answer) -> Callable[[Mapping[str, str]], Answer]:
    """One answer after the other; the last one for ever."""
    waiting = list(answers)
    return lambda headers: waiting.pop(0) if len(waiting) > 1 else waiting[0]


def test_each_request_gives_a_picture_over_one_connection_at_the_configured_rate() -> None:
    clock = ManualClock()
    with WebCamera(in_turn(*(Answer(body) for body in [JPEGS[0], *JPEGS]))) as camera:
        source = opened(camera, clock, max_fps=4.0)
        assert isinstance(source, Snapshots)
        assert source.live
        assert numbers_of(source, 6) == [0, 1, 2, 3, 4, 5]
        source.close()
    assert clock.monotonic() == pytest.approx(5 / 4)
    assert (camera.requests, camera.connections) == (7, 1 + 1)  # one connection for the first look


def test_a_picture_that_has_not_changed_is_not_sent_again() -> None:
    def answer(headers: Mapping[str, str]) -> Answer:
        asked.append(headers.get("If-None-Match", ""))
        same = asked[-1] == '"7"'
        return Answer(b"" if same else JPEGS[2], status=304 if same else 200, headers={"ETag": '"7"'})

    asked: list[str] = []
    with WebCamera(answer) as camera:
        source = opened(camera)
        assert numbers_of(source, 3) == [2, 2, 2]
        source.close()
    assert asked == ["", "", '"7"', '"7"']


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_digest_is_answered_and_not_asked_for_again(algorithm: str) -> None:
    credentials = ("clerk", "p@ss:w/rd")
    with WebCamera(in_turn(Answer(JPEGS[1])), digest=credentials, algorithm=algorithm) as camera:
        source = opened(camera, credentials=credentials)
        assert numbers_of(source, 3) == [1, 1, 1]
        source.close()
    assert camera.requests <= 6  # a challenge for the first request and none, or one, later


@pytest.mark.parametrize(
    ("credentials", "why"),
    [
        (None, "asks for a user name and password (401); allowed: 'username' and 'password_file'"),
        (("clerk", "hunter2"), "refuses the user name or password (401)"),
    ],
)
def test_a_refusal_says_what_is_missing(credentials: tuple[str, str] | None, why: str) -> None:
    camera = WebCamera(in_turn(Answer(JPEGS[1])), digest=("clerk", "right"))
    with camera, pytest.raises(SourceError) as caught:
        opened(camera, credentials=credentials)
    assert str(caught.value) == f"http://127.0.0.1:{camera.port}: {why}"


def test_a_password_in_the_path_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), WebCamera(in_turn(Answer(JPEGS[1]))) as camera:
        source = opened(camera)
        numbers_of(source, 2)
        source.close()
    assert "snapshot.jpg" not in caplog.text


SDP = b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 26\n"
"""FFmpeg would listen on the port that it names."""


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(b"<html>", "text/html"), "answers with a web page, not with pictures; check the path"),
        (Answer(b" <!doctype html>", "application/octet-stream"), "answers with a web page"),
        (Answer(status=404), "has no such path (404)"),
        (Answer(status=500), "answers with status 500"),
        (Answer(b"{}", "application/json"), "answers with application/json, which is neither JPEG nor video"),
        (Answer(b"{}", "text/\x1b" + "x" * 99), f"answers with text/{'x' * 35}, which is neither JPEG"),
        (Answer(b"#EXTM3U\n", "application/vnd.apple.mpegurl"), "answers with an HLS playlist"),
        (Answer(b"#EXTM3U\n", "text/plain"), "answers with an HLS playlist, whose pictures come late; "),
        (Answer(SDP, "application/sdp"), "answers with application/sdp, which is neither JPEG nor video"),
    ],
)  # fmt: skip
def test_what_is_no_camera_is_named(answer: Answer, why: str) -> None:
    with WebCamera(in_turn(answer)) as camera, pytest.raises(SourceError) as caught:
        opened(camera)
    assert str(caught.value).startswith(f"http://127.0.0.1:{camera.port}: {why}")


def test_a_fault_now_and_then_is_endured_and_damaged_pictures_are_counted() -> None:
    answers = [JPEGS[0], JPEGS[0], b"no picture", JPEGS[1][:-200], JPEGS[2]]
    busy = Answer(status=503)
    with WebCamera(in_turn(*map(Answer, answers[:2]), busy, *map(Answer, answers[2:]))) as camera:
        source = opened(camera, read_timeout=10)
        assert numbers_of(source, 2) == [0, 2]
        assert source.corrupt == 2
        source.close()


@pytest.mark.parametrize(
    ("answer", "why", "after"),
    [
        (Answer(status=503), "serves no more viewers, or is busy (503)", 10),
        (Answer(b"no picture"), "its pictures cannot be decoded; allowed: JPEG", 10),
        (Answer(status=401), "asks for a user name and password (401)", 0),
    ],
)
def test_a_camera_that_gives_no_more_pictures_is_lost(answer: Answer, why: str, after: float) -> None:
    clock = ManualClock()
    with WebCamera(in_turn(Answer(JPEGS[0]), Answer(JPEGS[0]), answer)) as camera:
        source = opened(camera, clock, read_timeout=10)
        source.read()
        with pytest.raises(SourceError, match=why.replace("(", r"\(").replace(")", r"\)")):
            source.read()
        source.close()
    assert after <= clock.monotonic() <= after + 2


@pytest.mark.parametrize(
    "place",
    [
        "http://localhost:{other}/x.jpg",
        "http://127.0.0.1:{other}/x.jpg",
        "http://127.0.0.1:{camera}@127.0.0.1:{other}/x.jpg",
        "//127.0.0.1:{other}/x.jpg",
        "https://127.0.0.1:{camera}/x.jpg",
    ],
)
def test_a_redirect_takes_no_password_to_another_host(place: str) -> None:
    def answer(headers: Mapping[str, str]) -> Answer:
        if headers.get("Authorization", "").startswith("Digest"):
            location = place.format(other=other.port, camera=camera.port)
            return Answer(status=302, headers={"Location": location})
        return Answer(status=401, headers=CHALLENGE)

    credentials = ("clerk", "right")
    with WebCamera(in_turn(Answer(JPEGS[4])), digest=credentials) as other, WebCamera(answer) as camera:
        with pytest.raises(SourceError, match="; allowed with a password: the same scheme, host and port"):
            opened(camera, credentials=credentials)
        assert other.requests == 0


CHALLENGE = {"WWW-Authenticate": 'Digest realm="camera", nonce="7", qop="auth"'}


def test_redirects_are_followed_within_the_camera_and_without_a_password() -> None:
    def elsewhere(headers: Mapping[str, str]) -> Answer:
        return Answer(status=302, headers={"Location": camera.url.replace("127.0.0.1", "localhost")})

    def within(headers: Mapping[str, str]) -> Answer:
        turned.append(len(turned) % 2 == 0)
        return Answer(status=302, headers={"Location": "/x.jpg"}) if turned[-1] else Answer(JPEGS[4])

    turned: list[bool] = []
    with WebCamera(within, digest=("clerk", "right")) as camera:
        source = opened(camera, credentials=("clerk", "right"))
        assert numbers_of(source, 2) == [4, 4]
        source.close()
    with WebCamera(in_turn(Answer(JPEGS[3]))) as camera, WebCamera(elsewhere) as first:
        source = opened(first)
        assert numbers_of(source, 2) == [3, 3]
        source.close()


def test_redirects_in_a_circle_end() -> None:
    camera = WebCamera(in_turn(Answer(status=302, headers={"Location": "/x.jpg"})))
    with camera, pytest.raises(SourceError, match="redirects more than 5 times"):
        opened(camera)
    assert camera.requests == 6


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("rtsp://192.0.2.1/x", "redirects to rtsp://192.0.2.1:554"),
        ("file:///etc/passwd", "redirects to file://:0"),
        ("http://192.0.2.1:99999/", "redirects to what is no address"),
    ],
)
def test_a_redirect_to_what_is_not_http_is_named(place: str, says: str) -> None:
    camera = WebCamera(in_turn(Answer(status=302, headers={"Location": place})))
    with camera, pytest.raises(SourceError, match=f"{says}; allowed: http:// and https://"):
        opened(camera)


@pytest.mark.parametrize(
    "challenge", ['Digest nonce="7"', 'Digest realm="c"', "Digest", 'Digest realm="c", nonce']
)
def test_a_challenge_that_cannot_be_answered_is_the_cameras_fault(challenge: str) -> None:
    refusal = Answer(status=401, headers={"WWW-Authenticate": challenge})
    with WebCamera(in_turn(refusal)) as camera, pytest.raises(SourceError) as caught:
        opened(camera, credentials=("clerk", "hunter2"))
    assert str(caught.value).endswith(": answers with a malformed challenge for the password")


@pytest.mark.parametrize(
    ("status", "header"),
    [(401, 'WWW-Authenticate: Digest realm="c", nonce="7"'), (302, "Location: /"), (404, "X: y")],
)
def test_a_body_that_is_no_picture_is_not_read(status: int, header: str) -> None:
    with answering(f"HTTP/1.1 {status} No\r\n{header}\r\n\r\n".encode(), [bytes(1 << 20)] * 64) as camera:
        with pytest.raises(SourceError):
            opened(camera, credentials=("clerk", "hunter2"))
        assert camera.sent < 48 << 20  # of 64 MiB for each request, what the kernel holds


def test_nothing_packed_is_asked_for_and_no_cookie_is_kept() -> None:
    def answer(headers: Mapping[str, str]) -> Answer:
        asked.append(headers)
        return Answer(JPEGS[2], headers={"Set-Cookie": f"n{len(asked)}=1"})

    asked: list[Mapping[str, str]] = []
    with WebCamera(answer) as camera:
        source = opened(camera)
        numbers_of(source, 2)
        source.close()
    assert {headers["Accept-Encoding"] for headers in asked} == {"identity"}
    assert not [headers for headers in asked if "Cookie" in headers]


def test_an_answer_whose_head_comes_byte_by_byte_is_given_up() -> None:
    with answering(b"HTTP/1.1 200 OK\r\nX: ", [b"x"] * 500, every=0.02) as camera:
        with pytest.raises(SourceError, match=r"no answer within 0\.3 s"):
            opened(camera, read_timeout=0.3)
        assert camera.sent < 200


def test_an_answer_whose_chunks_length_comes_byte_by_byte_is_given_up() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
    with answering(head, [b"0"] * 500, every=0.02) as camera:
        with pytest.raises(SourceError, match=r"no frame for 0\.3 s"):
            opened(camera, read_timeout=0.3)
        assert camera.sent < len(head) + 200


def test_a_picture_that_comes_byte_by_byte_is_given_up() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n\r\n" + JPEGS[0][:100]
    with answering(head, [b"x"] * 500, every=0.02) as camera:
        with pytest.raises(SourceError, match="sends a picture that does not end"):
            opened(camera, Striding(), read_timeout=5)
        assert camera.sent < len(head) + 200


def test_pictures_one_after_the_other_in_one_answer_are_a_stream() -> None:
    with WebCamera(in_turn(Answer(b"".join(JPEGS), "multipart/x-mixed-replace"))) as camera:
        source = opened(camera, Striding(), max_fps=1)
        assert isinstance(source, JpegStream)
        assert numbers_of(source, 6) == [0, 1, 2, 3, 4, 5]
        with pytest.raises(SourceError, match="the stream ended"):
            source.read()
        source.close()


@pytest.mark.parametrize("kind", ["image/jpeg", "text/plain"])
def test_what_an_answer_without_a_length_holds_is_seen_by_its_end(kind: str) -> None:
    with WebCamera(in_turn(Answer(b"".join(JPEGS), kind, sized=False))) as camera:
        source = opened(camera, Striding(), max_fps=1)
        assert isinstance(source, JpegStream)
        assert numbers_of(source, 6) == [0, 1, 2, 3, 4, 5]
        source.close()
    with WebCamera(in_turn(Answer(JPEGS[3], kind, sized=False))) as camera:
        source = opened(camera)
        assert isinstance(source, Snapshots)
        assert numbers_of(source, 2) == [3, 3]
        source.close()


def test_a_picture_without_an_end_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.capture.live.http_camera.MAX_PICTURE", len(JPEGS[0]) - 1)
    with WebCamera(in_turn(Answer(JPEGS[0]))) as camera:
        source = opened(camera, read_timeout=10)
        with pytest.raises(SourceError, match="sends a picture that does not end"):
            source.read()
        source.close()


class Striding(ManualClock):
    """A second passes from one look to the next."""

    def monotonic(self) -> float:
        self.advance(1.0)
        return super().monotonic()


@pytest.mark.parametrize(("suffix", "codec"), [("ts", "mpeg2video"), ("flv", "flv"), ("mkv", "h264")])
def test_video_over_http_is_read_by_ffmpeg(tmp_path: Path, suffix: str, codec: str) -> None:
    clip = write_video(tmp_path / f"clip.{suffix}", numbered(*range(20)), codec=codec)
    with WebCamera(in_turn(Answer(clip.read_bytes(), f"video/{suffix}"))) as camera:
        source = opened(camera, Striding(), max_fps=1)
        assert isinstance(source, LiveStream)
        assert numbers_of(source, 20) == list(range(20))
        with pytest.raises(SourceError, match="the stream ended"):
            source.read()
        source.close()


class Jumping(ManualClock):
    """stride: seconds that pass from one look to the next."""

    stride = 0.0

    def monotonic(self) -> float:
        self.advance(self.stride)
        return super().monotonic()


def test_video_that_goes_on_without_a_picture_ends_by_the_time_out(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.ts", numbered(*range(20)))
    stuffing = b"\x47\x1f\xff\x10" + bytes(184)  # FFmpeg drops such packets itself, and reads on
    clock = Jumping()
    with WebCamera(in_turn(Answer(clip.read_bytes() + stuffing * 30_000, "video/ts"))) as camera:
        source = opened(camera, clock, read_timeout=10)
        clock.stride = 1.0
        with pytest.raises(SourceError, match="no frame for 10 s"):
            numbers_of(source, 21)
        source.close()


def secured(folder: Path) -> WebCamera:
    return WebCamera(in_turn(Answer(JPEGS[3])), certificate=(folder / "server.pem", folder / "server.key"))


def trusted(folder: Path, by: str) -> Trust:
    match by:
        case "ca_file":
            return Trust(ca_file=str(folder / "ca.pem"))
        case "fingerprint":
            return Trust(fingerprint=fingerprint_of(folder / "server.pem"))
        case _:
            return Trust(insecure=True)


@pytest.mark.parametrize("by", ["ca_file", "fingerprint", "insecure"])
def test_a_certificate_is_trusted_by_authority_by_fingerprint_or_if_asked_for(
    certificate: Path, by: str
) -> None:
    with secured(certificate) as camera:
        source = opened(camera, trust=trusted(certificate, by))
        assert numbers_of(source, 2) == [3, 3]
        source.close()


def test_a_certificate_that_nobody_vouches_for_is_refused_with_its_fingerprint(certificate: Path) -> None:
    with secured(certificate) as camera, pytest.raises(SourceError) as caught:
        opened(camera, credentials=("clerk", "hunter2"))
    assert "its certificate is not trusted (" in str(caught.value)
    assert f"allowed: 'fingerprint', if {fingerprint_of(certificate / 'server.pem')} is the camera's" in str(
        caught.value
    )
    assert camera.requests == 0  # neither the path nor a password was sent


def test_another_certificate_than_the_configured_one_is_refused(certificate: Path) -> None:
    with secured(certificate) as camera, pytest.raises(SourceError) as caught:
        opened(camera, trust=Trust(fingerprint="00" * 32))
    assert str(caught.value).endswith(": its certificate is not that of 'fingerprint'")
    assert camera.requests == 0
