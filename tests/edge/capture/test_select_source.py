from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge.capture import Source, is_live, open_source, validate_source
from edge.capture.live.ffmpeg import LiveStream
from edge.capture.live.http_camera import JpegStream
from edge.capture.recordings import Clip, Folder
from edge.capture.video import NOT_VIDEO, Decoding, UnopenedError
from edge.clock import SystemClock
from edge.errors import ConfigurationError, SourceError
from tests.edge.capture.fakes import camera_settings
from tests.fakes import ManualClock
from tests.mjpeg_server import MjpegServer, jpeg
from tests.synthetic_video import number_of, picture, write_clip
from tests.web_camera import Answer, WebCamera


def opened(source: str, beside: Path, **changes: object) -> Source:
    return open_source(camera_settings(source, **changes), beside, SystemClock())


@pytest.mark.parametrize(
    ("source", "shown", "why"),
    [
        (
            "ftp://h/a?pwd=hunter2",
            "ftp://h",
            "the scheme is unknown; allowed: rtsp://, rtsps://, http://, https://, file://",
        ),
        ("rtsp:///door", "rtsp://", "names no host; allowed: a URL such as rtsp://192.0.2.10/stream"),
        ("rtsp://10.0.0.7:port/door", "rtsp://10.0.0.7:port", "the port is wrong; allowed: 0 to 65535"),
        ("http://10.0.0.7:99999/", "http://10.0.0.7:99999", "the port is wrong; allowed: 0 to 65535"),
    ],
)
def test_a_url_that_cannot_be_right_is_refused(source: str, shown: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        validate_source(camera_settings(source), tmp_path)
    assert str(caught.value).startswith(f"camera 'door': source = {shown!r}: {why}")


@pytest.mark.parametrize("source", ["rtsp://10.0.0.7/a", "0", "/dev/video0", "a.mp4", "file:///a.mp4"])
def test_what_may_be_right_passes_unopened(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[object] = []
    monkeypatch.setattr("av.open", lambda *arguments, **options: opened.append(arguments))
    validate_source(camera_settings(source), tmp_path)
    assert opened == []


def test_an_unreadable_secret_is_refused_by_key_and_file(tmp_path: Path) -> None:
    settings = camera_settings(username="clerk", password_file="door.secret")
    with pytest.raises(ConfigurationError, match=r"camera 'door': password_file = 'door\.secret': .*read"):
        validate_source(settings, tmp_path)


def test_a_secret_that_vanishes_later_is_a_fault_like_any_other(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"^rtsp://192\.0\.2\.10: .*door\.secret"):
        opened("rtsp://192.0.2.10/a", tmp_path, username="clerk", password_file="door.secret")


def test_the_password_is_read_at_every_opening(tmp_path: Path) -> None:
    secret = tmp_path / "door.secret"
    secret.write_text("old\n")
    with MjpegServer([jpeg(picture(5))] * 5, credentials=("clerk", "new")) as server:
        with pytest.raises(SourceError, match="refuses the user name or password"):
            opened(server.url, tmp_path, username="clerk", password_file=secret.name)
        secret.write_text("new\n")
        source = opened(server.url, tmp_path, username="clerk", password_file=secret.name)
        got = source.read()
        source.close()
    assert got is not None
    assert number_of(got.image) == 5


def test_a_user_may_have_no_password(tmp_path: Path) -> None:
    with MjpegServer([jpeg(picture(5))] * 5, credentials=("clerk", "")) as server:
        source = opened(server.url, tmp_path, username="clerk")
        assert source.read() is not None
        source.close()


def test_a_relative_file_is_sought_beside_the_configuration(tmp_path: Path) -> None:
    write_clip(tmp_path / "n.avi", 3)
    source = opened("n.avi", tmp_path)
    assert source.read() is not None
    source.close()


def test_a_home_that_nobody_has_is_a_fault_of_the_source(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="~nobody-of-that-name/x: the user does not exist"):
        opened("~nobody-of-that-name/x", tmp_path)


@pytest.mark.parametrize(
    ("source", "live"),
    [
        ("rtsp://10.0.0.7/a", True),
        ("https://10.0.0.7/a", True),
        ("0", True),
        ("/dev/v4l/by-id/usb-door", True),
        ("clip.mp4", False),
        ("file:///clip.mp4", False),
        ("pictures/", False),
    ],
)
def test_streams_and_devices_are_live(source: str, live: bool) -> None:
    assert is_live(camera_settings(source)) is live


def test_a_file_may_be_named_as_a_url(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "the door.avi", 3)
    for source in (str(clip), clip.as_uri()):
        opening = opened(source, tmp_path)
        assert isinstance(opening, Clip)
        opening.close()


def test_a_name_like_a_protocol_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_clip(tmp_path / "n.avi", 3).rename("concat:n.avi")
    source = opened("concat:n.avi", tmp_path)
    assert source.read() is not None
    source.close()


@pytest.mark.parametrize("source", ["rtsp://127.0.0.1:1/stream", "/dev/null", "video", "jpegs"])
def test_every_stream_is_told_its_turn(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.capture.video.Video.open", lambda *_, **__: object())
    answers = {
        "video": Answer(b"video", "video/mp2t"),
        "jpegs": Answer(jpeg(picture(1)), "multipart/x-mixed-replace"),
    }
    with WebCamera(lambda _: answers[source]) as camera:
        settings = camera_settings(camera.url if source in answers else source, max_fps=5)
        opening = open_source(settings, tmp_path, SystemClock(), 0.25)
    assert isinstance(opening, LiveStream | JpegStream)
    assert opening._rate.own == pytest.approx(0.05)


@pytest.mark.parametrize(("pace", "settles"), [("real", True), ("full", False)])
def test_a_recording_in_real_time_has_its_turn_as_a_camera_has(
    pace: str, settles: bool, tmp_path: Path
) -> None:
    clip, clock = write_clip(tmp_path / "n.avi", 100, fps=25), ManualClock()
    clock.advance(700.025)

    def offsets(turn: float | None) -> list[float]:
        settings = camera_settings(str(clip), pace=pace, max_fps=5)
        source = open_source(settings, tmp_path, clock, turn)
        found = [got.offset for got in iter(source.read, None) if got.offset is not None]
        source.close()
        return found

    for turn in (0.0, 0.25, 0.5, 0.75):
        late = [(0.025 + at - turn * 0.2 + 0.1) % 0.2 for at in offsets(turn) if at > 2]
        assert (max(late) <= 0.04) is settles
        assert (offsets(turn) == offsets(None)) is not settles


def test_a_folder_is_played_as_pictures(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg(picture(3)))
    assert isinstance(opened(str(tmp_path), tmp_path), Folder)


def test_what_is_neither_file_nor_folder_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceError, match="pipe: is neither a file nor a folder"):
        opened(str(tmp_path / "pipe"), tmp_path)


@pytest.mark.parametrize("source", ["vidéo.mp4", "file:///vid%C3%A9o.mp4"])
def test_a_name_that_the_locale_has_no_letters_for_is_told(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.fsencode", lambda path: str(path).encode("ascii"))
    with pytest.raises(SourceError, match="the locale makes Python use ascii; set the environment variable"):
        opened(source, tmp_path)


@pytest.mark.parametrize("source", ["clip.mp4", "rtsp://127.0.0.1:1/stream"])
def test_video_is_decoded_as_the_settings_say(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "clip.mp4").write_bytes(b"video")
    asked: list[Decoding] = []

    def video(name: str, address: str, *, decoding: Decoding, **options: object) -> None:
        asked.append(decoding)
        raise UnopenedError("closed")

    monkeypatch.setattr("edge.capture.video.Video.open", video)
    with pytest.raises(SourceError):
        opened(source, tmp_path, decoder_threads=3, decoder="nvdec")
    assert asked == [Decoding(3, "nvdec")]


@pytest.mark.parametrize(("source", "why"), [("0", "a device"), (".", "a folder of pictures")])
def test_a_gpu_for_what_is_no_video_is_refused(source: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=f"camera 'door': decoder = 'nvdec': the source is {why}; all"
    ):
        validate_source(camera_settings(source, decoder="nvdec"), tmp_path)


def test_jpegs_say_that_no_gpu_decodes_them(tmp_path: Path) -> None:
    with MjpegServer([jpeg(picture(1))]) as server:
        source = opened(server.url, tmp_path, decoder="nvdec")
        taken = source.read()
        source.close()
    assert taken is not None
    assert taken.note == NOT_VIDEO
