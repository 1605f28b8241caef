"""The table `[mqtt]`: the brokers, the way to them, and how topics are named there."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal, Self
from urllib.parse import SplitResult

from pydantic import AfterValidator, Field, model_validator

from edge.config.fields import (
    Host,
    Seconds,
    Section,
    host_and_port,
    host_name,
    is_topic_level,
    is_unfit,
    split_url,
)

MOST_BROKERS = 4
USUAL_PATH = "/mqtt"
"""Of a broker's WebSocket."""

DEFAULT_TOPIC = "{prefix}/{site}/{levels}"
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_PLACEHOLDERS = ("client_id", "prefix", "site", "source", "zone", "message", "levels")
_PORTS = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443}
_FORMS = ", ".join(f"{scheme}://host[:port]" for scheme in ("mqtt", "mqtts"))
_FORMS += ", ws://host[:port][/path] and wss://host[:port][/path]"


@dataclass(frozen=True, slots=True)
class Broker:
    """Where a broker is reached. path: of its WebSocket; empty: plain MQTT over TCP."""

    host: str
    port: int
    tls: bool = False
    path: str = ""

    @property
    def address(self) -> str:
        """Host and port, for messages."""
        return host_and_port(self.host, self.port)

    @property
    def name(self) -> str:
        """Its URL, for messages. Some brokers take a token in the path: only usual ones are shown."""
        path = self.path if self.path in ("", "/", USUAL_PATH) else "/***"
        return f"{'ws' if self.path else 'mqtt'}{'s' if self.tls else ''}://{self.address}{path}"


def parse_broker(url: str) -> Broker:
    """A broker's URL. Raises ValueError with what is allowed; the text holds no part of the URL."""
    parts = _split(url)
    webs = parts.scheme in ("ws", "wss")
    rest = f"{parts.query}{parts.fragment}" + ("" if webs else parts.path.strip("/"))
    if parts.scheme not in _PORTS or rest:
        raise ValueError(f"must be the URL of a broker: {_FORMS}")
    if re.search(r"[^\x21-\x7e]", parts.path):
        raise ValueError("its path must be of printable ASCII characters; encode others with %")
    path = (parts.path or USUAL_PATH) if webs else ""
    return Broker(host_name(parts.hostname or ""), _port(parts), parts.scheme in ("mqtts", "wss"), path)


def parse_proxy(url: str) -> Broker:
    """Host and port of an HTTP proxy's URL. Raises ValueError with what is allowed."""
    parts = _split(url)
    if parts.scheme != "http" or not parts.port or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("must be the URL of an HTTP proxy with its port: http://host:port")
    return Broker(host_name(parts.hostname or ""), parts.port)


def _split(url: str) -> SplitResult:
    return split_url(url, "user and password have keys of their own")


def _port(parts: SplitResult) -> int:
    return parts.port if parts.port is not None else _PORTS[parts.scheme]


def _checked(parse: Callable[[str], Broker], *, may_be_empty: bool) -> AfterValidator:
    """Check the URL with `parse` and keep it as it is: settings show the text of the file."""

    def check(url: str) -> str:
        if url or not may_be_empty:
            parse(url)
        return url

    return AfterValidator(check)


def _is_prefix(prefix: str) -> str:
    levels = prefix.split("/")
    if len(levels) > 5 or not all(map(is_topic_level, levels)):
        raise ValueError(
            "must be 1 to 5 MQTT topic levels with '/' between them, each of 1 to 64 bytes, "
            "without '+', '#' or control characters and without '$' first"
        )
    return prefix


def _is_template(template: str) -> str:
    unknown = [name for name in PLACEHOLDER.findall(template) if name not in _PLACEHOLDERS]
    if unknown:
        allowed = ", ".join(f"{{{name}}}" for name in _PLACEHOLDERS)
        raise ValueError(f"{{{unknown[0]}}} stands for nothing; allowed: {allowed}")
    literal = PLACEHOLDER.sub("x", template)
    if not literal or is_unfit(literal) or re.search(r"[+#{}]", literal) or len(literal.encode()) > 256:
        raise ValueError("must be an MQTT topic of at most 256 bytes, without '+', '#' and single braces")
    return template


def _is_client_id(text: str) -> str:
    if is_unfit(text) or re.search(r"\s", text) or len(text.encode()) > 128:
        raise ValueError("must be at most 128 bytes without blanks and control characters")
    return text


def _is_alpn(text: str) -> str:
    if len(text) > 255 or re.search(r"[^\x21-\x7e]", text):
        raise ValueError("must be the name of one protocol, such as mqtt or x-amzn-mqtt-ca")
    return text


_OptionalBroker = Annotated[str, _checked(parse_broker, may_be_empty=True)]
_FurtherBroker = Annotated[str, _checked(parse_broker, may_be_empty=False)]
_OptionalProxy = Annotated[str, _checked(parse_proxy, may_be_empty=True)]


class MqttSettings(Section):
    """The brokers, and the credentials for them.

    enabled: false: the box has no broker. url: of the broker; replaces host, port and tls. failover: URLs of
    further brokers, tried in order. proxy: of an HTTP proxy that every connection goes through. topic: what a
    topic is called at the broker (`edge.delivery.topics.Naming`).
    """

    enabled: bool = True
    url: _OptionalBroker = ""
    failover: Annotated[tuple[_FurtherBroker, ...], Field(strict=False, max_length=MOST_BROKERS - 1)] = ()
    host: Host = "localhost"
    port: Annotated[int, Field(ge=1, le=65535)] = 1883
    protocol: Literal["5", "3.1.1"] = "5"
    client_id: Annotated[str, AfterValidator(_is_client_id)] = ""
    prefix: Annotated[str, AfterValidator(_is_prefix)] = "instore"
    topic: Annotated[str, AfterValidator(_is_template)] = DEFAULT_TOPIC
    retain: bool = True
    username: str = ""
    password_file: str = ""
    tls: bool = False
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    alpn: Annotated[str, AfterValidator(_is_alpn)] = ""
    proxy: _OptionalProxy = ""
    proxy_username: str = ""
    proxy_password_file: str = ""
    keepalive: Annotated[int, Field(ge=5, le=3600)] = 30
    connect_timeout: Seconds = 10.0
    in_flight: Annotated[int, Field(ge=1, le=1000)] = 20
    drain_timeout: Seconds = 3.0

    @property
    def brokers(self) -> tuple[Broker, ...]:
        """The brokers in the order in which they are tried, at least one."""
        first = parse_broker(self.url) if self.url else Broker(self.host, self.port, self.tls)
        return (first, *map(parse_broker, self.failover))

    @property
    def uses_tls(self) -> bool:
        """Whether the brokers are reached over TLS: all of them, or none."""
        return self.brokers[0].tls

    @property
    def address(self) -> str:
        """The first broker's host and port, for messages."""
        return self.brokers[0].address

    @model_validator(mode="after")
    def _credentials_belong_together(self) -> Self:
        if self.password_file and not self.username:
            raise ValueError("'password_file' needs a 'username'")
        if bool(self.cert_file) != bool(self.key_file):
            raise ValueError("'cert_file' and 'key_file' go together: one is missing")
        if self.proxy_username and not self.proxy:
            raise ValueError("'proxy_username' needs a 'proxy'")
        if self.proxy_password_file and not self.proxy_username:
            raise ValueError("'proxy_password_file' needs a 'proxy_username'")
        return self

    @model_validator(mode="after")
    def _brokers_belong_together(self) -> Self:
        if self.url and (self.host, self.port, self.tls) != ("localhost", 1883, False):
            raise ValueError("'url' replaces 'host', 'port' and 'tls': leave those out")
        if len({broker.tls for broker in self.brokers}) > 1:
            raise ValueError(
                "'failover': TLS for all brokers or for none: no password may go to one of them in clear"
            )
        if len(set(self.brokers)) < len(self.brokers):
            raise ValueError("'failover': a broker is named twice")
        if (self.ca_file or self.cert_file or self.alpn) and not self.uses_tls:
            raise ValueError(
                "'ca_file', 'cert_file' and 'alpn' need 'tls = true', or a 'url' of mqtts:// or wss://"
            )
        return self

    @model_validator(mode="after")
    def _topics_differ(self) -> Self:
        named = set(PLACEHOLDER.findall(self.topic))
        if "client_id" in named and not self.client_id:
            raise ValueError("{client_id} in 'topic' needs a 'client_id'")
        if self.retain and "levels" not in named and not {"source", "zone", "message"} <= named:
            raise ValueError(
                f"topic = {self.topic!r}: retained messages would replace each other; it must hold "
                "{levels}, or {source}, {zone} and {message}, unless 'retain = false'"
            )
        return self
