"""The deliveries of one connection: messages in order, retained payloads, and their acknowledgements."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Literal, Protocol

from edge.clock import Backoff, Clock
from edge.delivery.connection import POLL, TOO_LARGE, Acknowledgement, Connection, DeliveryError
from edge.delivery.retained import RetainedStore, RetainedTopics
from edge.delivery.topics import Topics
from edge.errors import OutsideError
from edge.ops.reasons import MqttFailure
from edge.types import CameraStatus

log = logging.getLogger(__name__)

GOODBYE = 1.5  # seconds that the broker has to acknowledge the last message


class Waiting(Protocol):
    """A message that waits for its acknowledgement."""

    @property
    def id(self) -> int: ...
    @property
    def topic(self) -> str: ...
    @property
    def payload(self) -> bytes: ...
    @property
    def created_at(self) -> datetime: ...


class Store(RetainedStore, Protocol):
    """Where messages wait (`edge.delivery.outbox`). Its methods raise OutsideError where the disk fails."""

    @property
    def depth(self) -> int:
        """Messages that wait."""

    def pending(self, after: int, limit: int, without: Collection[str] = ()) -> Sequence[Waiting]:
        """At most `limit` of them with an id above `after`, oldest first; no topic of `without`."""

    def delete(self, ids: Collection[int]) -> None:
        """Delete acknowledged messages; they no longer wait, even if this raises OutsideError."""


class Statuses(Protocol):
    """Writes the status payloads (`edge.release.messages`)."""

    def box(
        self,
        state: Literal["online", "offline"],
        since: datetime | None,
        reason: str = "",
        *,
        preview: bool = False,
    ) -> bytes:
        """The state of this box; `since` is None in a Last Will."""

    def camera(self, status: CameraStatus) -> bytes:
        """The state of a camera."""


class Session:
    """The deliveries of one connection: the messages in flight, and those that are due."""

    def __init__(
        self,
        connection: Connection,
        topics: Topics,
        store: Store,
        statuses: Statuses,
        *,
        clock: Clock,
        backoff: Backoff,
        acknowledge_within: float,
        on_published: Callable[[float], None],
        on_failure: Callable[[MqttFailure], None],
        only_broker: bool,
    ) -> None:
        """only_broker: as of `RetainedTopics`."""
        self._connection = connection
        self._topics = topics
        self._store = store
        self._statuses = statuses
        self._clock = clock
        self._backoff = backoff
        self._acknowledge_within = acknowledge_within
        self._on_published = on_published
        self._on_failure = on_failure
        # By message id: a row of the store, or the topic of a retained message.
        self._in_flight: dict[int, Waiting | str] = {}
        self._cursor = 0
        self._announced: dict[str, CameraStatus] = {}
        self._rejections: dict[str, int] = {}  # by topic: consecutive pauses, less one
        self._resting: dict[str, float] = {}  # by topic: until when nothing is sent to it
        self._complaints: dict[str, str] = {}  # by topic: the reason that was logged
        self._too_large: set[int] = set()  # rows that this connection does not carry
        self._retained = RetainedTopics(
            store,
            topics,
            may_retain=connection.may_retain,
            only_broker=only_broker,
            on_disk_fault=partial(on_failure, MqttFailure.DISK),
        )
        self._heard_at = clock.monotonic()
        self.progressed = False

    def listen_for_birth(self) -> None:
        """When Home Assistant has started, announce everything to it again."""
        if self._topics.birth:
            self._connection.subscribe([self._topics.birth], self._born, lambda: None)

    def _born(self, payload: bytes) -> None:
        if payload == b"online":
            self._retained.send_again()
            self._announced.clear()

    def say(self, payload: bytes) -> None:
        """Publish the box's status."""
        self._send_retained(self._topics.box_status, payload)

    def step(self, cameras: Mapping[str, CameraStatus]) -> None:
        """Send the messages that are due, and process acknowledgements for at most `POLL` seconds."""
        self._announce(cameras)
        while self._room and (message := self._retained.take(cameras)):
            self._send(*message, message[0])
        self._hand_over()
        self._take(self._connection.poll(POLL))
        if self._in_flight and self._clock.monotonic() - self._heard_at > self._acknowledge_within:
            raise DeliveryError(
                MqttFailure.TIMEOUT, f"the broker acknowledged nothing for {self._acknowledge_within:g} s"
            )

    def idle(self, cameras: Mapping[str, CameraStatus]) -> bool:
        """Whether everything is published and acknowledged."""
        unsaid = cameras != self._announced or self._retained.waiting(cameras)
        return not (self._in_flight or self._store.depth or unsaid)

    def goodbye(self, payload: bytes) -> None:
        """Publish the last status and disconnect; without its acknowledgement the broker sends the will."""
        if not self._room:
            return
        self.say(payload)
        until = self._clock.monotonic() + GOODBYE
        while self._topics.box_status in self._in_flight.values():
            if self._clock.monotonic() >= until:
                return
            self._take(self._connection.poll(POLL))
        self._connection.close()

    @property
    def _room(self) -> int:
        """How many more messages may be in flight."""
        return max(0, self._connection.in_flight - len(self._in_flight))

    def _announce(self, cameras: Mapping[str, CameraStatus]) -> None:
        for camera, status in cameras.items():
            if self._room and self._announced.get(camera) != status:
                self._send_retained(self._topics.camera_status(camera), self._statuses.camera(status))
                self._announced[camera] = status
        self._announced = {c: status for c, status in self._announced.items() if c in cameras}

    def _hand_over(self) -> None:
        """Send messages, oldest first; those of a rejected topic wait and do not delay the others."""
        self._end_rests()
        if not self._room:
            return
        for row in self._store.pending(self._cursor, self._room, self._resting):
            self._cursor = row.id
            if row.id in self._too_large or row.id in {sent.id for sent in self._rows_in_flight()}:
                continue
            self._send(row.topic, row.payload, row)

    def _end_rests(self) -> None:
        """Try topics again whose pause is over, from their oldest message on."""
        now = self._clock.monotonic()
        for topic in [topic for topic, until in self._resting.items() if until <= now]:
            del self._resting[topic]
            self._cursor = 0

    def _rows_in_flight(self) -> list[Waiting]:
        return [sent for sent in self._in_flight.values() if not isinstance(sent, str)]

    def _send_retained(self, topic: str, payload: bytes) -> None:
        self._retained.retain(topic)
        self._send(topic, payload, topic)

    def _send(self, topic: str, payload: bytes, sent: Waiting | str) -> None:
        if not self._connection.fits(topic, payload):
            self._leave_out(sent, self._connection.packet_size(topic, payload))
            return
        if not self._in_flight:
            self._heard_at = self._clock.monotonic()
        self._in_flight[self._connection.publish(topic, payload, retain=isinstance(sent, str))] = sent

    def _take(self, acknowledged: Sequence[Acknowledgement]) -> None:
        """Delete the messages that the broker accepted; rejected ones stay."""
        taken: list[Waiting] = []
        for message_id, reason in acknowledged:
            sent = self._in_flight.pop(message_id)
            if reason.value == TOO_LARGE:
                self._leave_out(sent)
            elif reason.is_failure:
                self._reject(sent, str(reason))
            elif not isinstance(sent, str):
                taken.append(sent)
            else:
                self._retained.acknowledged(sent)
        if acknowledged:
            self._heard_at = self._clock.monotonic()
            self.progressed = True
        if taken:
            self._settle(taken)

    def _settle(self, taken: Sequence[Waiting]) -> None:
        try:
            self._store.delete([row.id for row in taken])
        except OutsideError as error:  # the store remembers that they no longer wait
            self._on_failure(MqttFailure.DISK)
            log.warning("%s; %d acknowledged messages are not deleted yet", error, len(taken))
        for row in taken:
            self._rejections.pop(row.topic, None)
            self._on_published(max(0.0, (self._clock.now() - row.created_at).total_seconds()))

    def _reject(self, sent: Waiting | str, reason: str) -> None:
        """A row stays in the store and its topic pauses; a retained message is replaced by the next one."""
        topic = sent if isinstance(sent, str) else sent.topic
        self._complain(
            topic, MqttFailure.REJECTED, reason, f"the broker rejects messages to {topic}: {reason}"
        )
        if not isinstance(sent, str) and topic not in self._resting:
            times = self._rejections[topic] = self._rejections.get(topic, -1) + 1
            self._resting[topic] = self._clock.monotonic() + self._backoff.after(times)

    def _leave_out(self, sent: Waiting | str, size: int | None = None) -> None:
        """A message that is too large delays no other; a row stays in the store for the next connection."""
        topic = sent if isinstance(sent, str) else sent.topic
        if not isinstance(sent, str):
            self._too_large.add(sent.id)
        what = f"a message of {size} bytes to {topic}" if size else f"a message to {topic}"
        text = f"{what} is too large for the broker and is not sent; raise the broker's limit"
        self._complain(topic, MqttFailure.TOO_LARGE, "too large", text)

    def _complain(self, topic: str, failure: MqttFailure, reason: str, text: str) -> None:
        """Count a message that was not taken; log it once for each topic and reason."""
        self._on_failure(failure)
        if self._complaints.get(topic) != reason:
            self._complaints[topic] = reason
            log.warning("%s", text, extra={"failure": failure})
