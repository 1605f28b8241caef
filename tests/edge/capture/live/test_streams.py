from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.capture import Source
from edge.capture.live.address import Timeouts, public_name, with_credentials
from edge.capture.live.ffmpeg import LiveStream
from edge.capture.live.http_camera import open_http
from edge.capture.live.tls import Trust
from edge.capture.recordings import Clip
from edge.clock import Clock, SystemClock
from edge.errors import SourceError
from tests.fakes import ManualClock
from tests.mjpeg_server import MjpegServer, jpeg
from tests.patience import PATIENCE
from tests.synthetic_video import number_of, picture, write_clip

JPEGS = [jpeg(picture(number)) for number in range(40)]
EVERY_FRAME = 1e6


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def connect(
    url: str,
    credentials: tuple[str, str] | None = None,
    timeouts: tuple[float, float] = (PATIENCE, PATIENCE),
    max_fps: float = EVERY_FRAME,
    clock: Clock | None = None,
) -> Source:
    common = (url, credentials, Timeouts(*timeouts), max_fps, clock or SystemClock())
    return open_http(*common, trust=Trust()) if url.startswith("http") else LiveStream.from_rtsp(*common)


def watch(stream: Source) -> tuple[list[int], str]:
    """The numbers of its pictures until it fails, and why it did."""
    numbers = []
    try:
        while True:
            got = stream.read()
            assert got is not None
            numbers.append(number_of(got.image))
    except SourceError as fault:
        return numbers, str(fault)
    finally:
        stream.close()


def test_every_frame_of_an_http_camera_arrives() -> None:
    with MjpegServer(JPEGS) as server:
        numbers, why = watch(connect(server.url))
    assert numbers == list(range(40))
    assert why.endswith(": the stream ended")


def test_a_live_picture_has_no_media_time() -> None:
    with MjpegServer(JPEGS) as server:
        stream = connect(server.url)
        assert stream.live
        assert (got := stream.read()) is not None
        assert got.offset is None
        stream.close()


def test_max_fps_lets_frames_go_by_the_clock() -> None:
    with MjpegServer(JPEGS) as server:
        numbers, _ = watch(connect(server.url, max_fps=1, clock=ManualClock()))
    assert numbers == [0]  # no time passes while the forty arrive


def test_a_camera_that_falls_silent_is_given_up_after_the_read_timeout() -> None:
    with MjpegServer(JPEGS, hang=True) as server:
        numbers, why = watch(connect(server.url, timeouts=(PATIENCE, 1.5)))
    assert numbers == list(range(40))
    assert why.endswith(": no frame for 1.5 s")


def test_a_camera_that_does_not_answer_is_given_up_after_the_open_timeout(silent_port: int) -> None:
    with pytest.raises(SourceError, match=r"no answer within 0\.3 s"):
        connect(f"rtsp://127.0.0.1:{silent_port}/door", timeouts=(0.3, 1.0))


def test_cameras_that_do_not_answer_hold_up_no_other(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "n.avi", 5)
    given_up = threading.Event()

    def connect_in_vain() -> None:
        with pytest.raises(SourceError):
            connect(f"rtsp://127.0.0.1:{silent.getsockname()[1]}/door", timeouts=(PATIENCE / 4, 1.0))
        given_up.set()

    threads = [threading.Thread(target=connect_in_vain) for _ in range(3)]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(PATIENCE)
        for thread in threads:
            thread.start()
        # One after the other, the second would come only after the first was given up.
        waiting = [silent.accept()[0] for _ in threads]
        Clip(clip, max_fps=10).close()
        assert not given_up.is_set(), "the others were opened only after a camera was given up"
        for connection in waiting:
            connection.close()
        for thread in threads:
            thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads)


def test_corrupt_frames_are_stepped_over_and_counted() -> None:
    frames = list(JPEGS)
    frames[10] = b"no picture at all" * 9
    frames[20] = JPEGS[20][: len(JPEGS[20]) // 2]
    frames[30] = b""
    with MjpegServer(frames) as server:
        stream = connect(server.url)
        numbers, _ = watch(stream)
    assert numbers == [n for n in range(40) if n not in (10, 20, 30)]
    assert stream.corrupt == 3


def test_a_stream_of_nothing_but_corrupt_frames_is_given_up() -> None:
    with MjpegServer([b"no picture"] * 200, hang=True) as server:
        numbers, why = watch(connect(server.url))
    assert numbers == []
    assert why.endswith(": none of the last 50 frames could be decoded")


def test_credentials_open_the_door() -> None:
    credentials = ("clerk", "p@ss:w/rd %?#")
    with MjpegServer(JPEGS, credentials=credentials) as server:
        numbers, _ = watch(connect(server.url, credentials))
    assert len(numbers) == 40


def test_a_wrong_password_is_told_without_it(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.DEBUG),
        MjpegServer(JPEGS, credentials=("clerk", "right")) as server,
        pytest.raises(SourceError, match=r"refuses the user name or password \(401\)$") as caught,
    ):
        connect(server.url, ("clerk", "hunter2"))
    said = "".join((*capfd.readouterr(), caplog.text, str(caught.value)))
    assert "hunter2" not in said
    assert "clerk" not in said


def test_a_refused_connection_is_told_with_its_reason() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(SourceError, match=f"rtsp://127.0.0.1:{port}: cannot be reached: Connection refused"):
        connect(f"rtsp://127.0.0.1:{port}/door", ("clerk", "hunter2"))


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("rtsp://10.0.0.7:8554/user=admin_password=x_channel=1.sdp", "rtsp://10.0.0.7:8554"),
        ("http://u:p@camera.example/video?user=u&pwd=p", "http://camera.example"),
        ("rtsps://[2001:db8::7]/door", "rtsps://[2001:db8::7]"),
    ],
)
def test_what_is_logged_of_a_url_holds_no_secret(url: str, name: str) -> None:
    assert public_name(url) == name


def test_credentials_are_percent_encoded() -> None:
    assert with_credentials("rtsp://10.0.0.7:8554/a?b=c", ("us er", "p@s:/?#%é")) == (
        "rtsp://us%20er:p%40s%3A%2F%3F%23%25%C3%A9@10.0.0.7:8554/a?b=c"
    )
    assert with_credentials("rtsp://10.0.0.7/a", None) == "rtsp://10.0.0.7/a"


@pytest.mark.parametrize(("device", "path"), [("97", "/dev/video97"), ("/dev/video-door", "/dev/video-door")])
def test_a_missing_device_is_named(device: str, path: str) -> None:
    with pytest.raises(SourceError, match=f"^{path}: the device does not exist$"):
        LiveStream.from_device(device, Timeouts(1, 1), 10.0, ManualClock())


def test_a_device_that_is_no_camera_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SourceError, match=r"^/dev/null: is not a camera"):
        LiveStream.from_device("/dev/null", Timeouts(1, 1), 10.0, ManualClock())
    assert capfd.readouterr() == ("", "")
