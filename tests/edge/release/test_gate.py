"""The gate: what is put is released, encoded and stored once; what is open outlives the process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from edge.delivery.outbox import Outbox
from edge.errors import OutsideError
from edge.release.gate import Gate, MemoryStore, Store, id_of
from edge.release.messages import encode_open
from edge.types import Coverage, WindowCounts

START = datetime(2026, 1, 31, 8, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
WINDOW = WindowCounts("store", "door", "all", START, START + MINUTE, {"0-17": 2, "18+": 9}, 0, Coverage())


def window(minute: int, camera: str = "door") -> WindowCounts:
    start = START + minute * MINUTE
    return replace(WINDOW, camera_id=camera, start=start, end=start + MINUTE)


def gate(store: Store, minimum: int = 1) -> Gate:
    return Gate(store, minimum=minimum, model_name="painted", model_version="1")


def taken(store: MemoryStore) -> list[dict[str, Any]]:
    return [json.loads(payload) for payload in store.take()]


@pytest.fixture(params=["memory", "outbox"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Every store that the gate is used with."""
    if request.param == "memory":
        yield MemoryStore()
        return
    with closing(Outbox(tmp_path / "outbox.db", 100, 1 << 20)) as outbox:
        yield outbox


class TestStores:
    def test_numbers_the_windows_of_each_camera(self, store: Store) -> None:
        sequences: list[int] = []

        def encode(sequence: int) -> bytes:
            sequences.append(sequence)
            return b"payload"

        for camera in ("door", "door", "till", "door"):
            assert store.put(camera, f"{camera} {len(sequences)}", encode) is not None
        assert sequences == [1, 2, 1, 3]

    def test_takes_a_window_once(self, store: Store) -> None:
        assert not store.knows("door", "one")
        store.put("door", "one", lambda _: b"payload")
        assert store.knows("door", "one")
        assert store.put("door", "one", lambda _: b"other") is None

    def test_a_window_that_cannot_be_encoded_leaves_nothing(self, store: Store) -> None:
        def encode(_: int) -> bytes:
            raise ValueError("a bug")

        with pytest.raises(ValueError, match="a bug"):
            store.put("door", "one", encode)
        assert not store.knows("door", "one")

    def test_keeps_the_last_checkpoint_only(self, store: Store) -> None:
        assert store.open_windows() == []
        store.keep_open([b"one", b"two"])
        store.keep_open([b"three"])
        assert store.open_windows() == [b"three"]


class TestGate:
    def test_stores_what_may_be_published(self) -> None:
        store = MemoryStore()
        assert gate(store, minimum=5).put(WINDOW)
        (message,) = taken(store)
        assert message["counts"] == {"0-17": None, "18+": None}
        assert message["total"] == 11
        assert message["model"] == {"name": "painted", "version": "1"}

    def test_numbers_them_by_camera(self) -> None:
        store = MemoryStore()
        one = gate(store)
        for closed in (window(0), window(0, "till"), window(1)):
            one.put(closed)
        assert [(m["camera"], m["sequence"]) for m in taken(store)] == [("door", 1), ("till", 1), ("door", 2)]
        assert store.take() == []

    def test_refuses_a_window_that_was_stored_before(self) -> None:
        store = MemoryStore()
        one = gate(store)
        assert one.put(WINDOW)
        assert not one.put(replace(WINDOW, unclassified=4))
        assert len(store.take()) == 1

    def test_a_new_minimum_holds_from_the_next_window_on(self) -> None:
        store = MemoryStore()
        one = gate(store)
        one.put(window(0))
        one.minimum = 5
        one.put(window(1))
        assert [message["counts"]["0-17"] for message in taken(store)] == [2, None]

    def test_gives_back_what_was_open_but_not_what_was_stored_since(self) -> None:
        """A kill between a window's closing and the next checkpoint must not count it twice."""
        store = MemoryStore()
        one = gate(store)
        one.keep_open([window(0), window(1)])
        one.put(window(0))
        assert gate(store).left_open() == [window(1)]

    def test_a_checkpoint_that_the_disk_has_damaged_ends_no_start(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Else it would end every start: the process comes back to the same disk."""
        store, whole = MemoryStore(), encode_open(WINDOW)
        store.keep_open([b"\xff", whole[:-5], whole, b"[]"])
        assert gate(store).left_open() == [WINDOW]
        assert caplog.text.count("unreadable window") == 3

    def test_a_fault_of_the_disk_is_the_caller_s_to_retry(self) -> None:
        class Refusing(MemoryStore):
            def put(self, *_: object) -> bytes | None:
                raise OutsideError("disk full")

        with pytest.raises(OutsideError, match="disk full"):
            gate(Refusing()).put(WINDOW)

    def test_the_id_is_that_of_the_message(self) -> None:
        store = MemoryStore()
        gate(store).put(WINDOW)
        assert taken(store)[0]["window_id"] == id_of(WINDOW)
