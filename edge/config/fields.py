"""What the tables of the configuration share: the table itself, and kinds of fields."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from edge.config.redaction import holds_credentials

DAY = 86_400

_SEPARATORS = re.compile(r"[/+#]")
_LEVEL = "no '/', '+', '#' or control character, no '$' first"


class Section(BaseModel):
    """A table of the TOML file: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


def _topic_level(name: str) -> str:
    if not is_topic_level(name):
        raise ValueError(f"must be one MQTT topic level: 1 to 64 bytes, {_LEVEL}")
    return name


def is_topic_level(name: str) -> bool:
    """Whether this is 1 to 64 bytes of one level of an MQTT topic, without wildcards."""
    return (
        not (is_unfit(name) or name.startswith("$") or _SEPARATORS.search(name))
        and 0 < len(name.encode()) <= 64
    )


def is_unfit(text: str) -> bool:
    """Whether it holds a character for which a broker may close the connection (MQTT 5, 1.5.4).

    Control characters, such as the dash of Windows-1252 read as Latin-1, those that Unicode keeps for
    programs, halves of characters, and separators of lines.
    """
    return any(
        unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
        or 0xFDD0 <= ord(character) <= 0xFDEF
        or ord(character) & 0xFFFE == 0xFFFE
        for character in text
    )


def host_name(name: str) -> str:
    """A validator: the name or address of a host alone."""
    if not name or re.search(r"[/@\s]", name) or (re.search(r"[:\[\]]", name) and not _is_ipv6(name)):
        raise ValueError(
            "must be a host's name or address alone, IPv6 without brackets: port, user and TLS have keys of "
            "their own"
        )
    return name


def split_url(url: str, instead: str) -> SplitResult:
    """The parts of a URL. Raises ValueError where its port is none, or where it holds credentials.

    instead: what takes the place of these. No text of an error holds a part of the URL.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:  # its message repeats the text in the port's place, which may be a password
        raise ValueError("must be a URL with a port from 1 to 65535") from None
    if holds_credentials(parts):
        raise ValueError(f"holds credentials: {instead}")
    return parts


def is_address(host: str) -> bool:
    """Whether a host is named by its IP address, IPv6 without brackets."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_ipv6(address: str) -> bool:
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        return False
    return True


def host_and_port(host: str, port: int) -> str:
    """For URLs and messages: an IPv6 address gets brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


TopicLevel = Annotated[str, AfterValidator(_topic_level)]
Host = Annotated[str, AfterValidator(host_name)]
Seconds = Annotated[float, Field(gt=0, le=DAY, allow_inf_nan=False)]
