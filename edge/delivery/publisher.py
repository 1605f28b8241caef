"""MQTT: sends messages from the outbox to the broker, and deletes them when they are acknowledged.

One thread does it all (`Publisher.run`), without the thread and the queue of paho: every connection is a new
client, a few messages at a time are handed to it, and those not acknowledged when it ends are read from the
outbox again. Delivery is at least once and in order per topic, except for messages that the broker
rejects (an ACL, a quota): they stay in the outbox and are sent again later, after younger ones.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edge.clock import Backoff, Clock
from edge.config import Broker, MqttSettings
from edge.delivery.access import BrokerAccess, read_access
from edge.delivery.connection import POLL, Connection, DeliveryError, TooLargeError
from edge.delivery.session import Session, Statuses, Store
from edge.delivery.topics import Topics
from edge.errors import BrokerError, OutsideError
from edge.ops.reasons import MqttFailure
from edge.types import CameraStatus

log = logging.getLogger(__name__)

ACKNOWLEDGE_WITHIN = 20.0
"""Seconds without any acknowledgement, while some are due, after which the connection is closed."""

STEADY = 10.0
"""Seconds that a connection must last for the next failure to count as the first: two clients with one client
id end each other's connection, and the broker accepts both every time."""

SUSPICIOUS = 3
"""Consecutive connections lost sooner than that, after which a second client is suspected."""

_SILENT = " Or does the broker refuse a message, as too large, retained or of QoS 1? MQTT 5 would report it."
"""MQTT 3.1.1 cannot report the reason: such a broker closes the connection."""


_SHARED_USER = (
    " Or does the broker take user names for client ids, while another client has the user name {!r}?"
)
"""`use_username_as_clientid` in mosquitto and EMQX: the boxes of a site share its user name."""


Connect = Callable[[BrokerAccess, str, Clock, tuple[str, bytes] | None], Connection]
"""Makes a connection that is not open yet: `Connection`, or a simulated network."""


def last_will(topics: Topics, statuses: Statuses) -> tuple[str, bytes]:
    """Topic and payload that the broker publishes when it loses the box."""
    return topics.box_status, statuses.box("offline", None, "connection lost")


def _ignore(_: Any) -> None:  # noqa: ANN401 - stands in for any callback
    """The default of the callbacks."""


class Publisher:
    """Sends messages and statuses to the broker, and retries after every fault outside the program.

    The constructor reads the password and the certificates and raises ConfigurationError that names the
    setting and the file; it opens no connection. `camera_status` may be called from any thread; everything
    else happens in the thread that calls `run`, the callbacks included:
    home_assistant: the first level of its topics, where the store holds announcements for it.
    on_connected(bool): the broker accepted us, or the connection ended. on_published(seconds): a message was
    acknowledged, this long after it was stored. on_failure(MqttFailure): a connection or a delivery failed.
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
        home_assistant: str = "",
        acknowledge_within: float = ACKNOWLEDGE_WITHIN,
        connect: Connect = Connection,
        on_connected: Callable[[bool], None] = _ignore,
        on_published: Callable[[float], None] = _ignore,
        on_failure: Callable[[MqttFailure], None] = _ignore,
    ) -> None:
        self._configured = self._access = read_access(settings, secrets_beside)
        self._connect = connect
        self._topics = Topics(settings.prefix, site, box, settings.client_id, home_assistant)
        self._which = 0  # of the brokers: the one to connect to next
        self._store = store
        self._statuses = statuses
        self._clock = clock
        self._backoff = Backoff(rng)
        self._acknowledge_within = acknowledge_within
        self._on_connected = on_connected
        self._on_published = on_published
        self._on_failure = on_failure
        self._lock = threading.Lock()
        self._cameras: dict[str, CameraStatus] = {}
        self._reasons: dict[Broker, str] = {}  # by broker: why it failed, as logged
        self._losses: dict[Broker, list[str]] = {}  # by broker, as logged
        self._largest: dict[Broker, int] = {}  # by broker: bytes of a packet, as last seen
        self._opened_at: float | None = None
        self._short_lived = 0
        self._drain_within: float | None = None
        self._deadline: float | None = None
        self.preview = False
        """Whether the status says that somebody looks at a picture; any thread may set it."""
        self.renewals = 0
        """Grows where the status of the box has something new; any thread may set it."""

    def camera_status(self, status: CameraStatus) -> None:
        """Publish this as the camera's state, now and on every connect."""
        with self._lock:
            self._cameras[status.camera_id] = status

    def forget_camera(self, camera: str) -> None:
        """The camera was removed: clear its retained messages."""
        with self._lock:
            self._cameras.pop(camera, None)

    def renew(self, access: BrokerAccess) -> None:
        """Use this password and these certificates from the next connection on."""
        self._configured = access

    def run(
        self,
        stop: threading.Event,
        beat: Callable[[], None] = lambda: None,
        *,
        drain_within: float | None = None,
    ) -> int:
        """Publish until `stop` is set, then drain; returns the number of messages that still wait.

        Draining sends messages until all are acknowledged or `drain_within` seconds have passed
        (`mqtt.drain_timeout` where it is None), publishes the status offline and disconnects. Messages that
        still wait stay in the store for the next run. `beat` is called before every step that may take long.
        """
        self._drain_within, self._deadline = drain_within, None
        while not self._nothing_left(stop):
            beat()
            try:
                self._serve(stop, beat)
                break
            except OutsideError as error:
                has_next = isinstance(error, BrokerError) and self._turn_to_next()
                self._report(error)
                if not has_next:
                    self._pause(stop)
        return self._store.depth

    def _turn_to_next(self) -> bool:
        """Whether a further broker is asked at once; after the last, or a steady connection: the first."""
        failed = self._lasted < STEADY
        self._which = (self._which + 1) % len(self._access.settings.brokers) if failed else 0
        return self._which > 0

    def _serve(self, stop: threading.Event, beat: Callable[[], None]) -> None:
        """One connection, from CONNECT to the drain; OutsideError where it fails before."""
        self._access = self._configured.to(self._which)
        will = last_will(self._topics, self._statuses)
        connection = self._connect(self._access, self._topics.client_id, self._clock, will)
        try:
            connection.open(min(self._access.settings.connect_timeout, max(POLL, self._remaining(stop))))
            of_failover = ", a broker of mqtt.failover" if self._which else ""
            log.info("connected to %s%s", self._access.name, of_failover)
            self._adapt(connection)
            self._opened_at = self._clock.monotonic()
            self._on_connected(True)
            try:
                self._converse(self._session(connection), stop, beat)
            finally:
                self._on_connected(False)
        finally:
            connection.cut()

    def _adapt(self, connection: Connection) -> None:
        """Log what this broker does not do; keep to the size that it has shown when it ended the last one."""
        losses = connection.limits.losses
        if losses != self._losses.get(self._access.broker, []):
            self._losses[self._access.broker] = losses
            for loss in losses:
                log.warning("%s: the broker is limited: %s", self._access.name, loss)
        if (largest := self._largest.get(self._access.broker)) is not None:
            connection.limit_packets(largest)

    def _converse(self, session: Session, stop: threading.Event, beat: Callable[[], None]) -> None:
        session.listen_for_birth()
        since, said = self._clock.now(), None
        while not (stop.is_set() and (session.idle(self._current()) or self._remaining(stop) == 0)):
            beat()
            if said != (now := (self.preview, self.renewals)):
                said = now
                session.say(self._statuses.box("online", since, preview=self.preview))
            session.step(self._current())
            if session.progressed and self._lasted >= STEADY:
                self._backoff.reset()
                self._reasons.clear()
                self._short_lived = 0
        session.goodbye(self._statuses.box("offline", self._clock.now(), "stopped"))

    def _session(self, connection: Connection) -> Session:
        return Session(
            connection,
            self._topics,
            self._store,
            self._statuses,
            clock=self._clock,
            backoff=self._backoff,
            acknowledge_within=self._acknowledge_within,
            on_published=self._on_published,
            on_failure=self._on_failure,
            only_broker=len(self._access.settings.brokers) == 1,
        )

    def _current(self) -> Mapping[str, CameraStatus]:
        with self._lock:
            return dict(self._cameras)

    def _remaining(self, stop: threading.Event) -> float:
        """Seconds left: infinite until `stop` is set, then the rest of the time for the drain."""
        if not stop.is_set():
            return float("inf")
        now = self._clock.monotonic()
        if self._deadline is None:
            within = self._drain_within
            self._deadline = now + (self._access.settings.drain_timeout if within is None else within)
        return max(0.0, self._deadline - now)

    def _nothing_left(self, stop: threading.Event) -> bool:
        """Whether no further connection is needed: stopped, and no message or no time is left."""
        return stop.is_set() and (self._store.depth == 0 or self._remaining(stop) == 0)

    def _report(self, error: OutsideError) -> None:
        """Count every failure; log it once, until the reason changes or the broker works again."""
        kind = error.kind if isinstance(error, DeliveryError) else MqttFailure.DISK
        self._largest.pop(self._access.broker, None)
        if isinstance(error, TooLargeError):
            self._largest[self._access.broker] = error.size - 1
        self._on_failure(kind)
        self._suspect_a_twin(kind)
        if str(error) != self._reasons.get(self._access.broker):
            self._reasons[self._access.broker] = str(error)
            log.warning(
                "%s: %s; %d messages wait",
                self._access.name,
                error,
                self._store.depth,
                extra={"failure": kind},
            )

    @property
    def _lasted(self) -> float:
        """Seconds since the broker accepted us, in this connection or the last one."""
        return 0.0 if self._opened_at is None else self._clock.monotonic() - self._opened_at

    def _suspect_a_twin(self, kind: MqttFailure) -> None:
        if kind is MqttFailure.LOST and self._opened_at is not None and self._lasted < STEADY:
            self._short_lived += 1
            if self._short_lived == SUSPICIOUS:
                log.warning(
                    "%s: %d connections were lost within seconds: is another client using the client id "
                    "%r?%s",
                    self._access.name,
                    SUSPICIOUS,
                    self._topics.client_id,
                    self._other_causes,
                )
        self._opened_at = None

    @property
    def _other_causes(self) -> str:
        settings = self._access.settings
        shared = _SHARED_USER.format(settings.username) if settings.username else ""
        return shared + ("" if settings.protocol == "5" else _SILENT)

    def _pause(self, stop: threading.Event) -> None:
        event = threading.Event() if stop.is_set() else stop
        self._clock.wait(event, min(self._backoff.next(), self._remaining(stop)))
