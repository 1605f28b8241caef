"""An HTTP camera for tests that answers as it is told, over kept connections, with TLS if asked for."""

from __future__ import annotations

import hashlib
import re
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

REALM, NONCE = "camera", "dcd98b7102dd2f0e8b11d0f600bfb0c093"


@dataclass
class Answer:
    """What is sent for a request."""

    body: bytes = b""
    kind: str = "image/jpeg"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    sized: bool = True
    """With its length; otherwise it ends with the connection."""


class WebCamera:
    """Calls `answer` with the headers of each request that is let in.

    digest: user name and password that a client must show. certificate: its file and that of its key.
    requests and connections count those that came.
    """

    def __init__(
        self,
        answer: Callable[[Mapping[str, str]], Answer],
        *,
        digest: tuple[str, str] | None = None,
        algorithm: str = "MD5",
        certificate: tuple[Path, Path] | None = None,
    ) -> None:
        self.answer = answer
        self.digest = digest
        self.algorithm = algorithm
        self.requests = 0
        self.connections = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self._scheme = "https"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}/snapshot.jpg?channel=1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler_of(camera: WebCamera) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            camera.connections += 1
            super().setup()

        def do_GET(self) -> None:
            camera.requests += 1
            if camera.digest and not _is_let_in(
                camera.digest, camera.algorithm, self.headers.get("Authorization", "")
            ):
                challenge = (
                    f'Digest realm="{REALM}", nonce="{NONCE}", qop="auth", algorithm={camera.algorithm}'
                )
                return self._send(Answer(status=401, headers={"WWW-Authenticate": challenge}))
            return self._send(camera.answer(dict(self.headers)))

        def _send(self, answer: Answer) -> None:
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.kind)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.sized:
                self.send_header("Content-Length", str(len(answer.body)))
            else:
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *arguments: Any) -> None:
            """Tests say what went wrong themselves."""

    return Handler


def _is_let_in(digest: tuple[str, str], algorithm: str, shown: str) -> bool:
    """RFC 7616, 3.4.1."""

    def hashed(text: str) -> str:
        return hashlib.new(algorithm.replace("-", ""), text.encode(), usedforsecurity=False).hexdigest()

    given = dict(re.findall(r'(\w+)="?([^",]+)"?', shown))
    user, password = digest
    if given.get("username") != user or given.get("nonce") != NONCE:
        return False
    one = hashed(f"{user}:{REALM}:{password}")
    two = hashed(f"GET:{given['uri']}")
    return given["response"] == hashed(f"{one}:{NONCE}:{given['nc']}:{given['cnonce']}:auth:{two}")
