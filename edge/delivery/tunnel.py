"""A TCP connection through an HTTP proxy, by CONNECT (RFC 9110, 9.3.6).

paho's own way needs PySocks, which reads the proxy's first line only: header lines that come later are then
taken for the broker's.
"""

from __future__ import annotations

import base64
import socket
from contextlib import ExitStack
from dataclasses import dataclass, field

from edge.clock import Clock
from edge.config.fields import host_and_port

_LARGEST = 16_384
"""Bytes of a proxy's answer."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy, and the credentials for it. user: empty where it asks for none."""

    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)

    @property
    def name(self) -> str:
        """For messages."""
        return f"the proxy {host_and_port(self.host, self.port)}"


def open_tunnel(proxy: Proxy, host: str, port: int, within: float, clock: Clock) -> socket.socket:
    """A connection to `host` that the proxy has opened, within so many seconds. Raises OSError."""
    until = clock.monotonic() + within
    try:
        sock = socket.create_connection((proxy.host, proxy.port), timeout=within)
    except OSError as error:
        raise ConnectionError(f"{proxy.name}: {error.strerror or error}") from error
    with ExitStack() as failed:
        failed.callback(sock.close)
        sock.sendall(_request(proxy, host_and_port(host, port)))
        _expect_success(proxy, _answer(proxy, sock, until, clock))
        failed.pop_all()  # the caller closes it
    return sock


def _request(proxy: Proxy, target: str) -> bytes:
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.user:
        credentials = base64.b64encode(f"{proxy.user}:{proxy.password}".encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {credentials}")
    return "\r\n".join([*lines, "", ""]).encode()


def _answer(proxy: Proxy, sock: socket.socket, until: float, clock: Clock) -> bytes:
    """The proxy's answer up to the empty line, and no byte of what follows it."""
    answer = bytearray()
    while not answer.endswith(b"\r\n\r\n"):
        if clock.monotonic() >= until:
            raise TimeoutError(f"{proxy.name} did not answer in time")
        byte = sock.recv(1)
        if not byte or len(answer) >= _LARGEST:
            raise ConnectionError(f"{proxy.name} closed the connection or sent no HTTP")
        answer += byte
    return bytes(answer)


def _expect_success(proxy: Proxy, answer: bytes) -> None:
    version, _, status = answer.partition(b"\r\n")[0].decode("ascii", "replace").partition(" ")
    if not version.startswith("HTTP/1."):
        raise ConnectionError(f"{proxy.name} sent no HTTP")
    if not status.startswith("2"):
        raise ConnectionError(f"{proxy.name} refuses: {status[:100].strip()}")
