"""The addresses of cameras: what may be shown of them, and with credentials."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urlsplit, urlunsplit

DEFAULT_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
"""The allowed schemes, and the port of each if the URL names none."""

Credentials = tuple[str, str] | None
"""User name and password."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: for the connection, and until a picture comes."""

    open: float
    read: float


def public_name(url: str) -> str:
    """Scheme, host and port of a URL, which may be logged. Some cameras take passwords in path or query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def host_and_port(url: str) -> tuple[str, int]:
    """Where to connect."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme]


def with_credentials(url: str, credentials: Credentials) -> str:
    """The URL with user name and password, percent-encoded (RFC 3986, 3.2.1)."""
    if credentials is None:
        return url
    parts = urlsplit(url)
    user = ":".join(quote(part, safe="") for part in credentials)
    return urlunsplit(parts._replace(netloc=f"{user}@{parts.netloc}"))
