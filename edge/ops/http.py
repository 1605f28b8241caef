"""Is the daemon getting on? Heartbeats of its threads, systemd's readiness and watchdog, and `/healthz`."""

from __future__ import annotations

import logging
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from edge.errors import ConfigurationError

log = logging.getLogger(__name__)

SERVER = "instore"
"""What the HTTP server calls itself: `check` knows a running daemon by it."""

Page = Callable[[], tuple[HTTPStatus, str, bytes]]
"""Makes one page: status, content type, body."""


class HttpServer:
    """Serves a few pages over HTTP, in a thread of its own; GET and HEAD only."""

    def __init__(self, host: str, port: int, pages: Mapping[str, Page]) -> None:
        """Bind at once. Raises ConfigurationError when the port is taken or the host is not ours."""
        try:
            self._server = _Server(host, port, _handler(pages))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ConfigurationError(
                f"metrics.host = {host!r}, metrics.port = {port}: cannot listen there: {reason}; "
                "name a free port, or 0 for any"
            ) from None
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="http", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more, and give the port back."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # A second daemon on the same port must fail, not share it.
    allow_reuse_port = False

    def __init__(self, host: str, port: int, handler: type[BaseHTTPRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), handler)

    def server_bind(self) -> None:
        # HTTPServer's own asks DNS for a name that nobody uses: seconds where there is no network.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - socketserver's signature
        """A reader that went away is nothing; anything else is a fault of a page."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            log.error("http: a page cannot be made", exc_info=error)


def _handler(pages: Mapping[str, Page]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10
        server_version = SERVER
        sys_version = ""

        def do_GET(self) -> None:
            page = pages.get(self.path.partition("?")[0])
            if page is None:
                self.send_error(HTTPStatus.NOT_FOUND, explain=f"There is {', '.join(sorted(pages))}.")
                return
            status, kind, body = page()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 - the name is http.server's

        def _refuse(self) -> None:
            self.send_response(HTTPStatus.METHOD_NOT_ALLOWED)
            self.send_header("Allow", "GET, HEAD")
            self.send_header("Content-Length", "0")
            # A body that nobody reads would be taken for the next request.
            self.send_header("Connection", "close")
            self.end_headers()

        do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _refuse  # noqa: N815

        def log_message(self, *_: Any) -> None:  # noqa: ANN401 - the signature is http.server's
            """A scrape every few seconds is no news."""

    return Handler
