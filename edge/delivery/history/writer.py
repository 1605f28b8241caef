"""The history as the daemon writes it: rows as they were published, and the newest retained payloads."""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from edge.clock import Clock, SystemClock
from edge.delivery.history.file import open_for_writing, packed, seconds, words
from edge.delivery.outbox import Row
from edge.delivery.outbox_file import UnusableError, faults_of, move_aside
from edge.ops.reasons import OutboxFault

log = logging.getLogger(__name__)

FILE = "history.db"
"""Its name in the state folder."""

PRUNE_EVERY = timedelta(hours=1)
"""Between two looks for rows that are too old."""

AT_ONCE = 500
"""Oldest rows that go together where the file is full."""


class History:
    """Published messages of the last `days`, in a file of at most some `max_bytes`; for several threads.

    An unusable file is moved aside, at the opening or later, and on_set_aside is called with the reason.
    Opening raises OutsideError where the disk is at fault and ConfigurationError where only a person can
    help; every later call raises OutsideError, has changed nothing then, and may be repeated.
    """

    def __init__(
        self,
        path: Path,
        days: int,
        max_bytes: int,
        clock: Clock | None = None,
        on_set_aside: Callable[[OutboxFault], None] = lambda reason: None,
    ) -> None:
        self._path = path
        self._kept = timedelta(days=days)
        self._max_bytes = max_bytes
        self._clock = clock or SystemClock()
        self._on_set_aside = on_set_aside
        self._lock = threading.Lock()
        self._prune_at: datetime | None = None
        try:
            self._db = open_for_writing(path)
        except UnusableError as error:
            self._move_aside(error)
            self._db = open_for_writing(path)
        self._words = words(self._db)

    @property
    def newest(self) -> int:
        """The id of the newest row of the outbox that was recorded; 0 for none."""
        with self._disk():
            found: int = self._db.execute("SELECT outbox FROM state").fetchone()[0]
            return found

    def record(self, rows: Sequence[Row], retained: Mapping[str, bytes] | None = None) -> None:
        """Keep these rows, and the newest payload of each of these topics; an empty one removes its topic.

        A row that is recorded again replaces the one before it.
        """
        with self._transaction():
            for row in rows:
                self._insert(row)
            for topic, payload in (retained or {}).items():
                self._retain(topic, payload)
            newest = max((row.id for row in rows), default=0)
            self._db.execute("UPDATE state SET version = version + 1, outbox = max(outbox, ?)", (newest,))
            self._prune()

    def close(self) -> None:
        """Close the file; the history cannot be used afterwards."""
        with self._lock:
            self._db.close()

    def _insert(self, row: Row) -> None:
        message = json.loads(row.payload)
        starts, ends = _span(message)
        self._db.execute("INSERT OR IGNORE INTO topics (topic) VALUES (?)", (row.topic,))
        self._db.execute(
            "INSERT OR REPLACE INTO messages SELECT id, ?, ?, ?, ?, ? FROM topics WHERE topic = ?",
            (
                seconds(ends),
                seconds(starts),
                message.get("period", "window"),
                seconds(row.created_at),
                packed(row.payload, self._words),
                row.topic,
            ),
        )

    def _retain(self, topic: str, payload: bytes) -> None:
        if payload:
            stored = packed(payload, self._words)
            self._db.execute("INSERT OR REPLACE INTO retained VALUES (?, ?)", (topic, stored))
        else:
            self._db.execute("DELETE FROM retained WHERE topic = ?", (topic,))

    def _prune(self) -> None:
        """Remove what is too old, once in a while, and the oldest rows while the file is too large."""
        now = self._clock.now()
        if self._prune_at is None or abs(now - self._prune_at) >= PRUNE_EVERY:
            self._prune_at = now
            self._db.execute("DELETE FROM messages WHERE stored < ?", (seconds(now - self._kept),))
        while self._used() > self._max_bytes and self._remove_oldest():
            pass

    def _used(self) -> int:
        pages, free, size = (
            self._db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def _remove_oldest(self) -> int:
        """Remove some rows; how many."""
        oldest = (
            "DELETE FROM messages WHERE (topic, ends, starts, period) IN "
            "(SELECT topic, ends, starts, period FROM messages ORDER BY stored LIMIT ?)"
        )
        return self._db.execute(oldest, (AT_ONCE,)).rowcount

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._disk():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    @contextmanager
    def _disk(self) -> Iterator[None]:
        """Every access to the file runs in this context: one thread at a time, faults become OutsideError."""
        with self._lock, faults_of("history", self._path, self._start_again):
            yield

    def _start_again(self, why: UnusableError) -> None:
        """The file turned out to be damaged: a new one is used."""
        self._move_aside(why)
        with suppress(sqlite3.Error):
            self._db.close()
        self._db = open_for_writing(self._path)
        self._words = words(self._db)

    def _move_aside(self, why: UnusableError) -> None:
        aside = move_aside(self._path, why.reason, self._clock.now())
        log.error("%s; the file was moved to %s, and a new one is used", why, aside)
        self._on_set_aside(why.reason)


def _span(message: Mapping[str, Any]) -> tuple[datetime, datetime]:
    """Start and end of what a message is about."""
    times = message.get("figures", message)
    return datetime.fromisoformat(times["start"]), datetime.fromisoformat(times["end"])
