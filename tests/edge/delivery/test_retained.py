"""Retained topics: the newest payload of each is sent, and those of removed cameras are cleared."""

from __future__ import annotations

import pytest

from edge.delivery.retained import RetainedTopics
from edge.delivery.topics import Topics
from edge.errors import OutsideError

TOPICS = Topics("instore", "store", "box")
DOOR, TILL = TOPICS.latest("door", "all"), TOPICS.latest("till", "all")


class Shelf:
    """A store in memory, whose notes fail while the disk is `full`."""

    def __init__(self, *topics: str) -> None:
        self.topics = set(topics)
        self.payloads: dict[str, bytes] = {}
        self.retained_version = 0
        self.full = False

    def put(self, topic: str, payload: bytes) -> None:
        self.payloads = {topic: payload}
        self.retained_version += 1

    def retained(self, since: int = 0) -> dict[str, bytes]:
        return self.payloads if self.retained_version > since else {}

    def retained_topics(self) -> set[str]:
        return self.topics

    def remember(self, topic: str) -> None:
        self._write()
        self.topics = {*self.topics, topic}

    def forget(self, topic: str) -> None:
        self._write()
        self.topics = self.topics - {topic}

    def _write(self) -> None:
        if self.full:
            raise OutsideError("outbox: the disk is full")


def opened(
    shelf: Shelf, *, may_retain: bool = True, only_broker: bool = True, faults: list[None] | None = None
) -> RetainedTopics:
    noted = [] if faults is None else faults
    return RetainedTopics(
        shelf,
        TOPICS,
        may_retain=may_retain,
        only_broker=only_broker,
        on_disk_fault=lambda: noted.append(None),
    )


def sent(retained: RetainedTopics, *cameras: str) -> list[tuple[str, bytes]]:
    return list(iter(lambda: retained.take(cameras), None))


def test_each_connection_sends_the_newest_payloads_and_then_what_changed() -> None:
    shelf = Shelf()
    shelf.put(DOOR, b"1")
    for _ in range(2):
        retained = opened(shelf)
        assert retained.waiting(["door"])
        assert sent(retained, "door") == [(DOOR, b"1")]
        assert not retained.waiting(["door"])
    shelf.put(DOOR, b"2")
    assert sent(retained, "door") == [(DOOR, b"2")]
    assert shelf.topics == {DOOR}


def test_the_topics_of_a_removed_camera_are_cleared_once_and_forgotten_when_acknowledged() -> None:
    shelf = Shelf(DOOR, TILL)
    retained = opened(shelf)
    assert sent(retained, "door") == [(TILL, b"")]
    assert shelf.topics == {DOOR, TILL}
    retained.acknowledged(TILL)
    assert shelf.topics == {DOOR}
    assert not retained.waiting(["door"])


def test_each_of_several_brokers_clears_the_topics_of_a_removed_camera() -> None:
    shelf = Shelf(TILL)
    for _broker in range(2):
        retained = opened(shelf, only_broker=False)
        assert sent(retained) == [(TILL, b"")]
        retained.acknowledged(TILL)
        assert not retained.waiting([])
    assert shelf.topics == {TILL}


def test_a_camera_that_is_back_before_the_acknowledgement_keeps_its_topic() -> None:
    shelf = Shelf(TILL)
    retained = opened(shelf)
    assert sent(retained) == [(TILL, b"")]
    shelf.put(TILL, b"1")
    assert sent(retained, "till") == [(TILL, b"1")]
    retained.acknowledged(TILL)
    assert shelf.topics == {TILL}


def test_an_empty_payload_clears_its_topic() -> None:
    shelf = Shelf(DOOR)
    shelf.put(DOOR, b"")
    retained = opened(shelf)
    assert sent(retained, "door") == [(DOOR, b"")]
    retained.acknowledged(DOOR)
    assert shelf.topics == set()


def test_nothing_is_cleared_on_a_broker_that_retains_nothing() -> None:
    shelf = Shelf(TILL)
    shelf.put(DOOR, b"")
    retained = opened(shelf, may_retain=False)
    assert sent(retained, "door") == []
    assert not retained.waiting(["door"])


def test_a_payload_of_a_camera_that_was_removed_meanwhile_is_not_sent() -> None:
    shelf = Shelf()
    shelf.put(TILL, b"1")
    assert sent(opened(shelf), "door") == []


def test_a_note_that_the_disk_refuses_delays_no_message(caplog: pytest.LogCaptureFixture) -> None:
    shelf, faults = Shelf(), list[None]()
    shelf.put(DOOR, b"1")
    shelf.full = True
    assert sent(opened(shelf, faults=faults), "door") == [(DOOR, b"1")]
    assert len(faults) == 1
    assert f"the retained topic {DOOR} is not recorded" in caplog.text
