"""TLS in front of a test camera that has none."""

from __future__ import annotations

import hashlib
import socket
import ssl
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from edge.capture.live.tls import pass_on


def fingerprint_of(certificate: Path) -> str:
    """SHA-256 of a certificate's file, as the setting of that name."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.read_text())).hexdigest()


class TlsFront:
    """Takes TLS connections on a free loopback port and passes what comes on to `target`."""

    def __init__(self, target: tuple[str, int], certificate: Path, key: Path) -> None:
        self._target = target
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # the test has ended
                return
            threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        try:
            with (
                client,
                self._context.wrap_socket(client, server_side=True) as secure,
                socket.create_connection(self._target) as plain,
            ):
                while pass_on(plain, secure):
                    pass
        except OSError:  # a client that does not speak TLS, or one that has gone
            return
