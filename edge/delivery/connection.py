"""One MQTT connection: the only module that imports paho.

Each connection is a new client, driven by the thread that calls it, without paho's own thread and queue.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, error_string
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge.clock import Clock
from edge.delivery.access import BrokerAccess
from edge.errors import BrokerError
from edge.ops.reasons import MqttFailure

POLL = 0.1
"""Seconds between two checks of the outbox, the camera statuses and the stop signal."""

_QOS = 1
_QOS_TRIAL = 2
_FAILURE = 0x80  # reason codes from here on are refusals
_WRONG_VERSION = "Unsupported protocol version"


class DeliveryError(BrokerError):
    """A BrokerError with its kind."""

    def __init__(self, kind: MqttFailure, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class _Client(Client):
    """paho's client; of messages of QoS 2 it keeps the reason codes, and releases none of them."""

    def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - whatever paho's takes
        super().__init__(*arguments, **named)
        self.received: dict[int, int] = {}
        """Reason codes of PUBREC by message id."""

    def _handle_pubrec(self) -> MQTTErrorCode:
        packet = self._in_packet["packet"]
        self.received[int.from_bytes(packet[:2])] = packet[2] if len(packet) > 2 else 0  # 0 may be left out
        return MQTTErrorCode.MQTT_ERR_SUCCESS


class Connection:
    """One MQTT connection, from CONNECT to its end, driven by the thread that calls it."""

    def __init__(
        self, access: BrokerAccess, client_id: str, clock: Clock, will: tuple[str, bytes] | None
    ) -> None:
        self._access = access
        self._clock = clock
        self._answer: ReasonCode | None = None
        self._farewell = ""
        self._acknowledged: list[Acknowledgement] = []
        self._is_v5 = access.settings.protocol == "5"
        self.in_flight = access.settings.in_flight
        self._best_qos = _QOS_TRIAL
        self._client = self._make_client(client_id)
        if will:
            topic, payload = will
            self._client.will_set(topic, payload, _QOS, True, self._properties(PacketTypes.WILLMESSAGE))

    def open(self, within: float) -> None:
        """Connect, and wait until the broker accepts; raises BrokerError if that fails or takes longer."""
        settings = self._access.settings
        until = self._clock.monotonic() + within
        self._client.connect_timeout = within
        try:
            self._client.connect(settings.host, settings.port, settings.keepalive)
        except ssl.SSLError as error:
            why = getattr(error, "verify_message", "") or error.reason
            raise DeliveryError(MqttFailure.TLS, f"TLS failed: {why}") from error
        except (OSError, ValueError) as error:  # ValueError: a host name that cannot be one
            why = getattr(error, "strerror", None) or str(error)
            raise DeliveryError(MqttFailure.UNREACHABLE, f"cannot be reached: {why}") from error
        while self._answer is None:
            if self._clock.monotonic() >= until:
                raise DeliveryError(MqttFailure.TIMEOUT, f"the broker did not answer within {within:g} s")
            self.poll(POLL)
        if self._answer.is_failure:
            raise self._failure(MQTTErrorCode.MQTT_ERR_CONN_REFUSED)

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> int:
        """Send a message; returns its id, which the acknowledgement repeats."""
        info = self._client.publish(topic, payload, _QOS, retain, self._properties(PacketTypes.PUBLISH))
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise self._failure(info.rc)
        return info.mid

    def refused(self, topics: Sequence[str], within: float) -> list[str] | None:
        """Those of `topics`, at most `in_flight`, that we may not publish on; None if not reported.

        Nothing is published: a message of QoS 2 is answered with a reason code, and passed on only when it is
        released, which it never is (method A of MQTT 5, 4.3.3, as in mosquitto; a broker with method B would
        pass on an empty message). MQTT 3.1.1 has no such answers.
        """
        if not self._is_v5 or self._best_qos < _QOS_TRIAL:
            return None
        properties = self._properties(PacketTypes.PUBLISH)
        due = {self._client.publish(topic, b"", _QOS_TRIAL, False, properties).mid: topic for topic in topics}
        until = self._clock.monotonic() + within
        while not due.keys() <= self._client.received.keys():
            if self._clock.monotonic() >= until:
                raise DeliveryError(MqttFailure.TIMEOUT, f"the broker did not answer within {within:g} s")
            self.poll(POLL)
        return [topic for mid, topic in due.items() if self._client.received[mid] >= _FAILURE]

    def security(self) -> str:
        """How the connection is secured, for a person."""
        sock = self._client.socket()
        if not isinstance(sock, ssl.SSLSocket):
            return "no TLS"
        until = ssl.cert_time_to_seconds(str((sock.getpeercert() or {})["notAfter"]))
        return (
            f"{sock.version()}, its certificate is valid until {datetime.fromtimestamp(until, UTC):%Y-%m-%d}"
        )

    def subscribe(
        self, topic: str, on_payload: Callable[[bytes], None], on_agreed: Callable[[], None]
    ) -> None:
        """Subscribe to a topic; `poll` passes its messages to `on_payload`."""
        self._client.on_message = lambda _client, _data, message: on_payload(bytes(message.payload))
        self._client.on_subscribe = lambda *_: on_agreed()
        self._client.subscribe(topic, _QOS)

    def poll(self, timeout: float) -> list[Acknowledgement]:
        """Send and receive for at most `timeout` seconds; raises BrokerError if the connection has ended."""
        code = self._client.loop(timeout)
        acknowledged, self._acknowledged = self._acknowledged, []
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS and not acknowledged:
            raise self._failure(code)
        return acknowledged

    def close(self) -> None:
        """Disconnect; the broker discards the will."""
        self._client.disconnect()
        self.cut()

    def cut(self) -> None:
        """Close the socket: the broker publishes the will unless `close` was called first."""
        if (sock := self._client.socket()) is not None:
            sock.close()
        self._client.on_connect = self._client.on_publish = self._client.on_disconnect = None

    def _make_client(self, client_id: str) -> _Client:
        protocol = MQTTProtocolVersion.MQTTv5 if self._is_v5 else MQTTProtocolVersion.MQTTv311
        client = _Client(
            CallbackAPIVersion.VERSION2, client_id, protocol=protocol, reconnect_on_failure=False
        )
        client.max_inflight_messages_set(0)  # we count them ourselves, so that paho queues nothing
        if self._access.settings.username:
            client.username_pw_set(self._access.settings.username, self._access.password)
        if self._access.tls:
            client.tls_set_context(self._access.tls)
        client.on_connect, client.on_publish = self._connected, self._published
        client.on_disconnect = self._disconnected
        return client

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
        self.in_flight = min(self.in_flight, getattr(properties, "ReceiveMaximum", self.in_flight))
        self._best_qos = getattr(properties, "MaximumQoS", self._best_qos)

    def _published(
        self, _client: Client, _data: object, message_id: int, reason: ReasonCode, _properties: Properties
    ) -> None:
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
            self._farewell = str(reason)

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
        if self._farewell:
            return DeliveryError(MqttFailure.LOST, f"the broker ended the connection: {self._farewell}")
        return DeliveryError(MqttFailure.LOST, f"the connection was lost: {error_string(code)}")

    @property
    def _hint(self) -> str:
        return "; try mqtt.protocol = '3.1.1'" if str(self._answer) == _WRONG_VERSION else ""

    @property
    def _expectation(self) -> str:
        tls = "with TLS" if self._access.tls else "without TLS"
        return f"does it speak MQTT {self._access.settings.protocol} {tls} on this port?"


Acknowledgement = tuple[int, ReasonCode]
