"""Closed windows wait here, on disk, until the broker has acknowledged them.

One SQLite file in write-ahead mode with full synchronisation: what `put` returned for survives a power cut.
Rows leave by acknowledgement, or from the oldest on when the outbox is full, which is counted.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from edge.clock import Clock, SystemClock
from edge.errors import ConfigurationError, OutsideError

REMEMBERED = 10_000
"""Windows per camera that are known again after they were put: a month of windows of five minutes."""

_FORMAT = 2
_APPLICATION = 0x494E5354  # "INST", so that no other program's database is taken for an outbox
_PATIENCE = 2.0  # seconds that a predecessor may take to let go of the file
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SCHEMA = f"""
BEGIN;
CREATE TABLE windows (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given twice: readers page by it
    camera TEXT NOT NULL,
    window_id TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    payload BLOB NOT NULL,
    created_at INTEGER NOT NULL,           -- microseconds since 1970
    UNIQUE (camera, window_id)
);
CREATE TABLE sequences (camera TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE recent (
    camera TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    window_id TEXT NOT NULL,
    PRIMARY KEY (camera, sequence),
    UNIQUE (camera, window_id)
) WITHOUT ROWID;
CREATE TABLE open_windows (payload BLOB NOT NULL);
CREATE TABLE retained (topic TEXT PRIMARY KEY) WITHOUT ROWID;
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {_FORMAT};
COMMIT;
"""
# From each older format to the next.
_UPGRADES = {1: "CREATE TABLE retained (topic TEXT PRIMARY KEY) WITHOUT ROWID"}
_ELSEWHERE = "set outbox.directory to a folder that this user may write to"
_FAULTS = {
    sqlite3.SQLITE_BUSY: "is in use by another process; stop it, or set another outbox.directory",
    sqlite3.SQLITE_NOTADB: "is not an SQLite database; move it away",
    sqlite3.SQLITE_CORRUPT: "is damaged; move it away",
    sqlite3.SQLITE_CANTOPEN: f"cannot be opened; {_ELSEWHERE}",
    sqlite3.SQLITE_READONLY: f"is read-only; {_ELSEWHERE}",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A window that waits. Ids grow in the order of `put`; sequences count 1, 2, ... per camera."""

    id: int
    camera: str
    window_id: str
    sequence: int
    payload: bytes
    created_at: datetime


@dataclass(slots=True)
class _Change:
    """What a transaction adds to the outbox, to be counted once it is committed."""

    rows: int = 0
    bytes: int = 0
    dropped: int = 0


class Outbox:
    """The waiting windows of one box, for several threads of one process.

    max_rows and max_bytes (of payload) bound it: the oldest rows go first, the newest always stays.
    Opening raises ConfigurationError where the file cannot be used. Every later call raises OutsideError
    where the disk fails (full, read-only, gone); nothing was changed then, and the call may be repeated.
    """

    def __init__(self, path: Path, max_rows: int, max_bytes: int, clock: Clock | None = None) -> None:
        self._path = path
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._rows, self._bytes, self._dropped, self._newest = 0, 0, 0, 0
        self._db = _open(path)
        try:
            self._rows, self._bytes, self._newest = self._db.execute(
                "SELECT count(*), coalesce(sum(length(payload)), 0), coalesce(max(id), 0) FROM windows"
            ).fetchone()
        except sqlite3.Error as error:
            self._db.close()
            raise ConfigurationError(f"{path}: {_fault(error)}") from None

    @property
    def depth(self) -> int:
        """Rows that wait."""
        return self._rows

    @property
    def payload_bytes(self) -> int:
        """Bytes of payload that wait."""
        return self._bytes

    @property
    def dropped(self) -> int:
        """Rows given up since the outbox was opened, because it was full."""
        return self._dropped

    def put(self, camera: str, window_id: str, encode: Callable[[int], bytes]) -> Row | None:
        """Store the payload that `encode` makes for the camera's next sequence; None if the window is known.

        A window is known while it waits, and for the next `REMEMBERED` windows of its camera. When this
        returns, the row is on the disk.
        """
        with self._transaction() as change:
            if self._knows(camera, window_id):
                return None
            sequence = self._next_sequence(camera, window_id)
            payload, now = encode(sequence), self._clock.now()
            row_id = self._insert(camera, window_id, sequence, payload, (now - _EPOCH) // _MICROSECOND)
            change.rows += 1
            change.bytes += len(payload)
            self._trim(change)
            self._newest = row_id
        return Row(row_id, camera, window_id, sequence, payload, now)

    def pending(self, after: int, limit: int, without: Collection[str] = ()) -> list[Row]:
        """At most `limit` waiting rows with an id above `after`, oldest first; no camera of `without`."""
        if after >= self._newest:
            return []  # asked many times a second: no need to touch the file
        marks = ", ".join("?" * len(without))
        query = (
            "SELECT id, camera, window_id, sequence, payload, created_at FROM windows "  # noqa: S608 - only marks
            f"WHERE id > ? AND camera NOT IN ({marks}) ORDER BY id LIMIT ?"
        )
        with self._disk():
            found = self._db.execute(query, (after, *without, limit)).fetchall()
        return [
            Row(n, camera, window, sequence, payload, _EPOCH + at * _MICROSECOND)
            for n, camera, window, sequence, payload, at in found
        ]

    def keep_open(self, payloads: Sequence[bytes]) -> None:
        """Remember windows that are still open, in place of those remembered before."""
        with self._transaction():
            self._db.execute("DELETE FROM open_windows")
            self._db.executemany("INSERT INTO open_windows VALUES (?)", [(p,) for p in payloads])

    def open_windows(self) -> list[bytes]:
        """What `keep_open` was last given."""
        with self._disk():
            return [payload for (payload,) in self._db.execute("SELECT payload FROM open_windows")]

    def retained(self) -> list[str]:
        """The topics that `remember` was told of, less the forgotten ones."""
        with self._disk():
            return [topic for (topic,) in self._db.execute("SELECT topic FROM retained ORDER BY topic")]

    def remember(self, topic: str) -> None:
        """Something will be retained by the broker on this topic, until `forget`."""
        with self._transaction():
            self._db.execute("INSERT INTO retained VALUES (?) ON CONFLICT DO NOTHING", (topic,))

    def forget(self, topic: str) -> None:
        """Nothing is retained on this topic any more."""
        with self._transaction():
            self._db.execute("DELETE FROM retained WHERE topic = ?", (topic,))

    def delete(self, ids: Collection[int]) -> None:
        """Forget rows that the broker has acknowledged; unknown ids are ignored."""
        with self._transaction() as change:
            for row_id in ids:
                self._remove("id = ?", (row_id,), change)

    def close(self) -> None:
        """Close the file; the outbox cannot be used afterwards."""
        with self._lock:
            self._db.close()

    def _knows(self, camera: str, window_id: str) -> bool:
        query = (
            "SELECT 1 FROM recent WHERE camera = ?1 AND window_id = ?2 "
            "UNION ALL SELECT 1 FROM windows WHERE camera = ?1 AND window_id = ?2"
        )
        return self._db.execute(query, (camera, window_id)).fetchone() is not None

    def _next_sequence(self, camera: str, window_id: str) -> int:
        query = "INSERT INTO sequences VALUES (?, 1) ON CONFLICT DO UPDATE SET last = last + 1 RETURNING last"
        sequence: int = self._db.execute(query, (camera,)).fetchone()[0]
        self._db.execute("INSERT INTO recent VALUES (?, ?, ?)", (camera, sequence, window_id))
        self._db.execute(
            "DELETE FROM recent WHERE camera = ? AND sequence <= ?", (camera, sequence - REMEMBERED)
        )
        return sequence

    def _insert(self, *fields: str | int | bytes) -> int:
        query = (
            "INSERT INTO windows (camera, window_id, sequence, payload, created_at) "
            "VALUES (?, ?, ?, ?, ?) RETURNING id"
        )
        row_id: int = self._db.execute(query, fields).fetchone()[0]
        return row_id

    def _trim(self, change: _Change) -> None:
        """Give up the oldest rows until the bounds hold again."""
        while self._rows + change.rows > 1 and (
            self._rows + change.rows > self._max_rows or self._bytes + change.bytes > self._max_bytes
        ):
            self._remove("id = (SELECT min(id) FROM windows)", (), change)
            change.dropped += 1

    def _remove(self, which: str, parameters: tuple[int, ...], change: _Change) -> None:
        query = f"DELETE FROM windows WHERE {which} RETURNING length(payload)"  # noqa: S608 - `which` is ours
        for (size,) in self._db.execute(query, parameters).fetchall():
            change.rows -= 1
            change.bytes -= size

    @contextmanager
    def _transaction(self) -> Iterator[_Change]:
        """All of the block or nothing of it, on the disk when it ends; what it changed is counted then."""
        change = _Change()
        with self._disk():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield change
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
            self._rows += change.rows
            self._bytes += change.bytes
            self._dropped += change.dropped

    @contextmanager
    def _disk(self) -> Iterator[None]:
        """One thread at a time; the disk's faults become OutsideError."""
        with self._lock:
            try:
                yield
            except (sqlite3.ProgrammingError, sqlite3.IntegrityError):
                raise  # a bug of ours
            except sqlite3.DatabaseError as error:
                raise OutsideError(f"outbox {self._path}: {error}") from error


def _open(path: Path) -> sqlite3.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
    except OSError as error:
        raise ConfigurationError(f"{path.parent}: cannot be made: {error.strerror}; {_ELSEWHERE}") from None
    except sqlite3.Error as error:
        raise ConfigurationError(f"{path}: {_fault(error)}") from None
    try:
        _prepare(db, path)
    except sqlite3.Error as error:
        db.close()
        raise ConfigurationError(f"{path}: {_fault(error)}") from None
    except ConfigurationError:
        db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    """Lock the file for this process, make the tables or check whose they are."""
    db.execute("PRAGMA locking_mode = EXCLUSIVE")
    db.execute("BEGIN EXCLUSIVE")
    db.execute("COMMIT")
    found, version, tables = (
        db.execute(query).fetchone()[0]
        for query in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
    )
    if tables and found != _APPLICATION:
        raise ConfigurationError(f"{path}: is another program's database; {_ELSEWHERE}")
    if version > _FORMAT:
        raise ConfigurationError(
            f"{path}: has format {version}, from a newer version of this program, which knows formats up to "
            f"{_FORMAT}; install that version again, or move the file away"
        )
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    if not tables:
        db.executescript(_SCHEMA)
    for old in range(version, _FORMAT) if tables else ():
        db.executescript(f"BEGIN; {_UPGRADES[old]}; PRAGMA user_version = {old + 1}; COMMIT;")


def _fault(error: sqlite3.Error) -> str:
    """What is wrong and what to do, by SQLite's primary result code."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return _FAULTS.get(code) or f"cannot be used: {error}; {_ELSEWHERE}"
