"""A TCP proxy that cuts, delays and throttles, and lets connections go dead without a word."""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import suppress
from types import TracebackType

from tests.loopback import LoopbackServer

_CHUNK = 256
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, no time: close sends RST and throws away what waits


class Proxy(LoopbackServer):
    """Listens on a free loopback port and passes everything on to `host`, `port`.

    rate: bytes a second, each way, of every connection; None for no bound. delay: seconds that every chunk
    takes. Both may be changed while it runs. swallowed: something was sent on a forgotten connection.
    """

    def __init__(self, host: str, port: int, *, rate: float | None = None, delay: float = 0.0) -> None:
        super().__init__()
        self.rate = rate
        self.delay = delay
        self.connections = 0
        self._target = (host, port)
        self._guard = threading.Lock()
        self._open: set[socket.socket] = set()
        self._dead: set[socket.socket] = set()
        self.swallowed = threading.Event()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self.cut()

    def cut(self) -> None:
        """Reset every connection."""
        with self._guard:
            ended, self._open = self._open, set()
        for sock in ended:
            with suppress(OSError):  # it has ended by itself
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def forget(self) -> None:
        """Pass nothing more on of the connections there are, and close none: their ends are half-open."""
        with self._guard:
            self._dead |= self._open

    def talk(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._target, timeout=10)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        with self._guard:
            self.connections += 1
            self._open |= {client, server}
        for source, sink in ((client, server), (server, client)):
            threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(_CHUNK):
                time.sleep(self.delay + (len(data) / self.rate if self.rate else 0.0))
                if source in self._dead:
                    self.swallowed.set()
                else:
                    sink.sendall(data)
        if source in self._dead:
            return  # and the other side never hears of it
        for sock in (source, sink):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
