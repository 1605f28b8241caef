"""Finds credentials in texts and masks them before a person or a log sees them."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, quote, urlsplit

_WORD = re.compile(r"\S+")
_BEGINS_AS_URL = re.compile(r"[a-z][a-z0-9+.-]*:/|(?:rtsps?|https?|mqtts?|wss?):", re.IGNORECASE)
_SHORTEST = 4  # characters: a shorter secret occurs in ordinary words
_secrets: set[str] = set()


def keep_secret(secret: str) -> None:
    """Mask this text, also percent-encoded, wherever `redact` finds it from now on."""
    if len(secret) >= _SHORTEST:
        _secrets.update({secret, quote(secret), quote(secret, safe="")})


def forget_secrets() -> None:
    """Forget all kept secrets: for tests, which share a process."""
    _secrets.clear()


def redact(text: str) -> str:
    """`text` with kept secrets and the credentials of URLs masked.

    All up to the last `@` is masked: a password that was not encoded may contain `/`, `?` or `@` itself.
    """
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return _WORD.sub(lambda word: redact_urls(word[0]), text)


def redact_value(value: str) -> str:
    """Like `redact`, of one value: a password in it may hold spaces, and a mistyped URL is masked whole."""
    return "***" if is_mistyped_url(value) else redact_urls(value)


def redact_urls(text: str) -> str:
    """All from the first URL's start to the last `@` masked: of values whose passwords may hold spaces."""
    begin, end = text.find("://") + 3, text.rfind("@")
    return f"{text[:begin]}***{text[end:]}" if 3 <= begin <= end else text


def without_path(text: str) -> str:
    """A URL with all behind its host and port masked: some servers take passwords in path or query."""
    parts = urlsplit(text)
    masked = parts.path.strip("/") or parts.query or parts.fragment
    return f"{parts.scheme}://{parts.netloc}/***" if "://" in text and masked else text


def is_mistyped_url(text: str) -> bool:
    """Whether a value would be read as a file but was meant as a URL, which may hold a password.

    Examples: `rtsp:/u:p@host`, `u:p@host/x`, `rtsp:host`; a file with such a name is written
    `./12:30@door.mp4`.
    """
    if "://" in text or text.startswith((".", "~")) or (text.startswith("/") and not text.startswith("//")):
        return False
    return 0 <= text.find(":") < text.rfind("@") or _BEGINS_AS_URL.match(text) is not None


def holds_credentials(url: SplitResult) -> bool:
    """Whether the URL holds a user or a password, also one that should have been percent-encoded."""
    if "@" in url.netloc:
        return True
    # A password that holds a `/`, `?` or `#` ends the authority early: then the port is not a number,
    # or no path follows it.
    port = url.netloc.rpartition("]")[2].partition(":")[2]
    cut_short = bool(port) and not (port.isdigit() and url.path)
    return cut_short and "@" in f"{url.path}{url.query}{url.fragment}"
