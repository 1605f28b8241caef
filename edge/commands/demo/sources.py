"""The demo's camera and broker: named at the command line, or its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from edge.commands.demo.broker import Broker
from edge.config import MqttSettings
from edge.config.redaction import holds_credentials, is_mistyped_url, redact_value
from edge.errors import ConfigurationError


def named_camera(source: str, folder: Path) -> dict[str, Any]:
    """The table of the user's camera. A password in its URL goes into a secret file in `folder`.

    Raises ConfigurationError on a source that does not exist or a URL that cannot be read.
    """
    if "://" in source:
        bare, credentials = _without_credentials("--source", source, folder / "camera-password")
        return {"name": "camera", "source": bare, **credentials}
    if source.isdecimal():
        return {"name": "camera", "source": source}
    if not Path(source).exists():
        hint = "; a URL is scheme://host/path" if is_mistyped_url(source) else ""
        raise ConfigurationError(
            f"--source {redact_value(source)}: there is no such device, file or folder{hint}"
        )
    # A path at the command line starts from the current folder, not from the configuration's.
    return {"name": "camera", "source": str(Path(source).absolute())}


def own_broker(broker: Broker) -> dict[str, Any]:
    """The table of the demo's broker: every key, so that none is left from the user's configuration."""
    return MqttSettings(host=broker.host, port=broker.port, protocol=broker.protocol).model_dump()


def named_broker(url: str, folder: Path) -> dict[str, Any]:
    """The keys of the user's broker that its URL sets; the others come from the configuration.

    Raises ConfigurationError on a URL that cannot be read.
    """
    full = url if "://" in url else f"mqtt://{url}"
    bare, credentials = _without_credentials("--broker", full, folder / "mqtt-password")
    parts = urlsplit(bare)
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname or parts.path.strip("/"):
        raise ConfigurationError(
            f"--broker {redact_value(url)}: not a broker's URL; allowed: mqtt://host[:port] or mqtts://"
        )
    table: dict[str, Any] = {"url": "", "failover": [], "host": parts.hostname, **credentials}
    if parts.scheme == "mqtts":
        table |= {"tls": True, "port": 8883}
    if parts.port is not None:
        table["port"] = parts.port
    return table


def _without_credentials(option: str, url: str, secret: Path) -> tuple[str, dict[str, str]]:
    """The URL without credentials, and the keys that set them; a password is written to the file `secret`."""
    try:
        parts = urlsplit(url)
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2])
        cut_short = holds_credentials(bare)
        _ = parts.port if not cut_short else None
    except ValueError:  # its message repeats the text in the port's place, which may be a password
        raise ConfigurationError(
            f"{option} {redact_value(url)}: not a URL; allowed: scheme://host[:port], the port at most 65535"
        ) from None
    if cut_short:
        raise ConfigurationError(
            f"{option} {redact_value(url)}: '#', '/' and '?' in a password must be percent-encoded: "
            "%23, %2F and %3F"
        )
    if parts.username is None:
        return urlunsplit(bare), {}
    user, password = unquote(parts.username), unquote(parts.password or "")
    if password:
        secret.touch(mode=0o600)
        secret.write_text(password, encoding="utf-8")
    return urlunsplit(bare), {"username": user, "password_file": str(secret) if password else ""}
