"""TLS to cameras: a connection that neither side can block."""

from __future__ import annotations

import select
import socket
import ssl
import threading
from pathlib import Path

from edge.capture.live.tls import Trust, pass_on
from tests.patience import PATIENCE


def test_a_ticket_of_tls_does_not_keep_the_request_waiting(certificate: Path) -> None:
    """A server of TLS 1.3 sends it before anything is asked; FFmpeg's request must go out all the same."""
    here, there = socket.socketpair()
    ffmpeg, plain = socket.socketpair()
    got: list[bytes] = []

    def camera() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate / "server.pem", certificate / "server.key")
        with context.wrap_socket(there, server_side=True) as secure:
            got.append(secure.recv(100))

    thread = threading.Thread(target=camera, daemon=True)
    thread.start()
    here.settimeout(PATIENCE / 10)
    with ffmpeg, plain, Trust(insecure=True).context().wrap_socket(here) as secure:
        assert select.select([secure], [], [], PATIENCE)[0]
        assert pass_on(plain, secure)
        ffmpeg.sendall(b"DESCRIBE")
        assert pass_on(plain, secure)
        thread.join(PATIENCE)
    assert got == [b"DESCRIBE"]
