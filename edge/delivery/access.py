"""The broker's address and our credentials: passwords and certificates, read and checked."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path

from edge.config import MqttSettings, read_secret, secret_path
from edge.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class BrokerAccess:
    """The broker's address and our credentials, read and checked."""

    settings: MqttSettings
    tls: ssl.SSLContext | None
    password: str | None = field(repr=False)

    @property
    def name(self) -> str:
        """The broker's URL, for messages."""
        return f"mqtt{'s' if self.tls else ''}://{self.settings.address}"


def read_access(settings: MqttSettings, beside: Path) -> BrokerAccess:
    """Read the password and the certificates, opening no connection.

    Raises ConfigurationError that names the setting and the file.
    """
    password = None
    if settings.password_file:
        password = read_secret("mqtt.password_file", settings.password_file, beside)
    return BrokerAccess(settings, _tls(settings, beside) if settings.tls else None, password)


def _tls(settings: MqttSettings, beside: Path) -> ssl.SSLContext:
    """A context that checks the broker's certificate and name against `ca_file`, else the system's CAs."""
    try:
        ca = _readable("mqtt.ca_file", settings.ca_file, beside) if settings.ca_file else None
        context = ssl.create_default_context(cafile=ca)
    except ssl.SSLError:
        raise ConfigurationError(
            f"mqtt.ca_file = {settings.ca_file!r}: holds no certificate; must be a file of PEM certificates"
        ) from None
    if settings.cert_file:
        certificate = _readable("mqtt.cert_file", settings.cert_file, beside)
        key = _readable("mqtt.key_file", settings.key_file, beside)
        try:
            context.load_cert_chain(certificate, key, password="")  # never asks on a terminal
        except ssl.SSLError:
            raise ConfigurationError(
                f"mqtt.cert_file = {settings.cert_file!r}, mqtt.key_file = {settings.key_file!r}: "
                "certificate and key do not load; must be a PEM certificate and its key without a passphrase"
            ) from None
    return context


def _readable(key: str, name: str, beside: Path) -> Path:
    path = secret_path(name, beside)
    try:
        path.open("rb").close()
    except OSError as error:
        raise ConfigurationError(f"{key} = {name!r}: {path} cannot be read: {error.strerror}") from None
    return path
