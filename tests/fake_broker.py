"""A scripted MQTT broker: withholds acknowledgements, refuses connections, hangs up in the middle.

It speaks as much of MQTT 3.1.1 and 5 (OASIS standards) as a publisher needs, and says what it heard.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.patience import PATIENCE

SUCCESS = 0x00
NOT_AUTHORIZED = 0x87

_CONNECT, _CONNACK, _PUBLISH, _PUBACK = 1, 2, 3, 4
_PINGREQ, _PINGRESP, _DISCONNECT = 12, 13, 14


class HangUp(Exception):  # noqa: N818 - raised by a script: an order, not a fault
    """A script raises it: the broker closes the socket."""


class Farewell(Exception):  # noqa: N818 - as HangUp
    """A script raises it: the broker sends DISCONNECT with this reason code, and closes the socket."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Heard:
    """A PUBLISH that arrived on the connection of this number (from 1)."""

    connection: int
    topic: str
    payload: bytes
    retain: bool
    duplicate: bool


Script = Callable[[Heard], int | None]
"""Answers a PUBLISH with the reason code of its PUBACK; None withholds it; it may raise HangUp."""


class FakeBroker:
    """Listens on a free loopback port. `connack` and `script` may be changed while it runs.

    connack: the code that answers a CONNECT; None never answers. connack_properties: of MQTT 5, packed.
    as_old: answer as a broker that has never heard of MQTT 5.
    """

    def __init__(self, script: Script | None = None, connack: int | None = SUCCESS) -> None:
        self.script: Script = script or (lambda _: SUCCESS)
        self.connack = connack
        self.connack_properties = b""
        self.as_old = False
        self.heard: list[Heard] = []
        self.levels: list[int] = []
        self.goodbyes = self.pings = 0
        self._changed = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host, self.port = self._listener.getsockname()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._peer: socket.socket | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the fake broker did not end"

    def hang_up(self) -> None:
        """Close the connection that is open just now, from another thread."""
        peer = self._peer
        if peer is not None:
            with suppress(OSError):  # the client was faster
                peer.shutdown(socket.SHUT_RDWR)

    def wait_for(self, predicate: Callable[[FakeBroker], bool]) -> None:
        """Wait until what was heard fulfils `predicate`."""
        with self._changed:
            fulfilled = self._changed.wait_for(lambda: predicate(self), PATIENCE)
        assert fulfilled, f"not fulfilled after {len(self.levels)} connections by {self.heard[-5:]}"

    def payloads(self, topic: str, connection: int | None = None) -> list[bytes]:
        """What was heard on a topic, on one connection or on all."""
        with self._changed:
            return [h.payload for h in self.heard if h.topic == topic and connection in (None, h.connection)]

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return  # closed: the end
            with peer:
                self._peer = peer
                with suppress(HangUp, OSError, EOFError):  # the next client may come
                    self._converse(peer)

    def _converse(self, peer: socket.socket) -> None:
        level = 0
        while True:
            header, body = _receive(peer)
            kind = header >> 4
            if kind == _CONNECT:
                level = body[2 + len("MQTT")]
                self._note(lambda level=level: self.levels.append(level))
                self._answer_connect(peer, level)
            elif kind == _PUBLISH:
                self._answer_publish(peer, header, body, level)
            elif kind == _PINGREQ:
                self._note(self._count_ping)
                _send(peer, _PINGRESP << 4, b"")
            elif kind == _DISCONNECT:
                self._note(self._count_goodbye)
                raise HangUp

    def _answer_connect(self, peer: socket.socket, level: int) -> None:
        if self.connack is None:
            return
        body = bytes([0, self.connack])
        if level == 5 and not self.as_old:
            body += bytes([len(self.connack_properties)]) + self.connack_properties
        _send(peer, _CONNACK << 4, body)
        if self.connack:
            raise HangUp

    def _answer_publish(self, peer: socket.socket, header: int, body: bytes, level: int) -> None:
        message_id, heard = _parse_publish(header, body, level, len(self.levels))
        self._note(lambda: self.heard.append(heard))
        try:
            reason = self.script(heard)
        except Farewell as farewell:
            _send(peer, _DISCONNECT << 4, bytes([farewell.code, 0]))
            peer.shutdown(socket.SHUT_WR)
            while peer.recv(4096):
                pass  # closing a socket with unread data would reset it, and take DISCONNECT with it
            raise HangUp from None
        if reason is not None:
            _send(peer, _PUBACK << 4, message_id + (bytes([reason, 0]) if level == 5 and reason else b""))

    def _count_ping(self) -> None:
        self.pings += 1

    def _count_goodbye(self) -> None:
        self.goodbyes += 1

    def _note(self, change: Callable[[], None]) -> None:
        with self._changed:
            change()
            self._changed.notify_all()


def _parse_publish(header: int, body: bytes, level: int, connection: int) -> tuple[bytes, Heard]:
    (length,) = struct.unpack_from("!H", body)
    topic, rest = body[2 : 2 + length].decode(), body[2 + length :]
    message_id, payload = rest[:2], rest[2:]
    if level == 5:
        payload = payload[1 + payload[0] :]  # properties of fewer than 128 bytes
    return message_id, Heard(connection, topic, payload, bool(header & 1), bool(header & 8))


def _receive(peer: socket.socket) -> tuple[int, bytes]:
    header = _exactly(peer, 1)[0]
    length, shift = 0, 0
    while True:
        byte = _exactly(peer, 1)[0]
        length |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return header, _exactly(peer, length)


def _exactly(peer: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        chunk = peer.recv(count - len(data))
        if not chunk:
            raise EOFError
        data += chunk
    return data


def _send(peer: socket.socket, header: int, body: bytes) -> None:
    assert len(body) < 128
    peer.sendall(bytes([header, len(body)]) + body)
