"""The page's HTTP server: cheroot in threads of its own, with TLS where it is configured."""

from __future__ import annotations

import errno
import logging
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from socket import SHUT_RDWR, socket
from typing import Any

from cheroot.server import HTTPConnection, HTTPRequest
from cheroot.ssl.builtin import BuiltinSSLAdapter
from cheroot.wsgi import Server

from edge.clock import Clock, ended_after
from edge.config import Settings, WebSettings, read_secret, secret_path
from edge.config.fields import host_and_port
from edge.delivery.history import Reader
from edge.errors import ConfigurationError
from edge.files import is_waited_for
from edge.web.access import Access, checked_password, is_this_machine
from edge.web.app import LONGEST, Page
from edge.web.audit.tools import AuditTools
from edge.web.setup.tools import Tools

log = logging.getLogger(__name__)

THREADS = 16
TIMEOUT = 10
"""Seconds that a client may take to send the head of a request, and again its body; seconds that a connection
may be idle."""

LARGEST = 64 * 1024
"""Bytes of a request's body."""

MOST_OPEN = 64
"""Connections at once: each takes a descriptor, of which the cameras and the broker need some."""

MOST_OF_A_CLIENT = 8
"""The same of one address of another machine; a browser opens six."""

PAUSE = 1.0
"""Seconds until a connection is accepted again where no descriptor was left."""


class WebServer:
    """Serves the page of a box from its history, in threads of its own.

    Raises ConfigurationError where the password or the certificate cannot be used, or the port is taken.
    """

    def __init__(
        self,
        path: Path,
        settings: Settings,
        *,
        beside: Path,
        clock: Clock,
        current: Callable[[], Settings] | None = None,
        tools: Tools | None = None,
        audit: AuditTools | None = None,
    ) -> None:
        """path: the history. beside: the folder of relative secrets. current: the settings in force.

        tools: for Set up, audit: for the audit, both with a password; None where it is off.
        """
        web = settings.web
        self._host = web.host
        self._stop = threading.Event()
        secrets = read_web(web, beside)
        self._access = Access(secrets.password, clock)
        self._page = Page(
            Reader(path), current or (lambda: settings), self._access, clock,
            stop=self._stop, tools=tools, audit=audit,
        )  # fmt: skip
        pause = partial(clock.wait, self._stop, PAUSE)
        self._server = _Server((web.host, web.port), self._page, pause)
        self._server.ssl_adapter = secrets.tls
        try:
            self._server.prepare()
        except OSError as error:
            raise ConfigurationError(
                f"web.host = {web.host!r}, web.port = {web.port}: cannot listen there: "
                f"{error.strerror or error}; allowed: an address of this machine and a free port, or 0 for "
                "any free port"
            ) from None
        self.port: int = self._server.bind_addr[1]
        self._thread = threading.Thread(target=self._server.serve, name="web", daemon=True)

    @property
    def url(self) -> str:
        """Its address, for a person."""
        scheme = "https" if self._server.ssl_adapter else "http"
        return f"{scheme}://{host_and_port(self._host, self.port)}/"

    def renew(self, secrets: WebSecrets) -> None:
        """Use this password, and for new connections this certificate; another password ends all sessions."""
        self._access.renew(secrets.password)
        self._server.ssl_adapter = secrets.tls

    def start(self) -> None:
        """Start answering requests."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering requests and release the port."""
        self._stop.set()
        self._server.stop()
        if self._thread.is_alive():
            self._thread.join()
        self._page.close()


@dataclass(frozen=True, slots=True)
class WebSecrets:
    """The page's password and certificate, read and checked; None where there is none."""

    password: str | None = field(repr=False)
    tls: _PatientTls | None


def read_web(web: WebSettings, beside: Path) -> WebSecrets:
    """Read password and certificate. Raises ConfigurationError on what cannot be used."""
    return WebSecrets(_password(web, beside), _tls(web, beside))


def _password(web: WebSettings, beside: Path) -> str | None:
    if not web.password_file:
        return None
    return checked_password(read_secret("web.password_file", web.password_file, beside), "web.password_file")


def _tls(web: WebSettings, beside: Path) -> _PatientTls | None:
    if not web.cert_file:
        return None
    certificate, key = (secret_path(name, beside) for name in (web.cert_file, web.key_file))
    try:
        if is_waited_for(certificate) or is_waited_for(key):  # by OpenSSL, which opens them
            raise OSError(errno.EINVAL, "a pipe or a device is no file")
        return _PatientTls(str(certificate), str(key))
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"web.cert_file = {web.cert_file!r}, web.key_file = {web.key_file!r}: cannot be used: "
            f"{error.strerror or error}; allowed: a certificate and its key in PEM"
        ) from None


class _PatientTls(BuiltinSSLAdapter):
    """Shakes hands in the thread of the request: a client that says nothing must not hold up the others."""

    def wrap(self, sock: socket) -> tuple[ssl.SSLSocket, dict[str, str]]:
        secured = self.context.wrap_socket(
            sock, do_handshake_on_connect=False, server_side=True, suppress_ragged_eofs=True
        )
        return secured, {"wsgi.url_scheme": "https", "HTTPS": "on"}


class Doors:
    """Which connections are open; for several threads."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._open: dict[Hashable, str] = {}
        self._clients = Counter[str]()

    def admit(self, connection: Hashable, client: str) -> bool:
        """Whether one more connection of this address may be open, which it is from then on."""
        with self._guard:
            is_full = len(self._open) >= MOST_OPEN or (
                self._clients[client] >= MOST_OF_A_CLIENT and not is_this_machine(client)
            )
            if not is_full:
                self._open[connection] = client
                self._clients[client] += 1
            return not is_full

    def leave(self, connection: Hashable) -> None:
        """The connection is closed; it may have left before, or never been admitted."""
        with self._guard:
            client = self._open.pop(connection, None)
            if client is not None:
                self._clients[client] -= 1
                self._clients += Counter()  # forgets addresses without a connection

    def holds(self, connection: Hashable) -> bool:
        """Whether it has been admitted."""
        with self._guard:
            return connection in self._open


class _Request(HTTPRequest):
    """Ends the connection where request or answer take too long: a byte now and then would hold a thread."""

    def parse_request(self) -> None:
        with self._within(TIMEOUT):
            super().parse_request()

    def respond(self) -> None:
        with self._within(TIMEOUT if self.method == b"POST" else LONGEST + TIMEOUT):
            super().respond()

    def _within(self, seconds: float) -> AbstractContextManager[None]:
        return ended_after(seconds, self._hang_up)

    def _hang_up(self) -> None:
        self.sent_headers = True  # no error is sent any more
        socket.shutdown(self.conn.socket, SHUT_RDWR)  # that of TLS disturbs the reader


class _Connection(HTTPConnection):
    RequestHandlerClass = _Request

    def close(self) -> None:
        self.server.doors.leave(self)
        super().close()


class _Listener(socket):
    """Waits where no descriptor is left: cheroot would try again at once, with a traceback each time."""

    pause: Callable[[], object]

    def accept(self) -> tuple[socket, Any]:
        try:
            return super().accept()
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                raise
            log.warning("the page accepts no connection for now: %s", error.strerror)
            self.pause()
            raise BlockingIOError(errno.EAGAIN, "try again") from error


class _Server(Server):
    """cheroot's, with limits on connections and time; what clients do wrong is no error of ours."""

    ConnectionClass = _Connection

    def __init__(self, address: tuple[str, int], page: Page, pause: Callable[[], object]) -> None:
        super().__init__(
            address, page, numthreads=THREADS, server_name="instore", request_queue_size=MOST_OPEN,
            timeout=TIMEOUT, shutdown_timeout=1,
        )  # fmt: skip
        self.max_request_body_size = self.max_request_header_size = LARGEST
        self.doors = Doors()
        self._pause = pause

    def bind(self, *arguments: Any) -> socket:  # noqa: ANN401 - family, type and protocol
        super().bind(*arguments)
        listener = self.socket = _Listener(fileno=self.socket.detach())
        listener.pause = self._pause
        return listener

    def process_conn(self, conn: _Connection) -> None:
        """A new connection gets a thread when something arrives on it: silent ones hold none."""
        if self.doors.holds(conn):
            super().process_conn(conn)
        elif self.doors.admit(conn, conn.remote_addr or ""):
            self.put_conn(conn)
        else:
            with suppress(OSError):  # the client has gone
                conn.close()

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
        error: Any = True if traceback and level >= logging.ERROR else None
        log.log(logging.ERROR if error else logging.DEBUG, "the page: %s", msg, exc_info=error)
