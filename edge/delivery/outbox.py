"""Closed windows wait here, on disk, until the broker has acknowledged them.

One SQLite file in write-ahead mode with full synchronisation: what `put` returned for survives a power cut.
Rows leave by acknowledgement, or from the oldest on when the outbox is full, which is counted. A file that
cannot be used any more is moved aside, never deleted, and a new one begun.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from edge import files
from edge.clock import Clock, SystemClock
from edge.errors import ConfigurationError, InstoreError, OutsideError

log = logging.getLogger(__name__)

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
    sqlite3.SQLITE_NOTADB: "is not an SQLite database",
    sqlite3.SQLITE_CORRUPT: "is damaged",
    sqlite3.SQLITE_CANTOPEN: f"cannot be opened; {_ELSEWHERE}",
    sqlite3.SQLITE_READONLY: f"is read-only; {_ELSEWHERE}",
}
_UNUSABLE = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)
# What may pass without anybody's doing: the process ends with status 1, and is started again.
_PASSING = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY)
_COMPANIONS = ("", "-wal", "-shm", "-journal")


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


class UnusableError(ConfigurationError):
    """The file is damaged, no database, or of a newer format. reason: `damaged` or `newer`."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class Outbox:
    """The waiting windows of one box, for several threads of one process.

    max_rows and max_bytes (of payload) bound it: the oldest rows go first, the newest always stays.
    Opening raises UnusableError where the file is damaged or newer, OutsideError where the disk is at fault,
    and ConfigurationError where nothing but a person helps. Every later call raises OutsideError where the
    disk fails (full, read-only, gone); nothing was changed then, and the call may be repeated.

    on_set_aside: without it, an unusable file is left alone. With it, such a file is moved aside, at the
    opening and whenever it turns out later, and this is told why (`damaged`, `newer`).
    """

    def __init__(
        self,
        path: Path,
        max_rows: int,
        max_bytes: int,
        clock: Clock | None = None,
        on_set_aside: Callable[[str], None] | None = None,
    ) -> None:
        self._path = path
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._clock = clock or SystemClock()
        self._on_set_aside = on_set_aside
        self._lock = threading.Lock()
        self._rows, self._bytes, self._dropped, self._newest = 0, 0, 0, 0
        self._acknowledged: set[int] = set()  # rows that the disk has refused to forget so far
        self._sequences: dict[str, int] = {}  # for a new file, should this one fail
        try:
            self._db = _open(path, self._set_aside if on_set_aside else None)
        except UnusableError:
            if on_set_aside is None:
                raise
            self._begin_anew()
        self._measure()

    @property
    def depth(self) -> int:
        """Rows that wait."""
        return self._rows - len(self._acknowledged)

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
        self._sequences[camera] = sequence
        return Row(row_id, camera, window_id, sequence, payload, now)

    def knows(self, camera: str, window_id: str) -> bool:
        """Whether this window was put before; see `put`."""
        with self._disk():
            return self._knows(camera, window_id)

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
            if n not in self._acknowledged
        ]

    def keep_open(self, payloads: Sequence[bytes]) -> None:
        """Remember windows that are still open, in place of those remembered before.

        The replaced ones remain neither in the file nor in its write-ahead log: a series of raw counts would
        show when single visitors came.
        """
        with self._transaction():
            self._db.execute("DELETE FROM open_windows")
            self._db.executemany("INSERT INTO open_windows VALUES (?)", [(p,) for p in payloads])
        with self._disk():
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

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
        """Forget rows that the broker has acknowledged; unknown ids are ignored.

        Where the disk refuses, they wait no more all the same, and go with the next change that it takes.
        """
        try:
            with self._transaction() as change:
                for row_id in ids:
                    self._remove("id = ?", (row_id,), change)
        except OutsideError:
            self._acknowledged.update(ids)
            raise

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
            forgotten = set(self._acknowledged)
            try:
                for row_id in forgotten:
                    self._remove("id = ?", (row_id,), change)
                yield change
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
            self._acknowledged -= forgotten
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
                if _code(error) in _UNUSABLE and self._on_set_aside:
                    self._replace(UnusableError(f"{self._path}: {_FAULTS[_code(error)]}", "damaged"))
                raise OutsideError(f"outbox {self._path}: {error}") from error

    def _replace(self, why: UnusableError) -> None:
        """The file turned out to be damaged: what waits in it stays there, what comes goes into a new one."""
        log.error("%s; %d windows wait in it", why, self._rows)
        self._set_aside(why, self._db)
        with suppress(sqlite3.Error):
            self._db.close()
        self._begin_anew()
        self._acknowledged.clear()
        self._measure()

    def _set_aside(self, why: UnusableError, db: sqlite3.Connection) -> None:
        """Move the open file aside: its last connection, once closed, would delete the write-ahead log."""
        with suppress(sqlite3.Error):  # as much as can still be read, so that no sequence is given twice
            self._sequences |= dict(db.execute("SELECT camera, last FROM sequences"))
        aside = _move_aside(self._path, why.reason, self._clock.now())
        log.error("%s; it was moved aside to %s, and a new one is begun", why, aside)
        if self._on_set_aside:
            self._on_set_aside(why.reason)

    def _begin_anew(self) -> None:
        """Make a new file, in which sequences and ids go on."""
        self._db = _open(self._path, None)
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany("INSERT INTO sequences VALUES (?, ?)", self._sequences.items())
        self._db.execute("INSERT INTO sqlite_sequence VALUES ('windows', ?)", (self._newest,))
        self._db.execute("COMMIT")

    def _measure(self) -> None:
        """Read what is counted along from then on."""
        try:
            self._rows, self._bytes = self._db.execute(
                "SELECT count(*), coalesce(sum(length(payload)), 0) FROM windows"
            ).fetchone()
            self._newest = max(
                [self._newest, *(n for (n,) in self._db.execute("SELECT max(id) FROM windows") if n)]
            )
            self._sequences = dict(self._db.execute("SELECT camera, last FROM sequences"))
        except sqlite3.Error as error:
            self._db.close()
            raise _at_open(self._path, error) from None


def _open(
    path: Path, set_aside: Callable[[UnusableError, sqlite3.Connection], None] | None
) -> sqlite3.Connection:
    try:
        files.make_private_folder(path.parent)
        _make_private(path)
        db = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
    except OSError as error:
        raise ConfigurationError(f"{path.parent}: cannot be made: {error.strerror}; {_ELSEWHERE}") from None
    except sqlite3.Error as error:
        raise _at_open(path, error) from None
    try:
        _prepare(db, path)
    except (sqlite3.Error, InstoreError) as error:
        fault = _at_open(path, error) if isinstance(error, sqlite3.Error) else error
        try:
            if set_aside and isinstance(fault, UnusableError):
                set_aside(fault, db)
        finally:
            db.close()
        raise fault from None
    return db


def _make_private(path: Path) -> None:
    """Let this user alone read the file, and those beside it, to which SQLite gives the file's mode."""
    with suppress(OSError):  # SQLite meets the same fault, and says what it is
        files.make_private_file(path)
        for companion in _COMPANIONS[1:]:  # what a version before this one left
            files.make_private(Path(f"{path}{companion}"))


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
        raise UnusableError(
            f"{path}: has format {version}, from a newer version of this program, which knows formats up to "
            f"{_FORMAT}",
            "newer",
        )
    # A damaged page may lie where nobody looks for days; waiting windows are few, so this takes milliseconds.
    (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise UnusableError(f"{path}: {_FAULTS[sqlite3.SQLITE_CORRUPT]}: {verdict}", "damaged")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    # Open windows are raw counts: a replaced row is overwritten (the default in Debian's SQLite only), and
    # SQLite keeps its temporary tables in memory.
    db.execute("PRAGMA secure_delete = ON")
    db.execute("PRAGMA temp_store = MEMORY")
    if not tables:
        db.executescript(_SCHEMA)
    for old in range(version, _FORMAT) if tables else ():
        db.executescript(f"BEGIN; {_UPGRADES[old]}; PRAGMA user_version = {old + 1}; COMMIT;")


def _move_aside(path: Path, reason: str, now: datetime) -> Path:
    """Rename the file, and the write-ahead log that belongs to it, to a name that is free."""
    stem = aside = path.with_name(f"{path.name}.{reason}-{now:%Y%m%dT%H%M%SZ}")
    number = 1
    while aside.exists():
        number += 1
        aside = stem.with_name(f"{stem.name}-{number}")
    try:
        for companion in _COMPANIONS:
            with suppress(FileNotFoundError):
                Path(f"{path}{companion}").rename(f"{aside}{companion}")
    except OSError as error:
        raise OutsideError(f"{path}: cannot be moved aside: {error.strerror}") from None
    return aside


def _code(error: sqlite3.Error) -> int:
    """SQLite's primary result code."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _at_open(path: Path, error: sqlite3.Error) -> InstoreError:
    """What is wrong and who may mend it: time, moving the file aside, or a person."""
    code = _code(error)
    message = f"{path}: {_FAULTS.get(code) or f'cannot be used: {error}; {_ELSEWHERE}'}"
    if code in _UNUSABLE:
        return UnusableError(message, "damaged")
    read_only = code == sqlite3.SQLITE_CANTOPEN and os.statvfs(path.parent).f_flag & os.ST_RDONLY
    return OutsideError(message) if code in _PASSING or read_only else ConfigurationError(message)
