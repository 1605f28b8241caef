"""The broker's address and our credentials: passwords and certificates, read and checked."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from edge.config import Broker, MqttSettings, read_secret, secret_path
from edge.config.mqtt import parse_proxy
from edge.delivery.tunnel import Proxy
from edge.errors import ConfigurationError
from edge.files import is_waited_for


@dataclass(frozen=True, slots=True)
class BrokerAccess:
    """One broker's address and our credentials for all of them, read and checked."""

    settings: MqttSettings
    broker: Broker
    tls: ssl.SSLContext | None
    password: str | None = field(repr=False)
    proxy: Proxy | None = None

    @property
    def name(self) -> str:
        """The broker's URL, for messages."""
        return self.broker.name

    def to(self, number: int) -> Self:
        """The access to one of the configured brokers, from 0."""
        return replace(self, broker=self.settings.brokers[number])


def read_access(settings: MqttSettings, beside: Path) -> BrokerAccess:
    """Read the password and the certificates, opening no connection.

    Raises ConfigurationError that names the setting and the file.
    """
    password = None
    if settings.password_file:
        password = read_secret("mqtt.password_file", settings.password_file, beside)
    tls = _tls(settings, beside) if settings.uses_tls else None
    return BrokerAccess(settings, settings.brokers[0], tls, password, _proxy(settings, beside))


def _proxy(settings: MqttSettings, beside: Path) -> Proxy | None:
    if not settings.proxy:
        return None
    address, password = parse_proxy(settings.proxy), ""
    if settings.proxy_password_file:
        password = read_secret("mqtt.proxy_password_file", settings.proxy_password_file, beside)
    return Proxy(address.host, address.port, settings.proxy_username, password)


def _tls(settings: MqttSettings, beside: Path) -> ssl.SSLContext:
    context = tls_context("mqtt.ca_file", settings.ca_file, beside)
    if settings.alpn:
        context.set_alpn_protocols([settings.alpn])
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


def tls_context(key: str, ca_file: str, beside: Path) -> ssl.SSLContext:
    """A context that checks a server's certificate and name against `ca_file`, else the system's CAs.

    Raises ConfigurationError that names the key and the file.
    """
    try:
        return ssl.create_default_context(cafile=_readable(key, ca_file, beside) if ca_file else None)
    except ssl.SSLError:
        raise ConfigurationError(
            f"{key} = {ca_file!r}: holds no certificate; must be a file of PEM certificates"
        ) from None


def _readable(key: str, name: str, beside: Path) -> Path:
    path = secret_path(name, beside)
    if is_waited_for(path):  # by OpenSSL, which opens it
        raise ConfigurationError(f"{key} = {name!r}: {path} is a pipe or a device; allowed: a file")
    try:
        path.open("rb").close()
    except OSError as error:
        raise ConfigurationError(f"{key} = {name!r}: {path} cannot be read: {error.strerror}") from None
    return path
