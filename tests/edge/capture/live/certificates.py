"""TLS in front of a test camera that has none."""

from __future__ import annotations

import hashlib
import socket
import ssl
from pathlib import Path

from edge.capture.live.tls import pass_on
from tests.loopback import LoopbackServer


def fingerprint_of(certificate: Path) -> str:
    """SHA-256 of a certificate's file, as the setting of that name."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.read_text())).hexdigest()


class TlsFront(LoopbackServer):
    """Takes TLS connections on a free loopback port and passes what comes on to `target`."""

    def __init__(self, target: tuple[str, int], certificate: Path, key: Path) -> None:
        super().__init__()
        self._target = target
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)

    def talk(self, client: socket.socket) -> None:
        with (
            client,
            self._context.wrap_socket(client, server_side=True) as secure,
            socket.create_connection(self._target) as plain,
        ):
            while pass_on(plain, secure):
                pass
