"""A web server that takes webhooks as a script says, and keeps what came."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.patience import PATIENCE


@dataclass(frozen=True, slots=True)
class Post:
    """One request: its headers by their names in small letters, and its body."""

    path: str
    headers: dict[str, str]
    body: bytes
    status: int


class HookServer:
    """Answers each request with the next status of `statuses`, and with 204 after them.

    tls: a folder with server.pem and server.key. A status of 0 hangs up without an answer. headers: of each
    answer.
    """

    def __init__(
        self, statuses: Iterable[int] = (), *, tls: Path | None = None, headers: dict[str, str] | None = None
    ) -> None:
        self.posts: list[Post] = []
        self._statuses = list(statuses)
        self._headers = headers or {}
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls / "server.pem", tls / "server.key")
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}/hook"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def accepted(self) -> list[bytes]:
        """The bodies that were answered with 2xx, in order."""
        with self._changed:
            return [post.body for post in self.posts if 200 <= post.status < 300]

    def wait_for(self, predicate: Callable[[list[Post]], bool]) -> list[Post]:
        """Wait until the requests so far fulfil `predicate`."""
        with self._changed:
            assert self._changed.wait_for(lambda: predicate(self.posts), PATIENCE), self.posts[-3:]
            return list(self.posts)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                status = outer._note(self.path, headers, body)
                if status == 0:
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in {**outer._headers, "content-length": "0"}.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, format: str, *arguments: object) -> None:
                """Say nothing."""

        return Handler

    def _note(self, path: str, headers: dict[str, str], body: bytes) -> int:
        with self._changed:
            status = self._statuses.pop(0) if self._statuses else 204
            self.posts.append(Post(path, headers, body, status))
            self._changed.notify_all()
            return status
