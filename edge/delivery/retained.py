"""Retained topics: which messages the broker has to retain, and which topics of removed cameras to clear."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from edge.delivery.topics import Topics
from edge.errors import OutsideError

log = logging.getLogger(__name__)


class RetainedStore(Protocol):
    """Where retained payloads and topics are stored. Its methods raise OutsideError where the disk fails."""

    @property
    def retained_version(self) -> int:
        """Grows with every change of what the broker has to retain."""

    def retained(self, since: int = 0) -> Mapping[str, bytes]:
        """What the broker has to retain, by topic: all that changed after the version `since`."""

    def retained_topics(self) -> Collection[str]:
        """The topics with a retained message, from this run or an earlier one."""

    def remember(self, topic: str) -> None:
        """Note that a message will be retained on this topic."""

    def forget(self, topic: str) -> None:
        """Note that no message is retained on this topic any more."""


class RetainedTopics:
    """The retained messages of one connection: those to send, and the topics to clear.

    A topic is cleared where its payload is empty, and where its camera, site or box was removed, in this run
    or an earlier one. An empty retained message is how MQTT clears a topic (OASIS MQTT 5, 3.3.1.3).
    """

    def __init__(
        self,
        store: RetainedStore,
        topics: Topics,
        *,
        may_retain: bool,
        only_broker: bool,
        on_disk_fault: Callable[[], None],
    ) -> None:
        """may_retain: whether the broker retains messages; where it does not, no topic is cleared.

        only_broker: whether no other broker may retain our messages. A cleared topic is forgotten only then;
        otherwise every connection clears it, as the store does not say which brokers have.
        on_disk_fault: called for each note that the store could not write.
        """
        self._store = store
        self._topics = topics
        self._may_retain = may_retain
        self._only_broker = only_broker
        self._on_disk_fault = on_disk_fault
        self._retained = set(store.retained_topics())
        self._version = -1  # everything is sent again on every connection
        self._to_send: dict[str, bytes] = {}
        self._cleared: set[str] = set()  # topics that were sent an empty message

    def waiting(self, cameras: Collection[str]) -> bool:
        """Whether there is a message to send, or a topic to clear."""
        unread = self._store.retained_version > self._version
        return bool(self._to_send or unread or self._outdated(cameras))

    def take(self, cameras: Collection[str]) -> tuple[str, bytes] | None:
        """The next topic and its payload, empty to clear it; None where all are sent."""
        for topic in self._outdated(cameras):
            return self._clear(topic)
        self._read_changes()
        while self._to_send:
            topic = next(iter(self._to_send))
            payload = self._to_send.pop(topic)
            if payload and self._topics.belongs(topic, cameras):
                self.retain(topic)
                return topic, payload
            if not payload and self._may_retain:
                return self._clear(topic)
        return None

    def send_again(self) -> None:
        """Send all retained messages once more, on this connection."""
        self._version = -1

    def retain(self, topic: str) -> None:
        """A message is about to be sent on this topic."""
        self._cleared.discard(topic)
        if topic not in self._retained:
            self._note(self._store.remember, topic)
            self._retained.add(topic)

    def acknowledged(self, topic: str) -> None:
        """The broker has taken the last message on this topic."""
        if topic in self._cleared:
            self._retained.discard(topic)
            if self._only_broker:
                self._note(self._store.forget, topic)

    def _outdated(self, cameras: Collection[str]) -> list[str]:
        """Topics to be cleared: those of cameras, sites and boxes that are no longer configured."""
        if not self._may_retain:
            return []  # nothing of ours is there, and an empty message would reach current subscribers
        outdated = {topic for topic in self._retained if not self._topics.belongs(topic, cameras)}
        return sorted(outdated - self._cleared)

    def _read_changes(self) -> None:
        if (version := self._store.retained_version) > self._version:
            self._to_send |= self._store.retained(self._version)
            self._version = version

    def _clear(self, topic: str) -> tuple[str, bytes]:
        self._cleared.add(topic)
        return topic, b""

    def _note(self, write: Callable[[str], None], topic: str) -> None:
        """Write a note. If the disk fails, no message is delayed: at worst, a topic is not cleared later."""
        try:
            write(topic)
        except OutsideError as error:
            self._on_disk_fault()
            log.warning("%s; the retained topic %s is not recorded", error, topic)
