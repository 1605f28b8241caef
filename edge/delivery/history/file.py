"""The SQLite file of the history: made, checked, opened for one writer or for readers of any process.

Payloads are compressed against a text that lies in the file: messages repeat their keys, so a payload of a
kilobyte takes 100 to 200 bytes.
"""

from __future__ import annotations

import sqlite3
import zlib
from datetime import UTC, datetime
from pathlib import Path

from edge.delivery.outbox_file import connect, fault_at_open, require_format
from edge.errors import InstoreError

FORMAT = 1
"""Version of the tables; a file of another version is moved aside."""

_APPLICATION = 0x494E5348  # "INSH"
_PATIENCE = 5.0  # seconds that a reader or the writer waits for the other
_CACHE = 512  # KiB of pages in memory; SQLite's own limit is 2 MB
_SCHEMA = """
BEGIN;
CREATE TABLE topics (id INTEGER PRIMARY KEY, topic TEXT NOT NULL UNIQUE);
CREATE TABLE messages (
    topic INTEGER NOT NULL,
    ends INTEGER NOT NULL,                 -- seconds since 1970, as are the other times
    starts INTEGER NOT NULL,
    period TEXT NOT NULL,                  -- window, hour or day: the first of an hour may begin with it
    stored INTEGER NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (topic, ends, starts, period)
) WITHOUT ROWID;
CREATE INDEX by_age ON messages (stored);
CREATE TABLE retained (topic TEXT PRIMARY KEY, payload BLOB NOT NULL) WITHOUT ROWID;
-- version: grows with every change. outbox: the newest row of the outbox that was recorded.
CREATE TABLE state (version INTEGER NOT NULL, outbox INTEGER NOT NULL, words BLOB NOT NULL);
INSERT INTO state VALUES (0, 0, X'{words}');
PRAGMA application_id = {application};
PRAGMA user_version = {format};
COMMIT;
"""
WORDS = (
    b'{"schema":"instore.flow/1","period":"window","day","visits":,"lines":{"door":{"in":,"out":,"entrance":'
    b'true,false}},"lines_epsilon":null,"lines_since":null,"entries":null,"exits":null,"coverage":{"seconds":'
    b'300,"frames_analysed":3000,"frames_dropped":{"corrupt":,"overwritten":,"rate_limit":}},"method":"noise"'
    b'"epsilon":null,"visit_epsilon":4.0}}{"schema":"instore.periods/1","box":null,"camera":"zone":"period":'
    b'"hour","timezone":"figures":{"start":"T00:00:00Z","end":"covered_seconds":,"open_seconds":3600},'
    b'{"schema":"instore.counts/2","window_id":"","sequence":,"site":"","camera":"","zone":"all","start":"20'
    b'26-01-01T00:00:00Z","end":"20","seconds":300,"counts":{"0-12":null,"13-17":null,"18-24":null,"25-34":'
    b'null,"35-44":null,"45-54":null,"55-64":null,"65+":null},"unclassified":null,"since":{},"groups":{},"re'
    b'leased":null,"other":null,"coverage":{"seconds":300,"frames_analysed":3000,"frames_dropped":{}},"model'
    b'":{"name":"instore-age","version":"1"},"privacy":{"method":"threshold","minimum":5,"release_every":18'
    b'00,"epsilon":null,"visit_epsilon":null}}'
)
"""What messages of today have in common; a file keeps the text that it began with."""


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Open or make the file, for its owner alone.

    Raises UnusableError where it is damaged or of another format, OutsideError where the disk is at fault,
    ConfigurationError where only a person can help.
    """
    db = connect(path, _PATIENCE)
    try:
        _prepare(db, path)
    except (sqlite3.Error, InstoreError) as error:
        db.close()
        raise (fault_at_open(path, error) if isinstance(error, sqlite3.Error) else error) from None
    return db


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open the file read-only, also while it is written. Raises sqlite3.Error and UnusableError."""
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", timeout=_PATIENCE, uri=True)
    try:
        db.execute(f"PRAGMA cache_size = -{_CACHE}")
        require_format(db, path, _APPLICATION, (FORMAT,))
    except (sqlite3.Error, InstoreError):
        db.close()
        raise
    return db


def words(db: sqlite3.Connection) -> bytes:
    """The text that this file's payloads are compressed against."""
    found: bytes = db.execute("SELECT words FROM state").fetchone()[0]
    return found


def packed(payload: bytes, common: bytes) -> bytes:
    """A payload as the file has it."""
    squeeze = zlib.compressobj(zdict=common)
    return squeeze.compress(payload) + squeeze.flush()


def unpacked(content: bytes, common: bytes) -> bytes:
    """The payload of `packed`."""
    return zlib.decompressobj(zdict=common).decompress(content)


def seconds(moment: datetime) -> int:
    """Seconds since 1970."""
    return int(moment.timestamp())


def moment(stored: int) -> datetime:
    """The time of so many seconds since 1970, in UTC."""
    return datetime.fromtimestamp(stored, UTC)


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    db.execute(f"PRAGMA cache_size = -{_CACHE}")
    if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        require_format(db, path, _APPLICATION, (FORMAT,))
    else:
        db.executescript(_SCHEMA.format(words=WORDS.hex(), application=_APPLICATION, format=FORMAT))
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
