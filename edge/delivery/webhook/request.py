"""One signed POST request, after Standard Webhooks (version 1).

Headers: `webhook-id`, the same for the same message however often it is sent; `webhook-timestamp`, seconds
since 1970; `webhook-signature`, `v1,` and the HMAC-SHA256 in base64 over `id.timestamp.body`; and
`instore-topic`, percent-encoded.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from urllib.parse import quote, urlsplit

from edge import __version__
from edge.clock import Clock, ended_after
from edge.config import WebhookSettings, read_secret
from edge.config.fields import host_and_port
from edge.delivery.access import tls_context
from edge.errors import ConfigurationError, OutsideError
from edge.ops.reasons import WebhookFailure

_SHORTEST = 16
"""Bytes of a secret; Standard Webhooks recommends 24 to 64."""
_READ = 4096
"""Bytes of an answer that are read at most."""
_OF_THE_MESSAGE = (400, 413, 422)


class WebhookError(OutsideError):
    """A message was not delivered. retry_after: seconds that the server asks for."""

    def __init__(self, kind: WebhookFailure, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.kind = kind
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Hook:
    """The server's address and our secret, read and checked. tls: None for http."""

    host: str
    port: int
    path: str
    tls: ssl.SSLContext | None
    timeout: float
    secret: bytes = field(repr=False)

    @property
    def name(self) -> str:
        """The server, for messages: its path may be a secret."""
        return f"http{'s' if self.tls else ''}://{host_and_port(self.host, self.port)}"


def read_hook(settings: WebhookSettings, beside: Path) -> Hook:
    """Read the secret and the certificates, opening no connection. Raises ConfigurationError."""
    parts = urlsplit(settings.url)
    encrypted = parts.scheme == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    tls = tls_context("webhook.ca_file", settings.ca_file, beside) if encrypted else None
    port = parts.port or (443 if encrypted else 80)
    return Hook(
        parts.hostname or "", port, path, tls, settings.timeout, _secret(settings.secret_file, beside)
    )


def _secret(name: str, beside: Path) -> bytes:
    """The key: after `whsec_` in base64, else the text as it is."""
    text = read_secret("webhook.secret_file", name, beside)
    encoded = text.startswith("whsec_")
    try:
        key = base64.b64decode(text.removeprefix("whsec_"), validate=True) if encoded else text.encode()
    except binascii.Error:
        raise ConfigurationError(
            f"webhook.secret_file = {name!r}: what follows whsec_ is not base64; allowed: whsec_ and base64, "
            "or a text without it"
        ) from None
    if len(key) < _SHORTEST:
        raise ConfigurationError(
            f"webhook.secret_file = {name!r}: the secret is too short; allowed: at least {_SHORTEST} bytes"
        )
    return key


def headers(secret: bytes, message_id: str, topic: str, now: datetime, body: bytes) -> dict[str, str]:
    """The headers of a message that is sent now."""
    timestamp = str(int(now.timestamp()))
    signed = hmac.new(secret, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "content-type": "application/json",
        "user-agent": f"instore-edge/{__version__}",
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
        "instore-topic": quote(topic),
    }


class Poster:
    """Posts messages over one connection, which it opens when it is needed and closes after every fault."""

    def __init__(self, hook: Hook, clock: Clock) -> None:
        self._hook = hook
        self._clock = clock
        self._open: HTTPConnection | None = None

    def post(self, message_id: str, topic: str, body: bytes) -> None:
        """Deliver one message. Raises WebhookError; returns when the server has answered 2xx."""
        signed = headers(self._hook.secret, message_id, topic, self._clock.now(), body)
        with _as_webhook_errors():
            connection = self._open = self._open or connect(self._hook)
        try:
            with _as_webhook_errors(), ended_after(self._hook.timeout, partial(_hang_up, connection)):
                connection.request("POST", self._hook.path, body, signed)
                answer = connection.getresponse()
                excess = len(answer.read(_READ)) == _READ
        except WebhookError:
            self.close()
            raise
        if excess or answer.will_close:
            self.close()
        _expect_success(answer.status, answer.getheader("retry-after") or "")

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._open:
            self._open.close()
            self._open = None


def connect(hook: Hook) -> HTTPConnection:
    """A connection with its TLS; nothing is sent over it. Raises OSError."""
    connection = (
        HTTPSConnection(hook.host, hook.port, timeout=hook.timeout, context=hook.tls)
        if hook.tls
        else HTTPConnection(hook.host, hook.port, timeout=hook.timeout)
    )
    connection.connect()
    return connection


def _hang_up(connection: HTTPConnection) -> None:
    if (sock := connection.sock) is not None:  # it closes itself after some answers
        sock.shutdown(socket.SHUT_RDWR)


def reach(hook: Hook, clock: Clock) -> str:
    """Connect and post nothing; how the connection is secured, for a person. Raises WebhookError."""
    begun = clock.monotonic()
    with _as_webhook_errors():
        connection = connect(hook)
    took = 1000 * (clock.monotonic() - begun)
    secured = "no TLS"
    if isinstance(connection.sock, ssl.SSLSocket):
        until = ssl.cert_time_to_seconds(str((connection.sock.getpeercert() or {})["notAfter"]))
        valid = datetime.fromtimestamp(until, UTC).date().isoformat()
        secured = f"{connection.sock.version()}, its certificate is valid until {valid}"
    connection.close()
    return f"connected in {took:.0f} ms ({secured}); nothing was posted"


def _expect_success(status: int, retry_after: str) -> None:
    if 200 <= status < 300:
        return
    wait = float(retry_after) if retry_after.isdecimal() and len(retry_after) < 6 else 0.0
    kind = WebhookFailure.REJECTED if status in _OF_THE_MESSAGE else WebhookFailure.REFUSED
    hint = "; redirects are not followed" if 300 <= status < 400 else ""
    raise WebhookError(kind, f"answers with status {status}{hint}", wait)


@contextmanager
def _as_webhook_errors() -> Iterator[None]:
    try:
        yield
    except ssl.SSLError as error:
        why = getattr(error, "verify_message", "") or str(error.reason)
        raise WebhookError(WebhookFailure.TLS, f"TLS failed: {why}") from error
    except TimeoutError as error:
        raise WebhookError(WebhookFailure.TIMEOUT, "did not answer in time") from error
    except (OSError, HTTPException, UnicodeError) as error:  # UnicodeError: a host name that cannot be one
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise WebhookError(WebhookFailure.UNREACHABLE, f"cannot be reached: {why}") from error
