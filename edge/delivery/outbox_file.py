"""The SQLite file of the outbox: opened, checked, made, and moved aside when it cannot be used.

A file that cannot be used any more is renamed with its write-ahead log, never deleted.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from edge import files
from edge.errors import ConfigurationError, InstoreError, OutsideError
from edge.ops.reasons import OutboxFault

FORMAT = 4
"""Version of the tables; a file of the version before is changed, one of another is moved aside."""

_APPLICATION = 0x494E5354  # "INST", so that no other program's database is taken for an outbox
_PATIENCE = 2.0  # seconds that a predecessor may take to close the file
_SCHEMA = f"""
BEGIN;
CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used twice: readers page by it
    topic TEXT NOT NULL,
    key TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    payload BLOB NOT NULL,
    created_at INTEGER NOT NULL,           -- microseconds since 1970
    waits INTEGER NOT NULL DEFAULT 1,      -- the receivers that have not acknowledged it (outbox.Receiver)
    UNIQUE (topic, key)
);
CREATE TABLE sequences (topic TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE recent (
    topic TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    key TEXT NOT NULL,
    PRIMARY KEY (topic, sequence),
    UNIQUE (topic, key)
) WITHOUT ROWID;
CREATE TABLE state (name TEXT PRIMARY KEY, payload BLOB NOT NULL) WITHOUT ROWID;
-- payload: NULL where the publisher alone knows it (a status), empty where the broker has to clear the topic.
CREATE TABLE retained (topic TEXT PRIMARY KEY, payload BLOB, version INTEGER NOT NULL) WITHOUT ROWID;
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {FORMAT};
COMMIT;
"""
_FROM_THE_VERSION_BEFORE = f"""
BEGIN;
ALTER TABLE messages ADD COLUMN waits INTEGER NOT NULL DEFAULT 1;
PRAGMA user_version = {FORMAT};
COMMIT;
"""
# What waits for one receiver (outbox.Receiver) is found without those that wait for the other alone.
_INDEXES = """
BEGIN;
CREATE INDEX IF NOT EXISTS waits_for_mqtt ON messages (id) WHERE waits & 1;
CREATE INDEX IF NOT EXISTS waits_for_webhook ON messages (id) WHERE waits & 2;
COMMIT;
"""
_ELSEWHERE = "set outbox.directory to a folder that this user may write to"
_FAULTS = {
    sqlite3.SQLITE_BUSY: "is in use by another process; stop it, or set another outbox.directory",
    sqlite3.SQLITE_NOTADB: "is not an SQLite database",
    sqlite3.SQLITE_CORRUPT: "is damaged",
    sqlite3.SQLITE_CANTOPEN: f"cannot be opened; {_ELSEWHERE}",
    sqlite3.SQLITE_READONLY: f"is read-only; {_ELSEWHERE}",
    sqlite3.SQLITE_FULL: "cannot be written: the disk is full; free some space on it",
}
_UNUSABLE = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)
# Faults that may pass without a person: the process ends with status 1, and systemd starts it again.
_PASSING = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY)
_COMPANIONS = ("", "-wal", "-shm", "-journal")

SetAside = Callable[["UnusableError", sqlite3.Connection], None]
"""Moves the open file aside; takes why and the connection."""


class UnusableError(ConfigurationError):
    """The file is damaged, is not a database, or has another format."""

    def __init__(self, message: str, reason: OutboxFault) -> None:
        super().__init__(message)
        self.reason = reason


def open_file(path: Path, set_aside: SetAside | None, *, sync: bool = True) -> sqlite3.Connection:
    """Open or make the file, for this process alone. sync: as of `Outbox`.

    Raises UnusableError after `set_aside` has moved the file, where one is given; OutsideError where the disk
    is at fault; ConfigurationError where only a person can help.
    """
    db = connect(path, _PATIENCE)
    try:
        _prepare(db, path, sync=sync)
    except (sqlite3.Error, InstoreError) as error:
        fault = fault_at_open(path, error) if isinstance(error, sqlite3.Error) else error
        try:
            if set_aside and isinstance(fault, UnusableError):
                set_aside(fault, db)
        finally:
            db.close()
        raise fault from None
    return db


def connect(path: Path, patience: float) -> sqlite3.Connection:
    """Connect to the file, which is made where there is none, for this user alone; nothing of it is read.

    patience: seconds to wait for another connection to the file. Raises OutsideError and ConfigurationError
    as `fault_at_open` has them.
    """
    try:
        files.make_private_folder(path.parent)
        _make_private(path)
        return sqlite3.connect(path, timeout=patience, isolation_level=None, check_same_thread=False)
    except OSError as error:
        raise ConfigurationError(f"{path.parent}: cannot be made: {error.strerror}; {_ELSEWHERE}") from None
    except sqlite3.Error as error:
        raise fault_at_open(path, error) from None


def require_format(db: sqlite3.Connection, path: Path, application: int, formats: Sequence[int]) -> None:
    """Raise ConfigurationError unless the program whose file this is has this id of SQLite, UnusableError
    unless the version of its tables is one of `formats`, the newest first.
    """
    found, version = db.execute("PRAGMA application_id").fetchone()[0], _version(db)
    if found != application:
        raise ConfigurationError(f"{path}: is another program's database; {_ELSEWHERE}")
    if version not in formats:
        age = OutboxFault.NEWER if version > formats[0] else OutboxFault.OLDER
        message = f"{path}: its format is {version}; this version of the program reads format {formats[0]}"
        raise UnusableError(message, age)


def move_aside(path: Path, reason: OutboxFault, now: datetime) -> Path:
    """Rename the file, and the write-ahead log that belongs to it, to a name that is free, which is returned.

    Raises OutsideError where the disk refuses.
    """
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


def damage(path: Path, error: sqlite3.Error) -> UnusableError | None:
    """The error that says that the file is damaged or no database; None for any other fault."""
    code = _code(error)
    return UnusableError(f"{path}: {_FAULTS[code]}", OutboxFault.DAMAGED) if code in _UNUSABLE else None


@contextmanager
def faults_of(what: str, path: Path, on_damaged: Callable[[UnusableError], None] | None) -> Iterator[None]:
    """Access to a database: faults become OutsideError; a bug of ours stays what it is.

    what: its name for messages. on_damaged: replaces the file where it is damaged.
    """
    try:
        yield
    except (sqlite3.ProgrammingError, sqlite3.IntegrityError):
        raise
    except sqlite3.DatabaseError as error:
        if on_damaged and (damaged := damage(path, error)):
            on_damaged(damaged)
        raise OutsideError(f"{what} {path}: {error}") from error


def fault_at_open(path: Path, error: sqlite3.Error) -> InstoreError:
    """The error to raise: UnusableError for a damaged file, OutsideError where the fault may pass by itself,
    ConfigurationError where a person must act.
    """
    if damaged := damage(path, error):
        return damaged
    code = _code(error)
    message = f"{path}: {_FAULTS.get(code) or f'cannot be used: {error}; {_ELSEWHERE}'}"
    read_only = code == sqlite3.SQLITE_CANTOPEN and os.statvfs(path.parent).f_flag & os.ST_RDONLY
    return OutsideError(message) if code in _PASSING or read_only else ConfigurationError(message)


def _make_private(path: Path) -> None:
    """Let this user alone read the file, and those beside it, to which SQLite gives the file's mode."""
    with suppress(OSError):  # SQLite meets the same fault, and says what it is
        files.make_private_file(path)
        for companion in _COMPANIONS[1:]:  # what a version before this one left
            files.make_private(Path(f"{path}{companion}"))


def _prepare(db: sqlite3.Connection, path: Path, *, sync: bool) -> None:
    """Lock the file for this process, check it, and make the tables where there are none."""
    db.execute("PRAGMA locking_mode = EXCLUSIVE")
    db.execute("BEGIN EXCLUSIVE")
    db.execute("COMMIT")
    tables: int = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if tables:
        require_format(db, path, _APPLICATION, (FORMAT, FORMAT - 1))
    # A damaged page may lie where nothing reads for days; few messages wait, so this takes milliseconds.
    (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise UnusableError(f"{path}: {_FAULTS[sqlite3.SQLITE_CORRUPT]}: {verdict}", OutboxFault.DAMAGED)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute(f"PRAGMA synchronous = {'FULL' if sync else 'OFF'}")
    # The state holds raw counts: a replaced row is overwritten (the default in Debian's SQLite only), and
    # SQLite keeps its temporary tables in memory.
    db.execute("PRAGMA secure_delete = ON")
    db.execute("PRAGMA temp_store = MEMORY")
    if not tables:
        db.executescript(_SCHEMA)
    elif _version(db) == FORMAT - 1:
        db.executescript(_FROM_THE_VERSION_BEFORE)
    db.executescript(_INDEXES)  # an older file of this format has none


def _version(db: sqlite3.Connection) -> int:
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    return version


def _code(error: sqlite3.Error) -> int:
    """SQLite's primary result code."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
