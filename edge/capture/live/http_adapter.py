"""How `requests` talks to a camera: bounded in time and size, and to one certificate where one is given."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

_OK = 200


class BoundedAdapter(HTTPAdapter):
    """Takes the certificate of one fingerprint only, where one is given; leaves unread what is no picture."""

    def __init__(self, fingerprint: str = "") -> None:
        self._fingerprint = fingerprint or None
        super().__init__(pool_connections=1, pool_maxsize=1)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **more: Any) -> None:  # noqa: ANN401 - as it is there
        super().init_poolmanager(connections, maxsize, block, assert_fingerprint=self._fingerprint, **more)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}

    def send(self, *arguments: Any, **more: Any) -> requests.Response:  # noqa: ANN401 - as it is there
        """`requests` would read the body of a challenge or a redirect, whatever its size."""
        answer = super().send(*arguments, **more)
        if answer.status_code != _OK and answer.raw.length_remaining != 0:
            answer.close()
        return answer


class _Connection(HTTPConnection):
    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]  # as it is there
        return _in_time(self, super().getresponse)


class _SecureConnection(HTTPSConnection):
    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]  # as it is there
        return _in_time(self, super().getresponse)


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


def _in_time(connection: HTTPConnection, receive: Callable[[], urllib3.HTTPResponse]) -> urllib3.HTTPResponse:
    """The head of an answer. Raises TimeoutError if it comes too late: sockets wait that long for a byte."""
    late, peer = threading.Event(), connection.sock

    def end() -> None:
        late.set()
        with suppress(OSError):  # it has ended by itself
            socket.socket.shutdown(peer, socket.SHUT_RDWR)  # not the one of TLS, which is in use

    timer = threading.Timer(connection.timeout or 0, end)
    timer.daemon = True
    timer.start()
    answer = None
    try:
        answer = receive()
    except (OSError, HTTPException):
        if not late.is_set():
            raise
    finally:
        timer.cancel()
    if answer is None or late.is_set():
        raise TimeoutError
    return answer
