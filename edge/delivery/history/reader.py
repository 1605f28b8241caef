"""The history as others read it, in this process or in another one, while the daemon writes it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from edge.delivery.history.file import moment, open_for_reading, seconds, unpacked, words
from edge.errors import OutsideError


@dataclass(frozen=True, slots=True)
class Message:
    """A published message. body: as it was sent."""

    topic: str
    body: dict[str, Any]

    @property
    def kind(self) -> str:
        """The last level of the topic, such as `counts`."""
        return self.topic.rpartition("/")[2]


class Reader:
    """Reads the file at `path`; each call opens it, so a file that was moved aside is left at once.

    Where there is no file, there are no messages. Every method raises OutsideError where it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def exists(self) -> bool:
        """Whether there is a file."""
        with self._open() as db:
            return db is not None

    @property
    def version(self) -> int:
        """Another number after each change."""
        with self._open() as db:
            return int(db.execute("SELECT version FROM state").fetchone()[0]) if db else 0

    def messages(self, kind: str, since: datetime, until: datetime) -> Iterator[Message]:
        """The messages of a kind whose time begins at `since` or later and ends by `until`, oldest first."""
        query = (
            "SELECT topics.topic, payload FROM messages JOIN topics ON topics.id = messages.topic "
            "WHERE topics.topic LIKE ? AND ends > ? AND ends <= ? AND starts >= ? "
            "ORDER BY ends, topics.topic, starts"
        )
        times = seconds(since), seconds(until), seconds(since)
        with self._open() as db:
            if db:
                common = words(db)
                for topic, payload in db.execute(query, (f"%/{kind}", *times)):
                    yield Message(topic, json.loads(unpacked(payload, common)))

    def span(self, kind: str) -> tuple[datetime, datetime] | None:
        """When the messages of a kind begin and end; None where there are none."""
        query = (
            "SELECT min(starts), max(ends) FROM messages JOIN topics ON topics.id = messages.topic "
            "WHERE topics.topic LIKE ?"
        )
        with self._open() as db:
            if db is None:
                return None
            first, last = db.execute(query, (f"%/{kind}",)).fetchone()
            return None if first is None else (moment(first), moment(last))

    def retained(self) -> list[Message]:
        """The newest payload of every retained topic."""
        with self._open() as db:
            if db is None:
                return []
            common = words(db)
            found = db.execute("SELECT topic, payload FROM retained ORDER BY topic").fetchall()
            return [Message(topic, json.loads(unpacked(payload, common))) for topic, payload in found]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection | None]:
        try:
            if not self._path.exists():
                yield None
                return
            with closing(open_for_reading(self._path)) as db:
                yield db
        except (sqlite3.Error, OSError) as error:
            reason = getattr(error, "strerror", None) or error
            raise OutsideError(f"history {self._path}: cannot be read: {reason}") from None
