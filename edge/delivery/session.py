"""What one connection delivers: windows in order, statuses, and the acknowledgements that settle them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol

from edge.backoff import Backoff
from edge.clock import Clock
from edge.delivery.connection import POLL, Acknowledgement, Connection, DeliveryError, Failure
from edge.delivery.topics import Topics
from edge.errors import OutsideError
from edge.types import CameraStatus

log = logging.getLogger(__name__)

GOODBYE = 1.5  # seconds that the broker has to acknowledge the last message


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
    """Where windows wait (`edge.delivery.outbox`). Its methods raise OutsideError where the disk fails."""

    @property
    def depth(self) -> int:
        """Windows that wait."""

    def pending(self, after: int, limit: int, without: Collection[str] = ()) -> Sequence[Waiting]:
        """At most `limit` of them with an id above `after`, oldest first; no camera of `without`."""

    def delete(self, ids: Collection[int]) -> None:
        """Forget those that were acknowledged; they wait no more, even where this raises OutsideError."""

    def retained(self) -> Collection[str]:
        """The topics that `remember` was told of, in this run or an earlier one, less the forgotten ones."""

    def remember(self, topic: str) -> None:
        """Something will be retained on this topic."""

    def forget(self, topic: str) -> None:
        """Nothing is retained on it any more."""


class Statuses(Protocol):
    """Writes the retained payloads (`edge.release.messages.StatusEncoder`)."""

    def box(self, state: Literal["online", "offline"], since: datetime | None, reason: str = "") -> bytes:
        """The state of this box; `since` is None in a Last Will."""

    def camera(self, status: CameraStatus) -> bytes:
        """The state of a camera."""


class Session:
    """The deliveries of one connection: what was handed over, and what is due to be acknowledged."""

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
        self._retained = set(store.retained())
        self._taken_back: set[str] = set()  # topics that were sent an empty message, which clears them
        self._heard_at = clock.monotonic()
        self.progressed = False

    def say(self, payload: bytes) -> None:
        """Publish the box's status."""
        self._retain(self._topics.box_status, payload)

    def step(self, cameras: Mapping[str, CameraStatus]) -> None:
        """Hand over what may go, and take the acknowledgements of the next moment (at most `POLL`)."""
        self._announce(cameras)
        self._take_back(cameras)
        self._hand_over()
        self._copy_latest(cameras)
        self._take(self._connection.poll(POLL))
        if self._due and self._clock.monotonic() - self._heard_at > self._acknowledge_within:
            raise DeliveryError(
                Failure.TIMEOUT, f"the broker acknowledged nothing for {self._acknowledge_within:g} s"
            )

    def idle(self, cameras: Mapping[str, CameraStatus]) -> bool:
        """Everything is published and acknowledged."""
        unsaid = self._latest or cameras != self._announced or self._outdated(cameras)
        return not (self._due or self._store.depth or unsaid)

    def goodbye(self, payload: bytes) -> None:
        """Publish the last status and disconnect; without its acknowledgement the broker is left the will."""
        if not self._room:
            return
        self.say(payload)
        until = self._clock.monotonic() + GOODBYE
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
        self._announced = {c: status for c, status in self._announced.items() if c in cameras}

    def _take_back(self, cameras: Mapping[str, CameraStatus]) -> None:
        """Clear what this or an earlier run has retained and nobody keeps true any more.

        An empty retained message is how MQTT clears a topic (OASIS MQTT 5, 3.3.1.3).
        """
        for topic in self._outdated(cameras):
            if self._room:
                self._taken_back.add(topic)
                self._send(topic, b"", topic)

    def _outdated(self, cameras: Collection[str]) -> list[str]:
        """Topics to be cleared: those of cameras, sites and boxes that are configured no more."""
        kept = {self._topics.box_status}
        for camera in cameras:
            kept |= {self._topics.camera_status(camera), self._topics.latest(camera)}
        self._taken_back -= kept
        return sorted(self._retained - kept - self._taken_back)

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

    def _copy_latest(self, cameras: Collection[str]) -> None:
        """The retained copy of a camera's last window, once no younger one is on its way."""
        self._latest = {camera: window for camera, window in self._latest.items() if camera in cameras}
        busy = {window.camera for window in self._windows_due()}
        for camera in [camera for camera in self._latest if camera not in busy]:
            if self._room:
                self._retain(self._topics.latest(camera), self._latest.pop(camera).payload)

    def _windows_due(self) -> list[Waiting]:
        return [due for due in self._due.values() if not isinstance(due, str)]

    def _retain(self, topic: str, payload: bytes) -> None:
        if topic not in self._retained:
            self._note(self._store.remember, topic)
            self._retained.add(topic)
        self._send(topic, payload, topic)

    def _note(self, write: Callable[[str], None], topic: str) -> None:
        """A disk that refuses such a note holds up no message: at worst, a topic is not cleared later."""
        try:
            write(topic)
        except OutsideError as error:
            self._on_failure(Failure.DISK)
            log.warning("%s; the topic %s is not noted", error, topic)

    def _send(self, topic: str, payload: bytes, due: Waiting | str) -> None:
        if not self._due:
            self._heard_at = self._clock.monotonic()
        self._due[self._connection.publish(topic, payload, retain=isinstance(due, str))] = due

    def _take(self, acknowledged: Sequence[Acknowledgement]) -> None:
        """Forget what the broker has taken over; what it rejected stays."""
        taken: list[Waiting] = []
        for message_id, reason in acknowledged:
            due = self._due.pop(message_id)
            if reason.is_failure:
                self._reject(due, str(reason))
            elif not isinstance(due, str):
                taken.append(due)
            elif due in self._taken_back:
                self._retained.discard(due)
                self._note(self._store.forget, due)
        if acknowledged:
            self._heard_at = self._clock.monotonic()
            self.progressed = True
        if taken:
            self._settle(taken)

    def _settle(self, taken: Sequence[Waiting]) -> None:
        try:
            self._store.delete([window.id for window in taken])
        except OutsideError as error:  # the store keeps in mind that they wait no more
            self._on_failure(Failure.DISK)
            log.warning("%s; %d acknowledged windows are not forgotten yet", error, len(taken))
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
