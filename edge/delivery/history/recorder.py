"""Writes into the history what the outbox has committed, and holds no one up where that disk refuses."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from edge.delivery.history.writer import History
from edge.delivery.outbox import NewMessage, Outbox, Receiver, Row
from edge.errors import OutsideError

log = logging.getLogger(__name__)

MOST_WAITING = 5000
"""Rows that wait in memory while the disk refuses them, about 5 MB: then the oldest go."""

PAGE = 500
"""Rows of the outbox that are read at once."""


class Recorder:
    """The outbox as the gate's store (`edge.release.gate.Store`), with a history of what it commits.

    Rows are recorded after their commit, so the history holds nothing that does not leave. What its disk
    refuses is kept and tried again at the next commit. on_failure: called for each refusal.
    """

    def __init__(
        self, outbox: Outbox, history: History, on_failure: Callable[[], None] = lambda: None
    ) -> None:
        """Records what waits in the outbox and is not in the history: a crash may have come in between."""
        self._outbox = outbox
        self._history = history
        self._on_failure = on_failure
        self._guard = threading.Lock()
        self._noting = threading.Lock()
        self._noted: dict[str, bytes] = {}
        self._waiting: deque[Row] = deque(maxlen=MOST_WAITING)
        self._retained: dict[str, bytes] = {}
        self._refusal = ""
        self._catch_up()

    def commit(
        self,
        messages: Sequence[NewMessage] = (),
        *,
        retained: Mapping[str, bytes] | None = None,
        state: Mapping[str, bytes] | None = None,
    ) -> list[Row]:
        """See `Outbox.commit`."""
        rows = self._outbox.commit(messages, retained=retained, state=state)
        self.record(rows, retained or {})
        return rows

    def knows(self, topic: str, key: str) -> bool:
        """See `Outbox.knows`."""
        return self._outbox.knows(topic, key)

    def state(self, prefix: str = "") -> dict[str, bytes]:
        """See `Outbox.state`."""
        return self._outbox.state(prefix)

    def note(self, retained: Mapping[str, bytes]) -> None:
        """Have these payloads kept with the next `record`; any thread may call it, and waits for no disk."""
        with self._noting:
            self._noted |= retained

    def record_noted(self) -> None:
        """`record` what was noted since the last time, if there is anything."""
        if self._noted:
            self.record()

    def record(self, rows: Sequence[Row] = (), retained: Mapping[str, bytes] | None = None) -> None:
        """Keep rows that were committed and payloads that the broker retains; any thread may call it."""
        with self._guard:
            self._waiting += rows
            self._retained |= self._take_noted() | dict(retained or {})
            if not (self._waiting or self._retained):
                return
            try:
                self._history.record(list(self._waiting), self._retained)
            except OutsideError as error:
                self._report(error)
            else:
                self._waiting.clear()
                self._retained.clear()
                self._refusal = ""

    def _take_noted(self) -> dict[str, bytes]:
        with self._noting:
            noted, self._noted = self._noted, {}
        return noted

    def _catch_up(self) -> None:
        try:
            after = self._history.newest
        except OutsideError as error:
            self._report(error)
            return
        while rows := self._outbox.pending(after, PAGE, receiver=Receiver.ANY):
            self.record(rows)
            after = rows[-1].id

    def _report(self, error: OutsideError) -> None:
        """Count every refusal of the disk; log it until it changes only once."""
        self._on_failure()
        if str(error) != self._refusal:
            self._refusal = str(error)
            kept = len(self._waiting) + len(self._retained)
            log.error("%s; the newest %d messages and states of it are kept in memory", error, kept)
