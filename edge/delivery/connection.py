"""One MQTT connection: the only module that imports paho.

Each connection is a new client, driven by the thread that calls it, without paho's own thread and queue.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal

from paho.mqtt.client import (
    Client,
    ConnectFlags,
    DisconnectFlags,
    WebsocketConnectionError,
    error_string,
)
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge.clock import Clock, ended_after
from edge.delivery.access import BrokerAccess
from edge.delivery.topics import Naming
from edge.delivery.tunnel import open_tunnel
from edge.errors import BrokerError
from edge.ops.reasons import MqttFailure

POLL = 0.1
"""Seconds between two checks of the outbox, the camera statuses and the stop signal."""

_QOS = 1
_QOS_TRIAL = 2
_WRONG_VERSION = "Unsupported protocol version"
_NO_WEBSOCKET = "no WebSocket of MQTT was opened; are port and path right?"
_FAILURE = 0x80
"""Reason codes from here on are refusals; this one is unspecified."""
TOO_LARGE = 0x95
_NO_RETAIN = 0x9A
_NO_QOS = 0x9B
_NOT_YET_VALID, _EXPIRED = 9, 10
"""OpenSSL's results for certificates that are not valid at this time."""


class DeliveryError(BrokerError):
    """A BrokerError with its kind."""

    def __init__(self, kind: MqttFailure, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class TooLargeError(DeliveryError):
    """The broker ended the connection for a packet that is too large. size: bytes of the largest one sent."""

    def __init__(self, size: int) -> None:
        super().__init__(
            MqttFailure.TOO_LARGE,
            f"the broker ended the connection: a packet is too large, the largest one had {size} bytes",
        )
        self.size = size


MOST_RECEIVED = 1 << 20
"""Bytes of the largest packet that the broker may send; of MQTT's own 256 MB one fills the memory."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a broker takes from us. packet: bytes of the largest packet, None where it reported no limit."""

    qos: int = _QOS
    retain: bool = True
    will: bool = True
    packet: int | None = None

    @property
    def losses(self) -> list[str]:
        """What does not work within these limits, for a person; the size of packets aside."""
        return [
            text
            for applies, text in (
                (self.qos < _QOS, "it takes QoS 0 only: messages are lost when the connection breaks"),
                (not self.retain, "it retains no messages: no topic shows its newest message later"),
                (not self.will, "it refuses the Last Will: a box that is lost stays 'online'"),
            )
            if applies
        ]


class _Client(Client):
    """paho's client; of messages of QoS 2 it keeps the reason codes, and releases none of them."""

    def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - whatever paho's takes
        super().__init__(*arguments, **named)
        self.received: dict[int, int] = {}
        """Reason codes of PUBREC by message id."""
        self.dial: Callable[[], socket.socket] | None = None
        """Opens the TCP connection; no variable of the environment names another proxy."""
        self.opened: socket.socket | None = None
        """The connection while TLS and WebSocket are agreed on."""
        self._late = False

    def hang_up(self) -> None:
        """End the connection that is being opened; for another thread."""
        self._late = True
        if self.opened:
            socket.socket.shutdown(self.opened, socket.SHUT_RDWR)  # that of TLS disturbs the reader

    def _create_socket_connection(self) -> socket.socket:
        return self._open(self.dial() if self.dial else super()._create_socket_connection())

    def _ssl_wrap_socket(self, tcp_sock: socket.socket) -> ssl.SSLSocket:
        secured = super()._ssl_wrap_socket(tcp_sock)
        self._open(secured)
        return secured

    def _open(self, sock: socket.socket) -> socket.socket:
        self.opened = sock
        if self._late:  # it was not known when the time was over
            sock.close()
            raise TimeoutError
        return sock

    def _handle_pubrec(self) -> MQTTErrorCode:
        packet = self._in_packet["packet"]
        self.received[int.from_bytes(packet[:2])] = packet[2] if len(packet) > 2 else 0  # 0 may be left out
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _handle_pubackcomp(self, cmd: Literal["PUBACK", "PUBCOMP"]) -> MQTTErrorCode:
        """As paho's, which ends the connection over a reason code that MQTT 5 does not list for PUBACK.

        mosquitto refuses with such a code what is too large, and EMQX what comes too fast.
        """
        packet = self._in_packet["packet"]
        mid = int.from_bytes(packet[:2])
        if cmd == "PUBACK" and len(packet) > 2 and packet[2] >= _FAILURE and mid in self._out_messages:
            reason = _reason(packet[2])
            return self._do_on_publish(mid, reason, Properties(PacketTypes.PUBACK))  # type: ignore[no-untyped-call]
        return super()._handle_pubackcomp(cmd)


def _reason(code: int) -> ReasonCode:
    """The reason of a refused message: as listed for PUBACK, else as for DISCONNECT, else unspecified."""
    for packet in (PacketTypes.PUBACK, PacketTypes.DISCONNECT):
        with suppress(KeyError, ValueError):
            return ReasonCode(packet, identifier=code)
    return ReasonCode(PacketTypes.PUBACK, identifier=_FAILURE)


def _tls_fault(error: ssl.SSLError) -> str:
    """Why TLS failed. A box without a battery for its clock starts in the past."""
    why = getattr(error, "verify_message", "") or str(error.reason)
    in_time = getattr(error, "verify_code", 0) not in (_NOT_YET_VALID, _EXPIRED)
    return why if in_time else f"{why}, by this machine's clock"


def _no_answer(within: float) -> DeliveryError:
    return DeliveryError(MqttFailure.TIMEOUT, f"the broker did not answer within {within:g} s")


class Connection:
    """One MQTT connection, from CONNECT to its end, driven by the thread that calls it.

    limits: what the broker takes; known once the connection is open. Messages are sent within them.
    """

    def __init__(
        self, access: BrokerAccess, client_id: str, clock: Clock, will: tuple[str, bytes] | None
    ) -> None:
        self._access = access
        self._client_id = client_id
        self._clock = clock
        self._will = will
        self._answer: ReasonCode | None = None
        self._farewell: ReasonCode | None = None
        self._acknowledged: list[Acknowledgement] = []
        self._sizes: dict[int, int] = {}  # of packets that wait for their acknowledgement, by message id
        self._is_v5 = access.settings.protocol == "5"
        self.in_flight = access.settings.in_flight
        self.limits = Limits()
        self.naming = Naming.of(access.settings)
        self._best_qos = _QOS_TRIAL
        self._client = self._make_client()

    def open(self, within: float) -> None:
        """Connect, and wait until the broker accepts; raises BrokerError if that fails or takes longer.

        A broker that refuses the Last Will is asked again, with less of it.
        """
        until = self._clock.monotonic() + within
        while (answer := self._ask(within, until)).is_failure:
            less = self._with_less_of_a_will(answer.value)
            if less == self.limits:
                raise self._failure(MQTTErrorCode.MQTT_ERR_CONN_REFUSED)
            self.cut()
            self.limits, self._answer = less, None
            self._client = self._make_client()

    def _ask(self, within: float, until: float) -> ReasonCode:
        """One CONNECT, and the broker's answer."""
        self._connect(within)
        while self._answer is None:
            if self._clock.monotonic() >= until:
                raise _no_answer(within)
            code = self._loop(POLL)
            if self._answer is None and code != MQTTErrorCode.MQTT_ERR_SUCCESS:
                raise self._failure(code)
        return self._answer

    def _with_less_of_a_will(self, answer: int) -> Limits:
        if answer == _NO_RETAIN:
            return replace(self.limits, retain=False)
        if answer == _NO_QOS:
            return replace(self.limits, qos=0)
        return replace(self.limits, will=False) if answer == TOO_LARGE and self._will else self.limits

    def _connect(self, within: float) -> None:
        broker = self._access.broker
        self._client.connect_timeout = within
        self._client.dial = partial(self._dial, within)
        try:
            with ended_after(within, self._client.hang_up):
                self._client.connect(
                    broker.host, broker.port, self._access.settings.keepalive, properties=self._bounds()
                )
        except ssl.SSLError as error:
            raise DeliveryError(MqttFailure.TLS, f"TLS failed: {_tls_fault(error)}") from error
        except WebsocketConnectionError as error:
            raise DeliveryError(MqttFailure.REFUSED, f"{_NO_WEBSOCKET}: {error}") from error
        except IndexError as error:  # paho's, on a header without a blank after its colon
            raise DeliveryError(MqttFailure.REFUSED, _NO_WEBSOCKET) from error
        except (OSError, ValueError) as error:  # ValueError: a host name that cannot be one
            if isinstance(error, TimeoutError) and self._client.opened:
                raise _no_answer(within) from error
            why = getattr(error, "strerror", None) or str(error)
            raise DeliveryError(MqttFailure.UNREACHABLE, f"cannot be reached: {why}") from error

    def _dial(self, within: float) -> socket.socket:
        """The TCP connection to the broker, through the proxy where there is one."""
        broker, proxy = self._access.broker, self._access.proxy
        if proxy is None:
            return socket.create_connection((broker.host, broker.port), timeout=within)
        return open_tunnel(proxy, broker.host, broker.port, within, self._clock)

    @property
    def may_retain(self) -> bool:
        """Whether messages are retained: as configured, where the broker does it."""
        return self.limits.retain and self._access.settings.retain

    def fits(self, topic: str, payload: bytes) -> bool:
        """Whether the broker takes a packet of this size, as far as it reported."""
        return self.limits.packet is None or self.packet_size(topic, payload) <= self.limits.packet

    def limit_packets(self, size: int) -> None:
        """Keep to packets of at most so many bytes, though the broker did not report that limit."""
        known = self.limits.packet
        self.limits = replace(self.limits, packet=size if known is None else min(known, size))

    def packet_size(self, topic: str, payload: bytes) -> int:
        """Bytes of the packet that `publish` sends (OASIS MQTT 5, 3.3)."""
        topic = self.naming.at_broker(topic)
        properties = self._properties(PacketTypes.PUBLISH)
        packed = len(properties.pack()) if properties else 0  # type: ignore[no-untyped-call]
        body = 2 + len(topic.encode()) + 2 + len(payload) + packed
        return 1 + max(1, -(-body.bit_length() // 7)) + body

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> int:
        """Send a message; returns its id, which the acknowledgement repeats.

        A message of QoS 0 counts as acknowledged when it is written to the socket.
        """
        named, properties = self.naming.at_broker(topic), self._properties(PacketTypes.PUBLISH)
        info = self._client.publish(named, payload, self.limits.qos, retain and self.may_retain, properties)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise self._failure(info.rc)
        self._sizes[info.mid] = self.packet_size(topic, payload)
        return info.mid

    def answers(self, trials: Mapping[str, bytes], within: float) -> dict[str, int] | None:
        """The reason code for each message by topic, at most `in_flight`; None if the broker reports none.

        Nothing is published: a message of QoS 2 is answered with a reason code, and passed on only when it is
        released, which it never is (method A of MQTT 5, 4.3.3, as in mosquitto; a broker with method B would
        pass on the message). MQTT 3.1.1 has no such answers.
        """
        if not self._is_v5 or self._best_qos < _QOS_TRIAL:
            return None
        properties = self._properties(PacketTypes.PUBLISH)
        due = {
            self._client.publish(
                self.naming.at_broker(topic), payload, _QOS_TRIAL, False, properties
            ).mid: topic
            for topic, payload in trials.items()
        }
        self._sizes |= {mid: self.packet_size(topic, trials[topic]) for mid, topic in due.items()}
        until = self._clock.monotonic() + within
        while not due.keys() <= self._client.received.keys():
            if self._clock.monotonic() >= until:
                raise _no_answer(within)
            self.poll(POLL)
        return {topic: self._client.received[mid] for mid, topic in due.items()}

    def security(self) -> str:
        """How the connection is secured, for a person."""
        sock = self._client.socket()
        sock = getattr(sock, "_socket", sock)  # paho's WebSocket is a wrapper
        if not isinstance(sock, ssl.SSLSocket):
            return "no TLS"
        until = ssl.cert_time_to_seconds(str((sock.getpeercert() or {})["notAfter"]))
        return (
            f"{sock.version()}, its certificate is valid until {datetime.fromtimestamp(until, UTC):%Y-%m-%d}"
        )

    def subscribe(
        self, topics: Sequence[str], on_payload: Callable[[bytes], None], on_agreed: Callable[[], None]
    ) -> None:
        """Subscribe to topics as the broker names them; `poll` passes their messages to `on_payload`."""
        self._client.on_message = lambda _client, _data, message: on_payload(bytes(message.payload))
        self._client.on_subscribe = lambda *_: on_agreed()
        self._client.subscribe([(topic, _QOS) for topic in topics])

    def poll(self, timeout: float) -> list[Acknowledgement]:
        """Send and receive for at most `timeout` seconds; raises BrokerError if the connection has ended."""
        code = self._loop(timeout)
        acknowledged, self._acknowledged = self._acknowledged, []
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS and not acknowledged:
            raise self._failure(code)
        return acknowledged

    def _loop(self, timeout: float) -> MQTTErrorCode:
        try:
            return self._client.loop(timeout)
        except OSError as error:  # paho opens two more sockets; no descriptor may be left
            why = error.strerror or error
            raise DeliveryError(MqttFailure.LOST, f"the connection was lost: {why}") from error

    def close(self) -> None:
        """Disconnect; the broker discards the will."""
        self._client.disconnect()
        self.cut()

    def cut(self) -> None:
        """Close the socket: the broker publishes the will unless `close` was called first."""
        if (sock := self._client.socket()) is not None:
            sock.close()
        self._client.on_connect = self._client.on_publish = self._client.on_disconnect = None

    def _make_client(self) -> _Client:
        protocol = MQTTProtocolVersion.MQTTv5 if self._is_v5 else MQTTProtocolVersion.MQTTv311
        path = self._access.broker.path
        client = _Client(
            CallbackAPIVersion.VERSION2,
            self._client_id,
            protocol=protocol,
            transport="websockets" if path else "tcp",
            reconnect_on_failure=False,
        )
        if path:
            client.ws_set_options(path=path)
        if self._will and self.limits.will:
            topic, payload = self._will
            properties = self._properties(PacketTypes.WILLMESSAGE)
            named = self.naming.at_broker(topic)
            client.will_set(named, payload, self.limits.qos, self.may_retain, properties)
        client.max_inflight_messages_set(0)  # we count them ourselves, so that paho queues nothing
        if self._access.settings.username:
            client.username_pw_set(self._access.settings.username, self._access.password)
        if self._access.tls:
            client.tls_set_context(self._access.tls)
        client.on_connect, client.on_publish = self._connected, self._published
        client.on_disconnect = self._disconnected
        return client

    def _bounds(self) -> Properties | None:
        """What the broker may send (MQTT 5): anybody may publish to a topic that is subscribed to."""
        if not self._is_v5:
            return None
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.MaximumPacketSize = MOST_RECEIVED
        return properties

    def _properties(self, packet: int) -> Properties | None:
        """The type of the payload (MQTT 5); no expiry, since a late message is better than a missing one."""
        if not self._is_v5:
            return None
        properties = Properties(packet)  # type: ignore[no-untyped-call]
        properties.PayloadFormatIndicator = 1
        properties.ContentType = "application/json"
        return properties

    def _connected(
        self,
        _client: Client,
        _data: object,
        _flags: ConnectFlags,
        answer: ReasonCode,
        properties: Properties | None,
    ) -> None:
        self._answer = answer
        if answer.is_failure:
            return
        self.in_flight = min(self.in_flight, getattr(properties, "ReceiveMaximum", self.in_flight))
        self._best_qos = getattr(properties, "MaximumQoS", self._best_qos)
        self.limits = replace(
            self.limits,
            qos=min(self.limits.qos, self._best_qos),
            retain=self.limits.retain and bool(getattr(properties, "RetainAvailable", True)),
            packet=getattr(properties, "MaximumPacketSize", None),
        )

    def _published(
        self, _client: Client, _data: object, message_id: int, reason: ReasonCode, _properties: Properties
    ) -> None:
        self._sizes.pop(message_id, None)
        self._acknowledged.append((message_id, reason))

    def _disconnected(
        self,
        _client: Client,
        _data: object,
        flags: DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self._farewell = reason

    def _failure(self, code: MQTTErrorCode) -> DeliveryError:
        """Why the connection has ended, as far as the broker reported it."""
        if self._answer is None:
            return DeliveryError(
                MqttFailure.LOST, f"the broker closed the connection without an answer: {self._expectation}"
            )
        if self._answer.is_failure:
            return DeliveryError(
                MqttFailure.REFUSED, f"the broker refused the connection: {self._answer}{self._hint}"
            )
        if self._farewell and self._farewell.value == TOO_LARGE and self._sizes:
            return TooLargeError(max(self._sizes.values()))
        if self._farewell:
            return DeliveryError(MqttFailure.LOST, f"the broker ended the connection: {self._farewell}")
        return DeliveryError(MqttFailure.LOST, f"the connection was lost: {error_string(code)}")

    @property
    def _hint(self) -> str:
        return "; try mqtt.protocol = '3.1.1'" if str(self._answer) == _WRONG_VERSION else ""

    @property
    def _expectation(self) -> str:
        tls = "with TLS" if self._access.tls else "without TLS"
        over = " over WebSockets" if self._access.broker.path else ""
        speaks = f"does it speak MQTT {self._access.settings.protocol}{over} {tls} on this port?"
        # Such brokers close the connection, and MQTT 3.1.1 has no word for the reason.
        return speaks if self._is_v5 else f"{speaks} Does it allow QoS 1 and retained messages?"


Acknowledgement = tuple[int, ReasonCode]
