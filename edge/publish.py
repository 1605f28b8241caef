"""MQTT: windows go from the outbox to the broker, and leave the outbox when the broker has acknowledged them.

One thread does it all (`Publisher.run`), without the thread and the queue of paho: every connection is a new
client, a few windows at a time are handed to it, and what was not acknowledged when it ended is read from the
outbox again. Delivery is at least once and in order per camera, save for windows that the broker rejects (an
ACL, a quota): they stay in the outbox and are offered again later, behind younger ones that it took.
"""

from __future__ import annotations

import logging
import random
import ssl
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Protocol

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, error_string
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge.clock import Clock
from edge.config import MqttSettings, read_secret, secret_path
from edge.errors import BrokerError, ConfigurationError, OutsideError
from edge.types import CameraStatus

log = logging.getLogger(__name__)

POLL = 0.1
"""Seconds between two looks at the outbox, the camera statuses and the stop signal."""

ACKNOWLEDGE_WITHIN = 20.0
"""Seconds without any acknowledgement, while some are due, after which the connection is given up."""

_GOODBYE = 2.0  # seconds that the broker has to acknowledge the last message
_QOS = 1
_WRONG_VERSION = "Unsupported protocol version"


class Failure(StrEnum):
    """Why a connection or a delivery failed: a closed set, fit for a metric's label."""

    UNREACHABLE = "unreachable"
    TLS = "tls"
    REFUSED = "refused"
    LOST = "lost"
    TIMEOUT = "timeout"
    REJECTED = "rejected"
    DISK = "disk"


class Waiting(Protocol):
    """A window that waits for its acknowledgement."""

    @property
    def id(self) -> int: ...
    @property
    def camera(self) -> str: ...
    @property
    def payload(self) -> bytes: ...
    @property
    def created_at(self) -> datetime: ...


class Store(Protocol):
    """Where windows wait (`edge.outbox`). Its methods raise OutsideError where the disk fails."""

    @property
    def depth(self) -> int:
        """Windows that wait."""

    def pending(self, after: int, limit: int, without: Collection[str] = ()) -> Sequence[Waiting]:
        """At most `limit` of them with an id above `after`, oldest first; no camera of `without`."""

    def delete(self, ids: Collection[int]) -> None:
        """Forget those that were acknowledged."""


class Statuses(Protocol):
    """Writes the retained payloads (`edge.codec.StatusEncoder`)."""

    def box(self, state: Literal["online", "offline"], since: datetime | None, reason: str = "") -> bytes:
        """The state of this box; `since` is None in a Last Will."""

    def camera(self, status: CameraStatus) -> bytes:
        """The state of a camera."""


@dataclass(frozen=True, slots=True)
class Topics:
    """The names that a box publishes under."""

    prefix: str
    site: str
    box: str

    @property
    def box_status(self) -> str:
        """Retained: online or offline."""
        return f"{self.prefix}/{self.site}/{self.box}/status"

    def camera_status(self, camera: str) -> str:
        """Retained: up, down, frozen or dark."""
        return f"{self.prefix}/{self.site}/{camera}/status"

    def counts(self, camera: str) -> str:
        """Every window, not retained."""
        return f"{self.prefix}/{self.site}/{camera}/counts"

    def latest(self, camera: str) -> str:
        """Retained: the last window."""
        return f"{self.prefix}/{self.site}/{camera}/latest"


@dataclass(frozen=True, slots=True)
class Probe:
    """What one trial connection showed. reason: why it failed, empty if it did not. round_trip: seconds."""

    connected: bool
    reason: str
    round_trip: float


def _ignore(_: Any) -> None:  # noqa: ANN401 - stands in for any callback
    """Where nobody listens."""


class Publisher:
    """Carries windows and statuses to the broker, for ever, through every fault of the outside.

    The constructor reads the password and the certificates and raises ConfigurationError that names the
    setting and the file; it opens no connection. `camera_status` may be called from any thread; everything
    else happens in the thread that calls `run`, the callbacks included:
    on_connected(bool): the broker accepted us, or the connection ended. on_published(seconds): a window was
    acknowledged, this long after it was stored. on_failure(Failure): a connection or a delivery failed.
    """

    def __init__(
        self,
        settings: MqttSettings,
        site: str,
        box: str,
        *,
        store: Store,
        statuses: Statuses,
        clock: Clock,
        rng: random.Random,
        secrets_beside: Path,
        acknowledge_within: float = ACKNOWLEDGE_WITHIN,
        on_connected: Callable[[bool], None] = _ignore,
        on_published: Callable[[float], None] = _ignore,
        on_failure: Callable[[Failure], None] = _ignore,
    ) -> None:
        self._access = _access(settings, secrets_beside)
        self._topics = Topics(settings.prefix, site, box)
        self._store = store
        self._statuses = statuses
        self._clock = clock
        self._backoff = _Backoff(rng)
        self._acknowledge_within = acknowledge_within
        self._on_connected = on_connected
        self._on_published = on_published
        self._on_failure = on_failure
        self._lock = threading.Lock()
        self._cameras: dict[str, CameraStatus] = {}
        self._reason = ""
        self._deadline: float | None = None

    def camera_status(self, status: CameraStatus) -> None:
        """Publish this as the camera's state, now and on every connect."""
        with self._lock:
            self._cameras[status.camera_id] = status

    def run(self, stop: threading.Event) -> int:
        """Publish until `stop` is set, then drain; the number of windows that still wait.

        Draining sends what waits until all is acknowledged or `mqtt.drain_timeout` is over, says offline and
        disconnects. Windows that still wait stay in the store for the next run.
        """
        while not self._given_up(stop):
            try:
                self._serve(stop)
                break
            except OutsideError as error:
                self._report(error)
                self._pause(stop)
        return self._store.depth

    def _serve(self, stop: threading.Event) -> None:
        """One connection, from CONNECT to the drain; OutsideError where it fails before."""
        will = (self._topics.box_status, self._statuses.box("offline", None, "connection lost"))
        connection = _Connection(self._access, self._client_id, self._clock, will)
        try:
            connection.open(min(self._access.settings.connect_timeout, max(POLL, self._remaining(stop))))
            log.info("connected to %s", self._access.name)
            self._on_connected(True)
            try:
                self._converse(self._session(connection), stop)
            finally:
                self._on_connected(False)
        finally:
            connection.cut()

    def _converse(self, session: _Session, stop: threading.Event) -> None:
        session.say(self._statuses.box("online", self._clock.now()))
        while not (stop.is_set() and (session.idle(self._current()) or self._remaining(stop) == 0)):
            session.step(self._current())
            if session.progressed:
                self._backoff.reset()
                self._reason = ""
        session.goodbye(self._statuses.box("offline", self._clock.now(), "stopped"))

    def _session(self, connection: _Connection) -> _Session:
        return _Session(
            connection,
            self._topics,
            self._store,
            self._statuses,
            clock=self._clock,
            backoff=self._backoff,
            acknowledge_within=self._acknowledge_within,
            on_published=self._on_published,
            on_failure=self._on_failure,
        )

    @property
    def _client_id(self) -> str:
        return f"{self._topics.prefix}-{self._topics.site}-{self._topics.box}"

    def _current(self) -> Mapping[str, CameraStatus]:
        with self._lock:
            return dict(self._cameras)

    def _remaining(self, stop: threading.Event) -> float:
        """Seconds that may still pass: without end until `stop`, then what is left of the drain."""
        if not stop.is_set():
            return float("inf")
        now = self._clock.monotonic()
        if self._deadline is None:
            self._deadline = now + self._access.settings.drain_timeout
        return max(0.0, self._deadline - now)

    def _given_up(self, stop: threading.Event) -> bool:
        """Without a connection: nothing is left to say, or no time to say it."""
        return stop.is_set() and (self._store.depth == 0 or self._remaining(stop) == 0)

    def _report(self, error: OutsideError) -> None:
        """Count every failure, log it once until the reason changes or the broker works again."""
        self._on_failure(error.kind if isinstance(error, _DeliveryError) else Failure.DISK)
        if str(error) != self._reason:
            self._reason = str(error)
            log.warning("%s: %s; %d windows wait", self._access.name, error, self._store.depth)

    def _pause(self, stop: threading.Event) -> None:
        event = threading.Event() if stop.is_set() else stop
        self._clock.wait(event, min(self._backoff.next(), self._remaining(stop)))


def probe(settings: MqttSettings, client_id: str, *, clock: Clock, secrets_beside: Path) -> Probe:
    """Connect once as `Publisher` would, under another client id and without a will, and disconnect.

    The round trip runs from opening the socket to the broker's answer, TLS included. Raises
    ConfigurationError as `Publisher` does.
    """
    connection = _Connection(_access(settings, secrets_beside), client_id, clock, will=None)
    begin, reason = clock.monotonic(), ""
    try:
        connection.open(settings.connect_timeout)
    except BrokerError as error:
        reason = str(error)
    round_trip = clock.monotonic() - begin
    connection.close()
    return Probe(connected=not reason, reason=reason, round_trip=round_trip)


class _DeliveryError(BrokerError):
    """A BrokerError with its kind."""

    def __init__(self, kind: Failure, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class _Backoff:
    """Jittered exponential waits: 0.5 to 1 s at first, 15 to 30 s at last."""

    LONGEST = 30.0

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._attempt = 0

    def next(self) -> float:
        """The next wait, in seconds."""
        delay = self.after(self._attempt)
        self._attempt += 1
        return delay

    def after(self, attempt: int) -> float:
        """The wait after this many failures in a row (from 0), in seconds."""
        return self._rng.uniform(0.5, 1.0) * min(self.LONGEST, 2.0 ** min(attempt, 10))

    def reset(self) -> None:
        """It works again."""
        self._attempt = 0


class _Session:
    """The deliveries of one connection: what was handed over, and what is due to be acknowledged."""

    def __init__(
        self,
        connection: _Connection,
        topics: Topics,
        store: Store,
        statuses: Statuses,
        *,
        clock: Clock,
        backoff: _Backoff,
        acknowledge_within: float,
        on_published: Callable[[float], None],
        on_failure: Callable[[Failure], None],
    ) -> None:
        self._connection = connection
        self._topics = topics
        self._store = store
        self._statuses = statuses
        self._clock = clock
        self._backoff = backoff
        self._acknowledge_within = acknowledge_within
        self._on_published = on_published
        self._on_failure = on_failure
        # By message id: a window, or the topic of a retained message.
        self._due: dict[int, Waiting | str] = {}
        self._cursor = 0
        self._announced: dict[str, CameraStatus] = {}
        self._latest: dict[str, Waiting] = {}  # acknowledged, its retained copy not yet published
        self._rejections: dict[str, int] = {}  # by camera: rests in a row, less one
        self._resting: dict[str, float] = {}  # by camera: until when it is left alone
        self._complaints: dict[str, str] = {}  # by topic: the reason that was logged
        self._heard_at = clock.monotonic()
        self.progressed = False

    def say(self, payload: bytes) -> None:
        """Publish the box's status."""
        self._retain(self._topics.box_status, payload)

    def step(self, cameras: Mapping[str, CameraStatus]) -> None:
        """Hand over what may go, and take the acknowledgements of the next moment (at most `POLL`)."""
        self._announce(cameras)
        self._hand_over()
        self._copy_latest()
        self._take(self._connection.poll(POLL))
        if self._due and self._clock.monotonic() - self._heard_at > self._acknowledge_within:
            raise _DeliveryError(
                Failure.TIMEOUT, f"the broker acknowledged nothing for {self._acknowledge_within:g} s"
            )

    def idle(self, cameras: Mapping[str, CameraStatus]) -> bool:
        """Everything is published and acknowledged."""
        return not (self._due or self._latest or self._store.depth or cameras != self._announced)

    def goodbye(self, payload: bytes) -> None:
        """Publish the last status and disconnect; without its acknowledgement the broker is left the will."""
        if not self._room:
            return
        self.say(payload)
        until = self._clock.monotonic() + _GOODBYE
        while self._topics.box_status in self._due.values():
            if self._clock.monotonic() >= until:
                return
            self._take(self._connection.poll(POLL))
        self._connection.close()

    @property
    def _room(self) -> int:
        """How many more messages may be in flight."""
        return max(0, self._connection.in_flight - len(self._due))

    def _announce(self, cameras: Mapping[str, CameraStatus]) -> None:
        for camera, status in cameras.items():
            if self._room and self._announced.get(camera) != status:
                self._retain(self._topics.camera_status(camera), self._statuses.camera(status))
                self._announced[camera] = status

    def _hand_over(self) -> None:
        """Windows, oldest first; those of a rejected camera wait without holding up the others."""
        self._rouse()
        if not self._room:
            return
        for window in self._store.pending(self._cursor, self._room, self._resting):
            self._cursor = window.id
            if window.id not in {due.id for due in self._windows_due()}:
                self._send(self._topics.counts(window.camera), window.payload, window)

    def _rouse(self) -> None:
        """Cameras whose rest is over are tried again, from their oldest window on."""
        now = self._clock.monotonic()
        for camera in [camera for camera, until in self._resting.items() if until <= now]:
            del self._resting[camera]
            self._cursor = 0

    def _copy_latest(self) -> None:
        """The retained copy of a camera's last window, once no younger one is on its way."""
        busy = {window.camera for window in self._windows_due()}
        for camera in [camera for camera in self._latest if camera not in busy]:
            if self._room:
                self._retain(self._topics.latest(camera), self._latest.pop(camera).payload)

    def _windows_due(self) -> list[Waiting]:
        return [due for due in self._due.values() if not isinstance(due, str)]

    def _retain(self, topic: str, payload: bytes) -> None:
        self._send(topic, payload, topic)

    def _send(self, topic: str, payload: bytes, due: Waiting | str) -> None:
        if not self._due:
            self._heard_at = self._clock.monotonic()
        self._due[self._connection.publish(topic, payload, retain=isinstance(due, str))] = due

    def _take(self, acknowledged: Sequence[_Acknowledgement]) -> None:
        """Forget what the broker has taken over; what it rejected stays."""
        taken: list[Waiting] = []
        for message_id, reason in acknowledged:
            due = self._due.pop(message_id)
            if reason.is_failure:
                self._reject(due, str(reason))
            elif not isinstance(due, str):
                taken.append(due)
        if acknowledged:
            self._heard_at = self._clock.monotonic()
            self.progressed = True
        if taken:
            self._settle(taken)

    def _settle(self, taken: Sequence[Waiting]) -> None:
        self._store.delete([window.id for window in taken])
        for window in taken:
            self._latest[window.camera] = window
            self._rejections.pop(window.camera, None)
            self._on_published(max(0.0, (self._clock.now() - window.created_at).total_seconds()))

    def _reject(self, due: Waiting | str, reason: str) -> None:
        """A window stays in the store and its camera rests; a retained message is made up for by the next."""
        self._on_failure(Failure.REJECTED)
        topic = due if isinstance(due, str) else self._topics.counts(due.camera)
        if self._complaints.get(topic) != reason:
            self._complaints[topic] = reason
            log.warning("the broker rejects messages to %s: %s", topic, reason)
        if not isinstance(due, str) and due.camera not in self._resting:
            times = self._rejections[due.camera] = self._rejections.get(due.camera, -1) + 1
            self._resting[due.camera] = self._clock.monotonic() + self._backoff.after(times)


class _Connection:
    """One MQTT connection, from CONNECT to its end, driven by the thread that calls it."""

    def __init__(self, access: _Access, client_id: str, clock: Clock, will: tuple[str, bytes] | None) -> None:
        self._access = access
        self._clock = clock
        self._answer: ReasonCode | None = None
        self._farewell = ""
        self._acknowledged: list[_Acknowledgement] = []
        self._is_v5 = access.settings.protocol == "5"
        self.in_flight = access.settings.in_flight
        self._client = self._make_client(client_id)
        if will:
            topic, payload = will
            self._client.will_set(topic, payload, _QOS, True, self._properties(PacketTypes.WILLMESSAGE))

    def open(self, within: float) -> None:
        """Connect, and wait for the broker's consent; BrokerError where it fails or takes longer."""
        settings = self._access.settings
        until = self._clock.monotonic() + within
        self._client.connect_timeout = within
        try:
            self._client.connect(settings.host, settings.port, settings.keepalive)
        except ssl.SSLError as error:
            why = getattr(error, "verify_message", "") or error.reason
            raise _DeliveryError(Failure.TLS, f"TLS cannot be agreed on: {why}") from error
        except (OSError, ValueError) as error:  # ValueError: a host name that cannot be one
            why = getattr(error, "strerror", None) or str(error)
            raise _DeliveryError(Failure.UNREACHABLE, f"cannot be reached: {why}") from error
        while self._answer is None:
            if self._clock.monotonic() >= until:
                raise _DeliveryError(Failure.TIMEOUT, f"the broker did not answer within {within:g} s")
            self.poll(POLL)
        if self._answer.is_failure:
            raise self._failure(MQTTErrorCode.MQTT_ERR_CONN_REFUSED)

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> int:
        """Send a message; its id, which the acknowledgement will bear."""
        info = self._client.publish(topic, payload, _QOS, retain, self._properties(PacketTypes.PUBLISH))
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise self._failure(info.rc)
        return info.mid

    def poll(self, timeout: float) -> list[_Acknowledgement]:
        """Send and receive for at most `timeout` seconds; BrokerError where the connection has ended."""
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
        """Let go of the socket: the broker publishes the will unless `close` came first."""
        if (sock := self._client.socket()) is not None:
            sock.close()
        self._client.on_connect = self._client.on_publish = self._client.on_disconnect = None

    def _make_client(self, client_id: str) -> Client:
        protocol = MQTTProtocolVersion.MQTTv5 if self._is_v5 else MQTTProtocolVersion.MQTTv311
        client = Client(CallbackAPIVersion.VERSION2, client_id, protocol=protocol, reconnect_on_failure=False)
        client.max_inflight_messages_set(0)  # bounded by our own count, so that paho queues nothing
        if self._access.settings.username:
            client.username_pw_set(self._access.settings.username, self._access.password)
        if self._access.tls:
            client.tls_set_context(self._access.tls)
        client.on_connect, client.on_publish = self._connected, self._published
        client.on_disconnect = self._disconnected
        return client

    def _properties(self, packet: int) -> Properties | None:
        """MQTT 5 says what the payload is; no expiry, since a late window is better than a missing one."""
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

    def _failure(self, code: MQTTErrorCode) -> _DeliveryError:
        """Why the connection has ended, as far as the broker told."""
        if self._answer is None:
            return _DeliveryError(
                Failure.LOST, f"the broker hung up instead of answering: {self._expectation}"
            )
        if self._answer.is_failure:
            return _DeliveryError(
                Failure.REFUSED, f"the broker refused the connection: {self._answer}{self._hint}"
            )
        if self._farewell:
            return _DeliveryError(Failure.LOST, f"the broker ended the connection: {self._farewell}")
        return _DeliveryError(Failure.LOST, f"the connection was lost: {error_string(code)}")

    @property
    def _hint(self) -> str:
        return "; try mqtt.protocol = '3.1.1'" if str(self._answer) == _WRONG_VERSION else ""

    @property
    def _expectation(self) -> str:
        tls = "with TLS" if self._access.tls else "without TLS"
        return f"is it MQTT {self._access.settings.protocol} {tls} that it speaks on this port?"


_Acknowledgement = tuple[int, ReasonCode]


@dataclass(frozen=True, slots=True)
class _Access:
    """How to reach the broker and prove who we are, with everything read and checked."""

    settings: MqttSettings
    tls: ssl.SSLContext | None
    password: str | None = field(repr=False)

    @property
    def name(self) -> str:
        """The broker, for a person."""
        return f"mqtt{'s' if self.tls else ''}://{self.settings.host}:{self.settings.port}"


def _access(settings: MqttSettings, beside: Path) -> _Access:
    password = None
    if settings.password_file:
        password = read_secret("mqtt.password_file", settings.password_file, beside)
    return _Access(settings, _tls(settings, beside) if settings.tls else None, password)


def _tls(settings: MqttSettings, beside: Path) -> ssl.SSLContext:
    """Checks the broker's certificate and its name, by the system's CAs unless one is configured."""
    try:
        ca = _readable("mqtt.ca_file", settings.ca_file, beside) if settings.ca_file else None
        context = ssl.create_default_context(cafile=ca)
    except ssl.SSLError:
        raise ConfigurationError(f"mqtt.ca_file = {settings.ca_file!r}: holds no PEM certificate") from None
    if settings.cert_file:
        certificate = _readable("mqtt.cert_file", settings.cert_file, beside)
        key = _readable("mqtt.key_file", settings.key_file, beside)
        try:
            context.load_cert_chain(certificate, key, password="")  # never asks on a terminal
        except ssl.SSLError:
            raise ConfigurationError(
                f"mqtt.cert_file = {settings.cert_file!r}, mqtt.key_file = {settings.key_file!r}: "
                "must be a PEM certificate and its own key without a passphrase"
            ) from None
    return context


def _readable(key: str, name: str, beside: Path) -> Path:
    path = secret_path(name, beside)
    try:
        path.open("rb").close()
    except OSError as error:
        raise ConfigurationError(f"{key} = {name!r}: {path} cannot be read: {error.strerror}") from None
    return path
