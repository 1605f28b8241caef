"""A small HTTP server for the pages of the daemon, such as `/metrics` and `/healthz`."""

from __future__ import annotations

import gzip
import logging
import re
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, Generic, Protocol, TypeVar

from edge.clock import Clock
from edge.errors import ConfigurationError

log = logging.getLogger(__name__)

SERVER = "instore"
"""The server name in responses, by which `check` recognises a running daemon."""

RETRY = 10.0
"""Seconds between two attempts to listen."""

Page = Callable[[str], tuple[HTTPStatus, str, bytes]]
"""Makes a page for the `Accept` header of a request: its status, content type and body."""


class HttpServer:
    """Serves a few pages over HTTP, in a thread of its own; GET and HEAD only."""

    def __init__(self, host: str, port: int, pages: Mapping[str, Page]) -> None:
        """Bind to the port at once. Raises ConfigurationError if it is in use or the host is not this
        machine."""
        try:
            self._server = _Server(host, port, _handler(pages))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ConfigurationError(
                f"metrics.host = {host!r}, metrics.port = {port}: cannot listen there: {reason}; "
                "allowed: an address of this machine and a free port, or 0 for any free port"
            ) from None
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="http", daemon=True)

    def start(self) -> None:
        """Start answering requests."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering requests and release the port."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


class Server(Protocol):
    """Listens on a port from its making on."""

    port: int

    def start(self) -> None:
        """Start answering requests."""

    def stop(self) -> None:
        """Stop answering requests and release the port."""


_S = TypeVar("_S", bound=Server)


class PatientServer(Generic[_S]):
    """A server that is made again and again where it cannot listen: nothing else may wait for it.

    Another program may have the port, or the address may not be up yet. make: raises ConfigurationError then.
    what: what is served, for the log.
    """

    def __init__(self, make: Callable[[], _S], clock: Clock, what: str = "metrics are") -> None:
        self._make = make
        self._what = what
        self._clock = clock
        self._complaint = ""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._keep_trying, name="http-retry", daemon=True)
        self._server = self._try()

    @property
    def server(self) -> _S | None:
        """The server; None while it cannot listen."""
        return self._server

    @property
    def port(self) -> int | None:
        """The port that it listens on; None while it cannot."""
        return self._server.port if self._server else None

    def start(self) -> None:
        """Answer requests, or try to from now on."""
        if self._server:
            self._server.start()
        else:
            self._thread.start()

    def stop(self) -> None:
        """Stop answering or trying, and release the port."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._server:
            self._server.stop()

    def _keep_trying(self) -> None:
        while self._server is None and not self._clock.wait(self._stopped, RETRY):
            self._server = self._try()
        if self._server:
            self._server.start()
            log.info("the %s served now, on port %d", self._what, self._server.port)

    def _try(self) -> _S | None:
        try:
            return self._make()
        except ConfigurationError as error:
            if str(error) != self._complaint:
                self._complaint = str(error)
                log.warning("no %s served, and counting continues; trying again: %s", self._what, error)
            return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # A second daemon on the same port must fail, not share it.
    allow_reuse_port = False

    def __init__(self, host: str, port: int, handler: type[BaseHTTPRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), handler)

    def server_bind(self) -> None:
        # HTTPServer's own method asks DNS for a name that is not used: it takes seconds without a network.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - socketserver's signature
        """Ignore a client that went away; log any other error, which is a fault of a page."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            log.error("http: a page failed", exc_info=error)


def _takes_gzip(accept_encoding: str) -> bool:
    """Whether an `Accept-Encoding` header names gzip without refusing it (RFC 9110, 12.5.3)."""
    for coding in accept_encoding.lower().split(","):
        name, _, weight = coding.partition(";")
        if name.strip() == "gzip":
            return not re.fullmatch(r"q=0(\.0*)?", weight.strip())
    return False


def _handler(pages: Mapping[str, Page]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10
        server_version = SERVER
        sys_version = ""

        def do_GET(self) -> None:
            page = pages.get(self.path.partition("?")[0])
            if page is None:
                self.send_error(HTTPStatus.NOT_FOUND, explain=f"The pages are {', '.join(sorted(pages))}.")
                return
            status, kind, body = page(self.headers.get("Accept", ""))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Vary", "Accept, Accept-Encoding")
            if _takes_gzip(self.headers.get("Accept-Encoding", "")):
                body = gzip.compress(body, mtime=0)
                self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 - the name is http.server's

        def _refuse(self) -> None:
            self.send_response(HTTPStatus.METHOD_NOT_ALLOWED)
            self.send_header("Allow", "GET, HEAD")
            self.send_header("Content-Length", "0")
            # The body is not read; on a connection kept open it would be taken for the next request.
            self.send_header("Connection", "close")
            self.end_headers()

        do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _refuse  # noqa: N815

        def log_message(self, *_: Any) -> None:  # noqa: ANN401 - the signature is http.server's
            """Log no request: Prometheus sends one every few seconds."""

    return Handler
