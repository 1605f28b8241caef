"""Heartbeats, `/healthz` over a real socket, and what systemd is told over a real one."""

from __future__ import annotations

import gzip
import http.client
import json
import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path

import pytest

from edge.clock import SystemClock
from edge.errors import ConfigurationError
from edge.ops.health_page import health_page
from edge.ops.heartbeats import Heartbeats
from edge.ops.http import HttpServer, Page, PatientServer
from edge.ops.systemd import Systemd
from tests.fakes import ManualClock
from tests.mosquitto import has_ipv6
from tests.patience import PATIENCE


class TestHeartbeats:
    def test_a_thread_is_stuck_when_it_has_not_got_on_for_too_long(self):
        clock = ManualClock()
        beats = Heartbeats(clock, patience=60)
        beats.beat("vision-b")
        beats.beat("vision-a")
        clock.advance(60)
        assert beats.stuck() == []
        beats.beat("counting")
        clock.advance(0.1)
        assert beats.stuck() == ["vision-a", "vision-b"]
        beats.beat("vision-a")
        assert beats.stuck() == ["vision-b"]

    def test_a_thread_that_ended_is_not(self):
        clock = ManualClock()
        beats = Heartbeats(clock, patience=60)
        beats.beat("vision")
        beats.forget("vision")
        beats.forget("never seen")
        clock.advance(100)
        assert beats.stuck() == []

    def test_the_wall_clock_does_not_matter(self):
        clock = ManualClock()
        beats = Heartbeats(clock, patience=60)
        beats.beat("vision")
        clock.jump(1e6)
        assert beats.stuck() == []


def page(body: bytes = b"hello\n") -> Page:
    return lambda _accept: (HTTPStatus.OK, "text/plain", body)


def echo(accept: str) -> tuple[HTTPStatus, str, bytes]:
    return HTTPStatus.OK, "text/plain", accept.encode()


def broken(_accept: str) -> tuple[HTTPStatus, str, bytes]:
    raise RuntimeError("a bug")


def gone(_accept: str) -> tuple[HTTPStatus, str, bytes]:
    raise ConnectionResetError


class Attempts(SystemClock):
    """Counts the waits, which take no time; after two of them they wait for `let_go`."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self._waits = threading.Semaphore(0)
        self._count = 0

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self._waits.release()
        self._count += 1
        if self._count > 2:
            assert self.let_go.wait(PATIENCE)
        return event.is_set()

    def wait_for_attempts(self, count: int) -> None:
        """Return when somebody has waited so often."""
        for _ in range(count):
            assert self._waits.acquire(timeout=PATIENCE)


class Site:
    """A server on a free port, and a client for it."""

    def __init__(self) -> None:
        self.stuck: list[str] = []
        pages = {
            "/metrics": page(),
            "/echo": echo,
            "/healthz": health_page(lambda: self.stuck, lambda: {"mqtt_connected": True}),
            "/broken": broken,
            "/gone": gone,
        }
        self.server = HttpServer("127.0.0.1", 0, pages)

    def ask(
        self, method: str, path: str, body: str | None = None, **headers: str
    ) -> tuple[http.client.HTTPResponse, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=PATIENCE)
        connection.request(
            method, path, body, {name.replace("_", "-"): value for name, value in headers.items()}
        )
        response = connection.getresponse()
        content = response.read()
        if response.headers["Content-Encoding"] == "gzip":
            assert int(response.headers["Content-Length"]) == len(content)
            content = gzip.decompress(content)
        connection.close()
        return response, content.decode()


@pytest.fixture(scope="module")  # a server takes half a second to stop
def site() -> Iterator[Site]:
    site = Site()
    site.server.start()
    yield site
    site.server.stop()


class TestPatientServer:
    def test_it_listens_when_the_port_is_free_again(self, caplog: pytest.LogCaptureFixture):
        caplog.set_level("INFO")
        clock = Attempts()
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            server = PatientServer(lambda: HttpServer("127.0.0.1", port, {"/x": page()}), clock)
            server.start()
            clock.wait_for_attempts(2)
            assert server.port is None
        clock.let_go.set()
        server._thread.join(PATIENCE)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        connection.request("GET", "/x")
        assert connection.getresponse().read() == b"hello\n"
        connection.close()
        server.stop()
        assert caplog.text.count("cannot listen there: Address already in use") == 1

    def test_it_stops_while_the_address_is_not_up(self):
        server = PatientServer(lambda: HttpServer("192.0.2.77", 0, {}), SystemClock())
        server.start()
        server.stop()
        assert server.port is None


class TestHttp:
    def test_serves_its_pages(self, site: Site):
        response, text = site.ask("GET", "/metrics?x=1")
        assert (response.status, text) == (200, "hello\n")
        assert response.headers["Content-Type"] == "text/plain"
        assert response.headers["Server"].strip() == "instore"

    @pytest.mark.parametrize(
        ("accepted", "zipped"),
        [("gzip", True), ("br;q=1.0, GZip ; q=0.8", True), ("gzip;q=0", False), ("br", False), ("*", False)],
    )
    def test_a_page_is_compressed_for_those_who_ask(self, site: Site, accepted: str, zipped: bool):
        response, text = site.ask("GET", "/metrics", Accept_Encoding=accepted)
        assert text == "hello\n"
        assert (response.headers["Content-Encoding"] == "gzip") == zipped

    def test_a_page_hears_what_its_reader_accepts(self, site: Site):
        assert site.ask("GET", "/echo", Accept="a/b, c/d")[1] == "a/b, c/d"

    def test_answers_head_without_a_body(self, site: Site):
        response, text = site.ask("HEAD", "/metrics")
        assert (response.status, text, response.headers["Content-Length"]) == (200, "", "6")

    def test_says_what_there_is(self, site: Site):
        response, text = site.ask("GET", "/")
        assert response.status == 404
        assert "/healthz" in text

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
    def test_takes_nothing(self, site: Site, method: str):
        response, _ = site.ask(method, "/metrics", "x=1")
        assert response.status == 405
        assert response.headers["Allow"] == "GET, HEAD"

    def test_health_is_503_while_a_thread_is_stuck(self, site: Site):
        response, text = site.ask("GET", "/healthz")
        assert (response.status, response.headers["Content-Type"]) == (200, "application/json")
        assert json.loads(text) == {"status": "ok", "stuck": [], "mqtt_connected": True}
        site.stuck.append("vision-door")
        response, text = site.ask("GET", "/healthz")
        assert response.status == 503
        assert json.loads(text)["stuck"] == ["vision-door"]
        assert json.loads(text)["status"] == "stuck"
        site.stuck.clear()

    def test_a_reader_that_went_away_is_no_news(
        self, site: Site, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
    ):
        with pytest.raises(http.client.RemoteDisconnected):
            site.ask("GET", "/gone")
        assert site.ask("GET", "/metrics")[0].status == 200
        assert (capfd.readouterr().err, caplog.text) == ("", "")

    def test_a_fault_of_a_page_is_logged_and_the_others_stay(
        self, site: Site, caplog: pytest.LogCaptureFixture
    ):
        with caplog.at_level(logging.ERROR), pytest.raises(http.client.RemoteDisconnected):
            site.ask("GET", "/broken")
        assert "a bug" in caplog.text
        assert site.ask("GET", "/metrics")[0].status == 200

    def test_a_port_in_use_is_a_fault_of_the_configuration(self, site: Site):
        port = site.server.port
        with pytest.raises(
            ConfigurationError, match=rf"metrics\.port = {port}: cannot listen .* in use.* free port"
        ):
            HttpServer("127.0.0.1", port, {})

    @pytest.mark.parametrize(("host", "port"), [("192.0.2.1", 0), ("no such host", 0), ("127.0.0.1", 70_000)])
    def test_so_is_an_address_that_is_not_ours(self, host: str, port: int):
        with pytest.raises(ConfigurationError, match=rf"metrics\.host = '{host}', metrics\.port = {port}"):
            HttpServer(host, port, {})

    def test_asks_no_name_service(self, monkeypatch: pytest.MonkeyPatch):
        asked: list[object] = []

        def asking(*name: object) -> str:
            asked.append(name)
            return "name"

        monkeypatch.setattr(socket, "getfqdn", asking)
        HttpServer("0.0.0.0", 0, {}).stop()  # noqa: S104 - that address is the point
        assert asked == []

    @pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
    def test_listens_on_ipv6(self):
        server = HttpServer("::1", 0, {"/metrics": page()})
        server.start()
        connection = http.client.HTTPConnection("::1", server.port, timeout=PATIENCE)
        connection.request("GET", "/metrics")
        assert connection.getresponse().status == 200
        connection.close()
        server.stop()

    def test_gives_the_port_back(self):
        server = HttpServer("127.0.0.1", 0, {})
        server.start()
        server.stop()
        again = HttpServer("127.0.0.1", server.port, {})
        assert again.port == server.port
        again.stop()


@pytest.fixture(params=["path", "abstract"])
def notify(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """A socket as systemd has it, and its name as systemd gives it."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@instore-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
        ours.bind(name.replace("@", "\0", 1) if name.startswith("@") else name)
        ours.settimeout(PATIENCE)
        yield name, ours


def fill(ours: socket.socket) -> None:
    """Send to this socket until it takes no more."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, suppress(BlockingIOError):
        sender.setblocking(False)
        sender.connect(ours.getsockname())
        while True:
            sender.send(b"waits")


def empty(ours: socket.socket) -> None:
    """Read all that waits in this socket."""
    ours.setblocking(False)
    with suppress(BlockingIOError):
        while ours.recv(4096):
            pass
    ours.settimeout(PATIENCE)


def tell_all(systemd: Systemd) -> None:
    systemd.ready("up")
    systemd.alive("up")
    systemd.reloading(5.0)
    systemd.ready("up again")
    systemd.alive("up")


class TestSystemd:
    def test_hears_of_the_start_the_progress_and_the_end(self, notify: tuple[str, socket.socket]):
        name, ours = notify
        systemd = Systemd({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "30000000"})
        assert systemd.watchdog_every == 15
        systemd.ready("1 of 1 cameras up")
        systemd.alive("2 of 2 cameras up")
        systemd.reloading(12.3456789)
        systemd.stopping()
        assert [ours.recv(4096).decode() for _ in range(4)] == [
            "READY=1\nSTATUS=1 of 1 cameras up",
            "WATCHDOG=1\nSTATUS=2 of 2 cameras up",
            "RELOADING=1\nMONOTONIC_USEC=12345679",
            "STOPPING=1",
        ]

    def test_that_reads_nothing_stops_nobody_and_hears_later_what_matters(
        self, notify: tuple[str, socket.socket], caplog: pytest.LogCaptureFixture
    ):
        name, ours = notify
        systemd = Systemd({"NOTIFY_SOCKET": name})
        fill(ours)
        told = threading.Thread(target=tell_all, args=(systemd,), daemon=True)
        told.start()
        told.join(PATIENCE)
        assert not told.is_alive()
        assert caplog.text.count("cannot notify systemd: ") == 1
        empty(ours)
        systemd.alive("still up")
        assert [ours.recv(4096).decode() for _ in range(4)] == [
            "READY=1\nSTATUS=up",
            "RELOADING=1\nMONOTONIC_USEC=5000000",
            "READY=1\nSTATUS=up again",
            "WATCHDOG=1\nSTATUS=still up",
        ]

    def test_is_left_alone_where_there_is_none(self):
        systemd = Systemd({})
        systemd.ready("up")
        assert systemd.watchdog_every is None

    def test_that_is_gone_is_a_line_in_the_log(self, tmp_path: Path, caplog: pytest.LogCaptureFixture):
        Systemd({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).alive("up")
        assert "cannot notify systemd: " in caplog.text

    @pytest.mark.parametrize("value", ["", "soon", "-5"])
    def test_s_watchdog_is_off_where_its_time_is_no_number(self, value: str):
        assert Systemd({"WATCHDOG_USEC": value}).watchdog_every is None
