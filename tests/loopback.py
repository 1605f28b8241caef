"""A TCP server of a test, on a free port of the loopback interface."""

from __future__ import annotations

import socket
import threading
from abc import ABC, abstractmethod
from contextlib import suppress
from types import TracebackType
from typing import Self


class LoopbackServer(ABC):
    """Talks to each client in a thread of its own, until the `with` block ends."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host, self.port = self._listener.getsockname()

    @abstractmethod
    def talk(self, client: socket.socket) -> None:
        """Serve one client; an OSError means that it has gone."""

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # the test has ended
                return
            threading.Thread(target=self._talk_to, args=(client,), daemon=True).start()

    def _talk_to(self, client: socket.socket) -> None:
        with suppress(OSError):
            self.talk(client)
