"""An HTTP camera for tests: multipart JPEGs on a loopback port, whole, corrupt, or none at all any more."""

from __future__ import annotations

import base64
import contextlib
import itertools
import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import cv2

from edge.types import Image
from tests.patience import PATIENCE

_BOUNDARY = "frame"


def jpeg(image: Image) -> bytes:
    """A picture as the camera sends it."""
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])
    return data.tobytes()


class MjpegServer:
    """Gives every client the same JPEGs, then ends the stream or keeps it silent.

    every: seconds between two JPEGs; without, as fast as the client reads. loop: begin anew after the last.
    hang: after the last the connection stays open and nothing comes until the server is closed.
    credentials: user name and password that a client must show (Basic).
    """

    def __init__(
        self,
        frames: Iterable[bytes],
        *,
        hang: bool = False,
        credentials: tuple[str, str] | None = None,
        every: float = 0.0,
        loop: bool = False,
    ) -> None:
        self.frames = list(frames)
        self.hang = hang
        self.every = every
        self.loop = loop
        self.authorization = _basic(credentials) if credentials else None
        self.clients = 0
        self._served: list[threading.Thread] = []
        self.closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/video"

    def begins(self) -> None:
        """The calling thread serves a client."""
        self.clients += 1
        self._served.append(threading.current_thread())

    def wait_until_idle(self) -> None:
        """Until every client that came so far has gone, and its thread and socket with it."""
        while self._served:
            self._served.pop().join(PATIENCE)

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _basic(credentials: tuple[str, str]) -> str:
    return "Basic " + base64.b64encode(":".join(credentials).encode()).decode()


def _handler_of(camera: MjpegServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if camera.authorization and self.headers["Authorization"] != camera.authorization:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="camera"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            camera.begins()
            self.send_response(200)
            self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
            self.end_headers()
            with contextlib.suppress(OSError):  # the client has gone
                self._stream()

        def _stream(self) -> None:
            for frame in itertools.cycle(camera.frames) if camera.loop else camera.frames:
                head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(frame)}\r\n\r\n"
                self.wfile.write(head.encode() + frame + b"\r\n")
                if camera.every and camera.closing.wait(camera.every):
                    return
            if camera.hang:
                camera.closing.wait()

        def log_message(self, *arguments: Any) -> None:
            """Tests say what went wrong themselves."""

    return Handler
