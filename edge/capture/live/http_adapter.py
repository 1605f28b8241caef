"""How `requests` talks to a camera: bounded in time and size, and to one certificate where one is given."""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

from edge.clock import ended_after

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
        return _head_of(self, super().getresponse)


class _SecureConnection(HTTPSConnection):
    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]  # as it is there
        return _head_of(self, super().getresponse)


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


def _head_of(connection: HTTPConnection, receive: Callable[[], urllib3.HTTPResponse]) -> urllib3.HTTPResponse:
    end = partial(
        socket.socket.shutdown, connection.sock, socket.SHUT_RDWR
    )  # that of TLS disturbs the reader
    with ended_after(connection.timeout or 0, end):
        return receive()
