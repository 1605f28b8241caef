"""A small HTTP proxy that opens tunnels by CONNECT."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress

from tests.loopback import LoopbackServer


class ConnectProxy(LoopbackServer):
    """Listens on a free loopback port. authorization: the header's value that a client has to send, if any.

    Its answer comes in two pieces, as those of many proxies do. targets: what clients asked for.
    """

    def __init__(self, authorization: str = "") -> None:
        super().__init__()
        self.targets: list[str] = []
        self._authorization = authorization

    def talk(self, client: socket.socket) -> None:
        request = client.makefile("rb").read1().decode()
        method, target, _ = request.partition("\r\n")[0].split(" ")
        assert method == "CONNECT"
        self.targets.append(target)
        if self._authorization and f"Proxy-Authorization: {self._authorization}\r\n" not in request:
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            client.close()
            return
        host, _, port = target.rpartition(":")
        server = socket.create_connection((host, int(port)))
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sendall(b"HTTP/1.1 200 Connection established\r\n")
        time.sleep(0.05)
        client.sendall(b"Via: 1.1 test\r\n\r\n")
        threading.Thread(target=_pump, args=(server, client), daemon=True).start()
        _pump(client, server)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(4096):
            sink.sendall(data)
    for sock in (source, sink):
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
