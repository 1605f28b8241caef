"""Messages wait here, on disk, until every receiver (the broker, a webhook) has acknowledged them.

One SQLite file in write-ahead mode with full synchronisation: what `commit` returned for survives a power
cut. Rows leave by acknowledgement, or from the oldest on when the outbox is full, which is counted. Beside
the rows lie the state that they were made from and the payloads that the broker has to retain: all of one
`commit` is on the disk or none of it.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import IntFlag
from pathlib import Path
from typing import Protocol

from edge.clock import Clock, SystemClock
from edge.config import Settings
from edge.delivery.outbox_file import UnusableError, fault_at_open, faults_of, move_aside, open_file
from edge.errors import OutsideError
from edge.ops.reasons import OutboxFault

log = logging.getLogger(__name__)

REMEMBERED = 10_000
"""Keys per topic that are known again after they were stored: a month of windows of five minutes."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Receiver(IntFlag):
    """Who acknowledges messages; the numbers are in the file."""

    NONE = 0
    MQTT = 1
    WEBHOOK = 2
    ANY = MQTT | WEBHOOK

    @classmethod
    def of(cls, settings: Settings) -> Receiver:
        """Those that are configured."""
        broker = cls.MQTT if settings.mqtt.enabled else cls.NONE
        return broker | (cls.WEBHOOK if settings.webhook.url else cls.NONE)


class NewMessage(Protocol):
    """A message to be stored. key: the same message has the same key in every run."""

    @property
    def topic(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def retained_as(self) -> str | None:
        """The topic that the broker retains the newest of these payloads on; None: on none."""

    def encode(self, sequence: int) -> bytes:
        """The payload, given the topic's next sequence number."""


@dataclass(frozen=True, slots=True)
class Row:
    """A message that waits. Ids grow in the order of `commit`; sequences count 1, 2, ... per topic."""

    id: int
    topic: str
    key: str
    sequence: int
    payload: bytes
    created_at: datetime


@dataclass(slots=True)
class _Change:
    """What a transaction adds to the outbox, to be counted once it is committed."""

    rows: Counter[int] = field(default_factory=Counter)  # by the receivers that they wait for
    bytes: int = 0
    dropped: int = 0


class Outbox:
    """The waiting messages of one box, for several threads of one process.

    max_rows and max_bytes (of payload) bound it: the oldest rows go first, the newest always stays.
    Opening raises UnusableError where the file is damaged or of another format, OutsideError where the disk
    is at fault, and ConfigurationError where only a person can help. Every later call raises OutsideError
    where the disk fails (full, read-only, gone); nothing was changed then, and the call may be repeated.

    on_set_aside: without it, an unusable file is not changed. With it, such a file is moved aside, at the
    opening or when it turns out later, and this is called with the reason. sync: whether `commit` waits for
    the disk; False is for simulations, as a power cut may then lose messages. receivers: those that each new
    message waits for; a message without any is not kept. What waits for a receiver that is not among them any
    more stays for the time when it is again.
    """

    def __init__(
        self,
        path: Path,
        max_rows: int,
        max_bytes: int,
        clock: Clock | None = None,
        on_set_aside: Callable[[OutboxFault], None] | None = None,
        *,
        sync: bool = True,
        receivers: Receiver = Receiver.MQTT,
    ) -> None:
        self._receivers = receivers
        self._path = path
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._clock = clock or SystemClock()
        self._on_set_aside = on_set_aside
        self._sync = sync
        self._lock = threading.Lock()
        self._rows = Counter[int]()  # by the receivers that they wait for
        self._bytes, self._dropped, self._newest = 0, 0, 0
        # By receiver: acknowledged rows that the disk has refused to change so far.
        self._acknowledged: dict[Receiver, set[int]] = {receiver: set() for receiver in Receiver}
        self._sequences: dict[str, int] = {}  # for a new file, should this one fail
        self._version = 0
        try:
            self._db = open_file(path, self._set_aside if on_set_aside else None, sync=sync)
        except UnusableError:
            if on_set_aside is None:
                raise
            self._start_new_file()
        self._measure()

    @property
    def depth(self) -> int:
        """Rows that wait for the receiver that is furthest behind."""
        return max((self.depth_of(receiver) for receiver in self._receivers), default=0)

    def depth_of(self, receiver: Receiver) -> int:
        """Rows that wait for a receiver."""
        return self._waiting_for(receiver) - len(self._acknowledged[receiver])

    def of(self, receiver: Receiver) -> ReceiverQueue:
        """What waits for one receiver."""
        return ReceiverQueue(self, receiver)

    @property
    def payload_bytes(self) -> int:
        """Bytes of payload that wait."""
        return self._bytes

    @property
    def dropped(self) -> int:
        """Rows dropped since the outbox was opened, because it was full."""
        return self._dropped

    @property
    def retained_version(self) -> int:
        """Grows with every change of what the broker has to retain."""
        return self._version

    def commit(
        self,
        messages: Sequence[NewMessage] = (),
        *,
        retained: Mapping[str, bytes] | None = None,
        state: Mapping[str, bytes] | None = None,
    ) -> list[Row]:
        """Store messages, what the broker has to retain by topic, and state by name: all or nothing of it.

        An empty retained payload asks for the topic to be cleared. A message whose key is known for its topic
        is left out; `knows` says which. When this returns, everything is on the disk.
        """
        with self._transaction() as change:
            rows, latest = [], dict(retained or {})
            for message in messages:
                if row := self._insert(message):
                    rows.append(row)
                    latest |= {message.retained_as: row.payload} if message.retained_as else {}
            if self._receivers:
                change.rows[self._receivers] += len(rows)
                change.bytes += sum(len(row.payload) for row in rows)
            version = self._retain(latest)
            self._db.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", (state or {}).items())
            self._trim(change)
        if state:
            self._forget_replaced()
        self._version = version
        self._newest = max([self._newest, *(row.id for row in rows)])
        self._sequences.update((row.topic, row.sequence) for row in rows)
        return rows

    def knows(self, topic: str, key: str) -> bool:
        """Whether this message was stored before: while it waits, and for `REMEMBERED` more of its topic."""
        with self.disk():
            return self._knows(topic, key)

    def pending(
        self,
        after: int,
        limit: int,
        without: Collection[str] = (),
        receiver: Receiver = Receiver.MQTT,
    ) -> list[Row]:
        """At most `limit` rows that wait for a receiver, or for one of several, oldest first.

        Their ids are above `after`, their topics none of `without`.
        """
        if after >= self._newest or not self._waiting_for(receiver):
            return []  # asked many times a second: no need to touch the file
        query = pending_query(receiver, len(without))
        with self.disk():
            found = self._db.execute(query, (after, *without, limit)).fetchall()
        return [
            Row(n, topic, key, sequence, payload, _EPOCH + at * _MICROSECOND)
            for n, topic, key, sequence, payload, at in found
            if n not in self._acknowledged.get(receiver, ())
        ]

    def state(self, prefix: str = "") -> dict[str, bytes]:
        """The state whose names begin with `prefix`, by name, as last committed."""
        query = "SELECT name, payload FROM state WHERE substr(name, 1, ?) = ? ORDER BY name"
        with self.disk():
            return dict(self._db.execute(query, (len(prefix), prefix)).fetchall())

    def retained(self, since: int = 0) -> dict[str, bytes]:
        """What the broker has to retain, by topic: all that changed after the version `since`."""
        query = "SELECT topic, payload FROM retained WHERE version > ? AND payload IS NOT NULL ORDER BY topic"
        with self.disk():
            return dict(self._db.execute(query, (since,)).fetchall())

    def retained_topics(self) -> list[str]:
        """The topics that the broker may retain something on, less the forgotten ones."""
        with self.disk():
            return [topic for (topic,) in self._db.execute("SELECT topic FROM retained ORDER BY topic")]

    def remember(self, topic: str) -> None:
        """Something will be retained by the broker on this topic, until `forget`."""
        with self._transaction():
            self._db.execute("INSERT INTO retained VALUES (?, NULL, 0) ON CONFLICT DO NOTHING", (topic,))

    def forget(self, topic: str) -> None:
        """Nothing is retained on this topic any more; a payload that was committed meanwhile stays."""
        with self._transaction():
            self._db.execute(
                "DELETE FROM retained WHERE topic = ? AND coalesce(length(payload), 0) = 0", (topic,)
            )

    def delete(self, ids: Collection[int], receiver: Receiver = Receiver.MQTT) -> None:
        """A receiver has acknowledged these rows: those that no other one waits for are deleted.

        Unknown ids are ignored. Where the disk fails, they no longer wait for it either, and are changed with
        the next change that succeeds.
        """
        try:
            with self._transaction() as change:
                for row_id in ids:
                    self._acknowledge(row_id, receiver, change)
        except OutsideError:
            self._acknowledged[receiver].update(ids)
            raise

    def close(self) -> None:
        """Close the file; the outbox cannot be used afterwards."""
        with self._lock:
            self._db.close()

    def _waiting_for(self, receiver: Receiver) -> int:
        """Rows on the disk that wait for a receiver, or for one of several; any thread may ask."""
        return sum(self._rows[waits] for waits in range(1, Receiver.ANY + 1) if waits & receiver)

    def _forget_replaced(self) -> None:
        """Leave no replaced state in the write-ahead log: a series of raw counts would show single visitors.

        A fault of the disk is ignored: everything is committed, and the next write will report it.
        """
        with suppress(OutsideError), self.disk():
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _knows(self, topic: str, key: str) -> bool:
        query = (
            "SELECT 1 FROM recent WHERE topic = ?1 AND key = ?2 "
            "UNION ALL SELECT 1 FROM messages WHERE topic = ?1 AND key = ?2"
        )
        return self._db.execute(query, (topic, key)).fetchone() is not None

    def _insert(self, message: NewMessage) -> Row | None:
        topic, key = message.topic, message.key
        if self._knows(topic, key):
            return None
        sequence = self._next_sequence(topic, key)
        payload, now = message.encode(sequence), self._clock.now()
        query = (
            "INSERT INTO messages (topic, key, sequence, payload, created_at, waits) "
            "VALUES (?, ?, ?, ?, ?, ?) RETURNING id"
        )
        created, waits = (now - _EPOCH) // _MICROSECOND, self._receivers
        row_id: int = self._db.execute(query, (topic, key, sequence, payload, created, waits)).fetchone()[0]
        if not waits:  # its id is used up all the same: the history counts on them
            self._db.execute("DELETE FROM messages WHERE id = ?", (row_id,))
        return Row(row_id, topic, key, sequence, payload, now)

    def _next_sequence(self, topic: str, key: str) -> int:
        query = "INSERT INTO sequences VALUES (?, 1) ON CONFLICT DO UPDATE SET last = last + 1 RETURNING last"
        sequence: int = self._db.execute(query, (topic,)).fetchone()[0]
        self._db.execute("INSERT INTO recent VALUES (?, ?, ?)", (topic, sequence, key))
        self._db.execute(
            "DELETE FROM recent WHERE topic = ? AND sequence <= ?", (topic, sequence - REMEMBERED)
        )
        return sequence

    def _retain(self, payloads: Mapping[str, bytes]) -> int:
        """Write what the broker has to retain; the version that this makes."""
        version = self._version + bool(payloads)
        self._db.executemany(
            "INSERT OR REPLACE INTO retained VALUES (?, ?, ?)",
            [(topic, payload, version) for topic, payload in payloads.items()],
        )
        return version

    def _trim(self, change: _Change) -> None:
        """Drop the oldest rows until the bounds hold again."""
        rows = self._rows.total() + change.rows.total()
        while rows > 1 and (rows > self._max_rows or self._bytes + change.bytes > self._max_bytes):
            self._remove("id = (SELECT min(id) FROM messages)", (), change)
            change.dropped += 1
            rows -= 1

    def _acknowledge(self, row_id: int, receiver: Receiver, change: _Change) -> None:
        """Delete a row that waits for this receiver alone; else the others' acknowledgements delete it."""
        self._remove("id = ? AND waits = ?", (row_id, receiver), change)
        query = "UPDATE messages SET waits = waits & ~?2 WHERE id = ?1 AND waits & ?2 RETURNING waits"
        for (left,) in self._db.execute(query, (row_id, receiver)).fetchall():
            change.rows[left | receiver] -= 1
            change.rows[left] += 1

    def _remove(self, which: str, parameters: tuple[int, ...], change: _Change) -> None:
        query = f"DELETE FROM messages WHERE {which} RETURNING length(payload), waits"  # noqa: S608 - ours
        for size, waits in self._db.execute(query, parameters).fetchall():
            change.rows[waits] -= 1
            change.bytes -= size

    @contextmanager
    def _transaction(self) -> Iterator[_Change]:
        """All of the block or nothing of it, on the disk when it ends; what it changed is counted then."""
        change = _Change()
        with self.disk():
            self._db.execute("BEGIN IMMEDIATE")
            forgotten = {receiver: set(ids) for receiver, ids in self._acknowledged.items()}
            try:
                for receiver, ids in forgotten.items():
                    for row_id in ids:
                        self._acknowledge(row_id, receiver, change)
                yield change
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
            for receiver, ids in forgotten.items():
                self._acknowledged[receiver] -= ids
            self._rows.update(change.rows)
            self._bytes += change.bytes
            self._dropped += change.dropped

    @contextmanager
    def disk(self) -> Iterator[None]:
        """Every access to the file runs in this context: one thread at a time, faults become OutsideError."""
        replace = self._replace if self._on_set_aside else None
        with self._lock, faults_of("outbox", self._path, replace):
            yield

    def _replace(self, why: UnusableError) -> None:
        """The file turned out to be damaged: its messages stay in it, and later ones go into a new file."""
        log.error("%s; %d messages wait in it", why, self._rows.total())
        self._set_aside(why, self._db)
        with suppress(sqlite3.Error):
            self._db.close()
        self._start_new_file()
        self._acknowledged = {receiver: set() for receiver in Receiver}
        self._measure()

    def _set_aside(self, why: UnusableError, db: sqlite3.Connection) -> None:
        """Move the open file aside: its last connection, once closed, would delete the write-ahead log."""
        with suppress(sqlite3.Error):  # as much as can still be read, so that no sequence is used twice
            self._sequences |= dict(db.execute("SELECT topic, last FROM sequences"))
        aside = move_aside(self._path, why.reason, self._clock.now())
        log.error("%s; the file was moved to %s, and a new one is used", why, aside)
        if self._on_set_aside:
            self._on_set_aside(why.reason)

    def _start_new_file(self) -> None:
        """Make a new file, in which sequences and ids continue."""
        self._db = open_file(self._path, None, sync=self._sync)
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany("INSERT INTO sequences VALUES (?, ?)", self._sequences.items())
        self._db.execute("INSERT INTO sqlite_sequence VALUES ('messages', ?)", (self._newest,))
        self._db.execute("COMMIT")

    def _measure(self) -> None:
        """Read the figures that are counted along from then on."""
        try:
            counted = self._db.execute(
                "SELECT waits, count(*), sum(length(payload)) FROM messages GROUP BY waits"
            ).fetchall()
            self._rows = Counter({waits: rows for waits, rows, _ in counted})
            self._bytes = sum(size for _, _, size in counted)
            self._newest = _largest([self._newest], self._db.execute("SELECT max(id) FROM messages"))
            self._version = _largest([self._version], self._db.execute("SELECT max(version) FROM retained"))
            self._sequences = dict(self._db.execute("SELECT topic, last FROM sequences"))
        except sqlite3.Error as error:
            self._db.close()
            raise fault_at_open(self._path, error) from None


class ReceiverQueue:
    """The outbox as one receiver sees it (`edge.delivery.session.Store`)."""

    def __init__(self, outbox: Outbox, receiver: Receiver) -> None:
        self._outbox = outbox
        self._receiver = receiver
        self.retained = outbox.retained
        self.retained_topics = outbox.retained_topics
        self.remember = outbox.remember
        self.forget = outbox.forget

    @property
    def depth(self) -> int:
        """Rows that wait for this receiver."""
        return self._outbox.depth_of(self._receiver)

    @property
    def retained_version(self) -> int:
        """See `Outbox.retained_version`."""
        return self._outbox.retained_version

    def pending(self, after: int, limit: int, without: Collection[str] = ()) -> list[Row]:
        """See `Outbox.pending`."""
        return self._outbox.pending(after, limit, without, self._receiver)

    def delete(self, ids: Collection[int]) -> None:
        """See `Outbox.delete`."""
        self._outbox.delete(ids, self._receiver)


def pending_query(receiver: Receiver, topics: int) -> str:
    """The query of `Outbox.pending`; topics: how many are left out. A parameter would not match the index."""
    marks = ", ".join("?" * topics)
    return (
        "SELECT id, topic, key, sequence, payload, created_at FROM messages "  # noqa: S608 - number and marks
        f"WHERE id > ? AND waits & {receiver:d} AND topic NOT IN ({marks}) ORDER BY id LIMIT ?"
    )


def _largest(known: list[int], found: Iterable[tuple[int | None]]) -> int:
    return max([*known, *(n for (n,) in found if n is not None)])
