"""A server that sends given bytes, whatever it is asked."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


class RawServer:
    """port: where it listens. received, sent: what all clients sent, and how many bytes they took."""

    def __init__(
        self, head: bytes | None, tail: Sequence[bytes], every: float, certificate: Path | None
    ) -> None:
        self.received = b""
        self.sent = 0
        self._pieces = None if head is None else [head, *tail]
        self._every = every
        self._context = None
        if certificate:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate / "server.pem", certificate / "server.key")
        self._closing = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._run, daemon=True).start()

    def close(self) -> None:
        self._closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _run(self) -> None:
        with contextlib.suppress(OSError):  # the test has ended
            while True:
                client, _ = self._listener.accept()
                with client, contextlib.suppress(OSError):  # the client has gone
                    self._serve(client)

    def _serve(self, client: socket.socket) -> None:
        if self._context:
            client = self._context.wrap_socket(client, server_side=True)
        with client:
            self.received += client.recv(4096) if self._pieces else b""
            for piece in self._pieces or ():
                client.sendall(piece)
                self.sent += len(piece)
                if self._every and self._closing.wait(self._every):
                    return


@contextmanager
def answering(
    head: bytes | None, tail: Sequence[bytes] = (), *, every: float = 0.0, certificate: Path | None = None
) -> Iterator[RawServer]:
    """Every client is sent `head` and `tail`, with a pause of `every` seconds, and left; None: left at once.

    certificate: folder of that of a server that speaks TLS.
    """
    server = RawServer(head, tail, every, certificate)
    try:
        yield server
    finally:
        server.close()
