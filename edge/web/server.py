"""The page's HTTP server: cheroot in threads of its own, with TLS where it is configured."""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from socket import socket
from typing import Any

from cheroot.ssl.builtin import BuiltinSSLAdapter
from cheroot.wsgi import Server

from edge.clock import Clock
from edge.config import Settings, WebSettings, read_secret, secret_path
from edge.config.fields import host_and_port
from edge.delivery.history import Reader
from edge.errors import ConfigurationError
from edge.web.access import Access, checked_password
from edge.web.app import Page

log = logging.getLogger(__name__)

THREADS = 16
TIMEOUT = 10
"""Seconds that a client may take to send a request."""

LARGEST = 64 * 1024
"""Bytes of a request's body."""


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
    ) -> None:
        """path: the history. beside: the folder of relative secrets. current: the settings in force."""
        web = settings.web
        self._host = web.host
        self._stop = threading.Event()
        page = Page(
            Reader(path),
            current or (lambda: settings),
            Access(read_password(web, beside), clock),
            clock,
            stop=self._stop,
        )
        self._server = _Quiet(
            (web.host, web.port), page, numthreads=THREADS, server_name="instore", timeout=TIMEOUT,
            shutdown_timeout=1,
        )  # fmt: skip
        self._server.max_request_body_size = LARGEST
        self._server.max_request_header_size = LARGEST
        self._server.ssl_adapter = _tls(web, beside)
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

    def start(self) -> None:
        """Start answering requests."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering requests and release the port."""
        self._stop.set()
        self._server.stop()
        if self._thread.is_alive():
            self._thread.join()


def check_web(web: WebSettings, beside: Path) -> None:
    """Raise ConfigurationError on a password or a certificate that cannot be used."""
    read_password(web, beside)
    _tls(web, beside)


def read_password(web: WebSettings, beside: Path) -> str | None:
    """The password of the page; None where there is none."""
    if not web.password_file:
        return None
    return checked_password(read_secret("web.password_file", web.password_file, beside), "web.password_file")


def _tls(web: WebSettings, beside: Path) -> _PatientTls | None:
    if not web.cert_file:
        return None
    certificate, key = (str(secret_path(name, beside)) for name in (web.cert_file, web.key_file))
    try:
        return _PatientTls(certificate, key)
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


class _Quiet(Server):
    """Logs as the rest of the program does: what clients do wrong is no error of ours."""

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
        error: Any = True if traceback and level >= logging.ERROR else None
        log.log(logging.ERROR if error else logging.DEBUG, "the page: %s", msg, exc_info=error)
