"""The page over a real port: TLS, silent clients, ports that are taken, and what the configuration allows."""

from __future__ import annotations

import errno
import socket
import ssl
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from edge.clock import SystemClock
from edge.config import Settings, load_settings
from edge.errors import ConfigurationError
from edge.web.server import MOST_OPEN, PAUSE, THREADS, Doors, WebServer, read_web
from tests.edge.web.conftest import PASSWORD
from tests.edge.web.store import Store
from tests.fakes import ManualClock
from tests.mosquitto import make_certificates
from tests.patience import PATIENCE

SECURED = {"password_file": "password", "cert_file": "server.pem", "key_file": "server.key"}


@contextmanager
def serving(store: Store, folder: Path, **web: Any) -> Iterator[WebServer]:
    server = WebServer(store.history._path, configured(store, **web), beside=folder, clock=SystemClock())
    server.start()
    try:
        yield server
    finally:
        server.stop()


def configured(store: Store, **web: Any) -> Settings:
    table = {**store.settings.model_dump(by_alias=True), "web": {"port": 0, **web}}
    return Settings.model_validate(table)


@pytest.fixture(scope="session")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate and a password."""
    folder = tmp_path_factory.mktemp("secured")
    make_certificates(folder)
    (folder / "password").write_text(PASSWORD + "\n")
    return folder


def read(url: str, context: ssl.SSLContext | None = None) -> tuple[int, bytes]:
    with urllib.request.urlopen(url, timeout=PATIENCE, context=context) as answer:
        return answer.status, answer.read()


def test_it_serves_on_this_machine(store: Store, tmp_path: Path) -> None:
    with serving(store, tmp_path) as server:
        assert server.url == f"http://127.0.0.1:{server.port}/"
        status, body = read(f"{server.url}api/page")
    assert (status, b'"store-7"' in body) == (200, True)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", server.port))


def test_with_tls_it_speaks_nothing_else(store: Store, secured: Path) -> None:
    context = ssl.create_default_context(cafile=str(secured / "ca.pem"))
    with serving(store, secured, **SECURED) as server:
        assert read(f"https://localhost:{server.port}/login", context)[0] == 200
        with pytest.raises(OSError):
            read(f"http://localhost:{server.port}/login")
        old = ssl.create_default_context(cafile=str(secured / "ca.pem"))
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(OSError, match=r"SSL|TLS|ssl|reset"):
            read(f"https://localhost:{server.port}/login", old)


def test_a_renewed_certificate_is_shown_to_new_connections(
    store: Store, secured: Path, tmp_path: Path
) -> None:
    make_certificates(tmp_path)
    (tmp_path / "password").write_text(PASSWORD)
    context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    with serving(store, secured, **SECURED) as server:
        url = f"https://localhost:{server.port}/login"
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            read(url, context)
        server.renew(read_web(configured(store, **SECURED).web, tmp_path))
        assert read(url, context)[0] == 200


@pytest.mark.parametrize("tls", [False, True])
def test_a_silent_client_holds_up_no_other(store: Store, secured: Path, tls: bool) -> None:
    context = ssl.create_default_context(cafile=str(secured / "ca.pem")) if tls else None
    with (
        serving(store, secured, **(SECURED if tls else {})) as server,
        closing(socket.create_connection(("127.0.0.1", server.port))),
    ):
        scheme = "https" if tls else "http"
        assert read(f"{scheme}://localhost:{server.port}/login", context)[0] == 200


def test_silent_clients_hold_no_thread(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.web.server.TIMEOUT", 10 * PATIENCE)
    with serving(store, tmp_path) as server, ExitStack() as opened:
        for _ in range(2 * THREADS):
            opened.enter_context(closing(socket.create_connection(("127.0.0.1", server.port))))
        assert read(f"{server.url}login")[0] == 200


HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: "
BODY = (
    b"POST /api/login HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/json\r\nContent-Length: 60000\r\n\r\n"
)


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("begin", [HEAD, BODY], ids=["head", "body"])
def test_a_request_that_comes_byte_by_byte_is_ended(
    store: Store,
    secured: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    *,
    begin: bytes,
    tls: bool,
) -> None:
    monkeypatch.setattr("edge.web.server.TIMEOUT", 0.3)
    context = ssl.create_default_context(cafile=str(secured / "ca.pem"))
    with serving(store, secured, **(SECURED if tls else {})) as server:
        plain = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
        with context.wrap_socket(plain, server_hostname="localhost") if tls else plain as client:
            client.sendall(begin)
            client.settimeout(0.02)
            assert is_ended(client)
    assert caplog.text == ""


def is_ended(client: socket.socket) -> bool:
    """Whether the server ends the connection, though a byte comes now and then, before some seconds."""
    for _ in range(400):
        try:
            client.sendall(b"x")
            if not client.recv(1000):
                return True
        except TimeoutError:  # the pause
            continue
        except OSError:
            return True
    return False


def test_connections_beyond_the_limit_are_closed_at_once(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.web.server.MOST_OPEN", 3)
    with serving(store, tmp_path) as server:
        with ExitStack() as opened:
            first, *_, last = [
                opened.enter_context(
                    closing(socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE))
                )
                for _ in range(4)
            ]
            assert last.recv(1) == b""
            first.sendall(b"GET /login HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b" 200 " in first.recv(1000)
        while server._server.doors._open:  # they are closed by the server's own thread
            server._stop.wait(0.01)
        assert read(f"{server.url}login")[0] == 200


def test_one_address_may_open_some_connections_only_and_this_machine_more() -> None:
    doors = Doors()
    assert [doors.admit(number, "192.0.2.1") for number in range(9)] == [True] * 8 + [False]
    assert doors.admit("other", "192.0.2.2")
    doors.leave(0)
    doors.leave(0)
    assert [doors.admit(number, "192.0.2.1") for number in (10, 11)] == [True, False]
    assert all(doors.admit(number, "127.0.0.1") for number in range(100, 100 + MOST_OPEN - 9))
    assert not doors.admit("last", "127.0.0.1")


def test_without_descriptors_it_waits_before_it_accepts_again(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock()
    server = WebServer(store.history._path, configured(store), beside=tmp_path, clock=clock)

    def none_left(_: socket.socket) -> tuple[int, Any]:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("edge.web.server._Listener._accept", none_left)
    with pytest.raises(BlockingIOError):
        server._server.socket.accept()
    server.stop()
    assert clock.waits == [PAUSE]
    assert "the page accepts no connection for now: Too many open files" in caplog.text


def test_a_large_body_is_refused(store: Store, tmp_path: Path) -> None:
    with (
        serving(store, tmp_path) as server,
        closing(socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)) as client,
    ):
        client.sendall(b"POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n")
        assert b" 413 " in client.recv(200)


def test_a_taken_port_is_named(store: Store, tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"web\.port = {port}: cannot listen there"):
            WebServer(store.history._path, configured(store, port=port), beside=tmp_path, clock=SystemClock())


@pytest.mark.parametrize("missing", SECURED)
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.5", "box.example"])  # noqa: S104
def test_beyond_this_machine_it_needs_a_password_and_tls(host: str, missing: str) -> None:
    web = {"host": host, **{key: name for key, name in SECURED.items() if key != missing}}
    with pytest.raises(
        ConfigurationError, match=r"needs 'password_file', 'cert_file' and 'key_file'|go together"
    ):
        load(web)
    load({"host": host, **SECURED})


def load(web: dict[str, Any], **tables: Any) -> Settings:
    base = {"site": "s", "cameras": [{"name": "door", "source": "0"}], "web": web}
    return load_settings(None, instead={**base, **tables})


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.0.0.9"])
def test_on_this_machine_it_needs_neither(host: str) -> None:
    assert load({"host": host}).web.is_private


def test_a_page_without_a_history_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"web.enabled = true: .*needs history.days of 1 or more"):
        load({"enabled": True}, history={"days": 0})


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("password", "short\n", r"web.password_file: the password is too short; allowed: 12 characters"),
        ("server.pem", "no certificate", r"web.cert_file = .*cannot be used"),
        ("server.key", "", r"web.cert_file = .*cannot be used"),
    ],
)
def test_a_secret_that_cannot_be_used_is_named(
    store: Store, secured: Path, tmp_path: Path, *, name: str, content: str, said: str
) -> None:
    for file in secured.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / name).write_text(content)
    with pytest.raises(ConfigurationError, match=said) as refused:
        WebServer(store.history._path, configured(store, **SECURED), beside=tmp_path, clock=SystemClock())
    assert "short" not in str(refused.value).replace("too short", "")
