"""A real RTSP server, a real FFmpeg between."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from edge.capture import Camera, LatestFrame, Source, open_source
from edge.capture.live.address import Timeouts
from edge.capture.live.ffmpeg import LiveStream
from edge.capture.video import UnopenedError, Video
from edge.clock import SystemClock
from edge.config import CameraSettings
from edge.errors import SourceError
from edge.types import CameraStatus, Frame
from tests.edge.capture.fakes import camera_settings, dice
from tests.edge.capture.live.certificates import TlsFront, fingerprint_of
from tests.fakes import ManualClock
from tests.patience import PATIENCE
from tests.rtsp_server import RtspServer
from tests.scene_clips import write_scene
from tests.synthetic_video import number_of, write_clip

USER, PASSWORD = "shop clerk", "p@ss:w/rd%?#é"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds, 25 frames each."""
    return write_clip(tmp_path_factory.mktemp("clips") / "numbers.avi", 50)


@pytest.fixture(scope="module")
def server(clip: Path) -> Iterator[RtspServer]:
    with RtspServer({"door": clip}, credentials=(USER, PASSWORD)) as server:
        yield server


class Striding(SystemClock):
    """A second passes from one look to the next: every frame is wanted, however close to the one before."""

    def __init__(self) -> None:
        self._seconds = itertools.count()

    def monotonic(self) -> float:
        return float(next(self._seconds))


def opened(url: str, beside: Path, password: str) -> Source:
    (beside / "door.secret").write_text(password)
    settings = camera_settings(
        url, username=USER, password_file="door.secret", open_timeout=PATIENCE, read_timeout=PATIENCE
    )
    return open_source(settings, beside, Striding())


def test_frames_arrive_in_order_and_the_clip_is_looped(server: RtspServer, tmp_path: Path) -> None:
    source = opened(server.url("door"), tmp_path, PASSWORD)
    numbers = [number_of(got.image) for _ in range(60) if (got := source.read()) is not None]
    source.close()
    assert {(later - earlier) % 50 for earlier, later in pairwise(numbers[10:])} == {1}, numbers


def test_key_pictures_in_several_packets_are_put_together(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The server sends the parameter sets before each slice, and a key picture of 360 lines has two."""
    with RtspServer({"door": write_scene(tmp_path / "scene.avi", seconds=3)}) as server:
        source = opened(server.url("door"), tmp_path, PASSWORD)
        at_start = [source.read() for _ in range(10)] and source.corrupt
        pictures = [source.read() for _ in range(40)]
        source.close()
    assert all(picture is not None for picture in pictures)
    assert source.corrupt == at_start


@pytest.mark.parametrize(
    "refused",
    [
        ("door", "hunter2", "refuses the user name or password (401)"),
        ("window", PASSWORD, "has no such path (404)"),
    ],
)
def test_a_refusal_is_told_without_the_credentials(
    server: RtspServer,
    tmp_path: Path,
    refused: tuple[str, str, str],
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    mount, password, why = refused
    with caplog.at_level(logging.DEBUG), pytest.raises(SourceError) as caught:
        opened(server.url(mount), tmp_path, password)
    assert str(caught.value) == f"rtsp://127.0.0.1:{server.port}: {why}"
    assert "".join((*capfd.readouterr(), caplog.text)) == ""


def test_it_is_asked_for_over_tcp(server: RtspServer, tmp_path: Path) -> None:
    source = opened(server.url("door"), tmp_path, PASSWORD)
    source.read()
    sockets = [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    inodes = {link[8:-1] for link in sockets if link.startswith("socket:")}
    udp = {line.split()[9] for line in Path("/proc/self/net/udp").read_text().splitlines()[1:]}
    source.close()
    assert inodes
    assert not inodes & udp


@pytest.fixture(scope="module")
def udp_server(clip: Path) -> Iterator[RtspServer]:
    with RtspServer({"door": clip}, udp_only=True) as server:
        yield server


@pytest.mark.parametrize("transport", ["auto", "udp"])
def test_a_camera_that_has_udp_only_is_read_over_udp(udp_server: RtspServer, transport: str) -> None:
    settings = camera_settings(
        udp_server.url("door"), transport=transport, open_timeout=PATIENCE, read_timeout=PATIENCE
    )
    source = open_source(settings, Path(), Striding())
    numbers = [number_of(got.image) for _ in range(20) if (got := source.read()) is not None]
    source.close()
    assert len(set(numbers)) > 10


def test_a_camera_that_refuses_tcp_says_so(udp_server: RtspServer) -> None:
    settings = camera_settings(udp_server.url("door"), transport="tcp", open_timeout=PATIENCE)
    with pytest.raises(
        SourceError, match=r"refuses this transport \(461\); allowed: 'transport' tcp, udp or auto"
    ):
        open_source(settings, Path(), SystemClock())


def ways_tried(monkeypatch: pytest.MonkeyPatch, *statuses: int) -> list[str]:
    """How a camera is asked that refuses with these statuses, one after the other, and then sends video."""
    ways: list[str] = []

    def answer(name: str, address: str, **more: Any) -> object:
        ways.append(more["options"]["rtsp_transport"])
        if len(ways) <= len(statuses):
            raise UnopenedError("refused", statuses[len(ways) - 1])
        return object()

    monkeypatch.setattr(Video, "open", answer)
    LiveStream.from_rtsp("rtsp://camera/door", None, Timeouts(60, 60), 25, ManualClock())
    return ways


def test_a_camera_busy_with_the_end_of_the_try_over_tcp_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without, one that has UDP only and takes time to end a session would never be read."""
    assert ways_tried(monkeypatch, 461, 500, 500) == ["tcp", "udp", "udp", "udp"]


def test_a_camera_that_stays_busy_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceError, match=r"^rtsp://camera: is busy, or has a fault \(5xx\)$"):
        ways_tried(monkeypatch, 461, *[500] * 9)


@pytest.fixture(scope="module")
def secure_port(server: RtspServer, certificate: Path) -> Iterator[int]:
    """The camera again, behind TLS."""
    with TlsFront(
        ("127.0.0.1", server.port), certificate / "server.pem", certificate / "server.key"
    ) as front:
        yield front.port


@pytest.mark.parametrize("trust", ["ca_file", "fingerprint", "insecure"])
def test_a_camera_over_tls_is_read_if_its_certificate_is_trusted(
    secure_port: int, certificate: Path, trust: str
) -> None:
    by = {
        "ca_file": str(certificate / "ca.pem"),
        "fingerprint": fingerprint_of(certificate / "server.pem"),
        "insecure": True,
    }
    (certificate / "door.secret").write_text(PASSWORD)
    source = open_source(secured(secure_port, **{trust: by[trust]}), certificate, Striding())
    numbers = [number_of(got.image) for _ in range(30) if (got := source.read()) is not None]
    source.close()
    assert {(later - earlier) % 50 for earlier, later in pairwise(numbers[5:])} == {1}, numbers
    assert "tls-relay" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({}, "its certificate is not trusted ("),
        ({"fingerprint": "ab:" * 31 + "ab"}, "its certificate is not that of 'fingerprint': "),
    ],
)
def test_a_camera_over_tls_that_is_not_trusted_gets_no_password(
    secure_port: int, certificate: Path, more: dict[str, str], why: str
) -> None:
    (certificate / "door.secret").write_text(PASSWORD)
    with pytest.raises(SourceError) as caught:
        open_source(secured(secure_port, **more), certificate, SystemClock())
    assert str(caught.value).startswith(f"rtsps://127.0.0.1:{secure_port}: {why}")
    assert fingerprint_of(certificate / "server.pem") in str(caught.value)


def test_a_scheme_that_does_not_fit_the_port_is_named(
    server: RtspServer, secure_port: int, tmp_path: Path
) -> None:
    plain = camera_settings(f"rtsp://127.0.0.1:{secure_port}/door", open_timeout=PATIENCE)
    with pytest.raises(SourceError, match=r"speaks TLS; allowed: the scheme rtsps://$"):
        open_source(plain, tmp_path, SystemClock())
    secure = camera_settings(f"rtsps://127.0.0.1:{server.port}/door", insecure=True, open_timeout=PATIENCE)
    with pytest.raises(SourceError, match=r"does not agree on TLS .*does it need the scheme without s\?$"):
        open_source(secure, tmp_path, SystemClock())


def secured(port: int, **more: object) -> CameraSettings:
    return camera_settings(
        f"rtsps://127.0.0.1:{port}/door",
        username=USER,
        password_file="door.secret",
        open_timeout=PATIENCE,
        read_timeout=PATIENCE,
        **more,
    )


class Watched:
    """A camera in its thread; tests wait for its states and frames."""

    def __init__(self, url: str) -> None:
        self.slot = LatestFrame()
        self.stop = threading.Event()
        self._changed = threading.Condition()
        self._statuses: list[CameraStatus] = []
        camera = Camera(
            camera_settings(url, open_timeout=PATIENCE, read_timeout=PATIENCE),
            partial(open_source, secrets_beside=Path(), clock=SystemClock()),
            self.slot,
            SystemClock(),
            rng=dice(),
            on_status=self._note,
            on_drop=lambda reason: None,
        )
        self._thread = threading.Thread(target=camera.run, args=(self.stop,), daemon=True)
        self._thread.start()

    def _note(self, status: CameraStatus) -> None:
        with self._changed:
            self._statuses.append(status)
            self._changed.notify_all()

    def states(self) -> list[str]:
        """Without repetitions: a reason may change while a state lasts."""
        states = [status.state.value for status in self._statuses]
        return [state for n, state in enumerate(states) if n == 0 or state != states[n - 1]]

    def wait_for(self, *states: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.states() == list(states), PATIENCE), self._statuses

    def take(self) -> Frame:
        frame = self.slot.take(PATIENCE)
        assert frame is not None
        return frame

    def end(self) -> None:
        self.stop.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()


def test_a_camera_that_loses_its_power_comes_back_and_the_other_goes_on(clip: Path) -> None:
    with RtspServer({"door": clip}) as door, RtspServer({"till": clip}) as till:
        lost, other = Watched(door.url("door")), Watched(till.url("till"))
        lost.wait_for("up")
        other.wait_for("up")
        before = lost.take()
        door.kill()
        lost.wait_for("up", "down")
        other.take()
        door.start()
        lost.wait_for("up", "down", "up")
        lost.slot.take(0)
        after = lost.take()
        other.take()
        assert other.states() == ["up"]
        lost.end()
        other.end()
    assert after.captured_at > before.captured_at


def test_fifty_openings_leave_nothing_behind(clip: Path) -> None:
    settings = camera_settings("rtsp://127.0.0.1:9/none", open_timeout=PATIENCE, read_timeout=PATIENCE)

    def cycle(server: RtspServer) -> None:
        source = open_source(settings.model_copy(update={"source": str(clip)}), Path(), SystemClock())
        source.read()
        source.close()
        for url in (settings.source, server.url("none")):
            with pytest.raises(SourceError):
                open_source(settings.model_copy(update={"source": url}), Path(), SystemClock())

    with RtspServer({"door": clip}) as server:
        cycle(server)
        before = _held()
        for _ in range(50):
            cycle(server)
        until = time.monotonic() + PATIENCE / 4
        while any(now > then for now, then in zip(_held(), before, strict=True)):
            assert time.monotonic() < until, (
                before,
                _held(),
            )  # a thread that has been joined may be seen yet


def _held() -> tuple[int, int, int]:
    return _descriptors(), threading.active_count(), _tasks()


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _tasks() -> int:
    return len(list(Path("/proc/self/task").iterdir()))
