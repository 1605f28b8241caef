"""The thread that posts what waits for the webhook: in order, one at a time, retried until it is accepted."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from edge.clock import Backoff, Clock
from edge.delivery.outbox import Row
from edge.delivery.webhook.request import Hook, Poster, WebhookError
from edge.errors import OutsideError
from edge.ops.reasons import WebhookFailure

log = logging.getLogger(__name__)

POLL = 0.25
"""Seconds between two looks for new messages."""

LONGEST_WAIT = 300.0
"""Seconds that a server's Retry-After is heeded for at most, and between two tries of a rejected message."""

REJECTIONS = 5
"""Messages rejected without one accepted, from which on the server is at fault and each try waits."""

_ACCEPTS_NONE = f"{{}} to each of {REJECTIONS} messages or more; is webhook.secret_file the secret it has?"


class Queue(Protocol):
    """What waits for the webhook (`edge.delivery.outbox.ReceiverQueue`); raises OutsideError."""

    @property
    def depth(self) -> int: ...
    def pending(self, after: int, limit: int, without: Collection[str] = ()) -> Sequence[Row]: ...
    def delete(self, ids: Collection[int]) -> None: ...


class WebhookSender:
    """Posts messages until it is stopped, and retries after every fault outside the program.

    A message that the server rejects (400, 413, 422) delays no other, and is tried again every five minutes;
    from `REJECTIONS` of them on without one accepted, a growing pause follows each. After any other fault the
    same message is sent again. The callbacks run in the thread of `run`:
    on_delivered(seconds): accepted, this long after it was stored. on_failure(WebhookFailure): not accepted.
    on_state(bool): whether the last request was accepted.
    """

    def __init__(
        self,
        hook: Hook,
        queue: Queue,
        *,
        clock: Clock,
        rng: random.Random,
        on_delivered: Callable[[float], None] = lambda seconds: None,
        on_failure: Callable[[WebhookFailure], None] = lambda failure: None,
        on_state: Callable[[bool], None] = lambda works: None,
    ) -> None:
        self._hook = hook
        self._queue = queue
        self._clock = clock
        self._backoff = Backoff(rng)
        self._on_delivered = on_delivered
        self._on_failure = on_failure
        self._on_state = on_state
        self._cursor = 0
        self._rejected: set[int] = set()  # messages, since the last one that was accepted
        self._again_at: float | None = None  # when rejected messages are tried again
        self._not_before = 0.0
        self._reason = ""
        self._complaints: dict[str, str] = {}  # by topic: why its message was rejected, as logged

    def renew(self, hook: Hook) -> None:
        """Use this secret and these certificates from the next round on."""
        self._hook = hook

    def run(self, stop: threading.Event, beat: Callable[[], None], *, drain_within: float) -> int:
        """Post until `stop` is set, then for at most `drain_within` seconds; how many still wait."""
        deadline: float | None = None
        while True:
            beat()
            if stop.is_set() or self._clock.monotonic() >= self._not_before:
                self._round(stop, beat, deadline)
            if stop.is_set():
                if deadline is not None or not self._queue.depth or self._reason:
                    return self._queue.depth  # a round with a deadline leaves what is rejected or too late
                deadline = self._clock.monotonic() + drain_within
                continue
            self._clock.wait(stop, POLL)

    def _round(self, stop: threading.Event, beat: Callable[[], None], deadline: float | None) -> None:
        """Post what waits, until nothing does or the server does not take it."""
        poster = Poster(self._hook, self._clock)
        try:
            while row := self._next():
                beat()
                if deadline is not None and self._clock.monotonic() >= deadline:
                    break
                self._post(poster, row)
                if stop.is_set() and deadline is None:
                    break
        except OutsideError as error:
            self._report(error)
        finally:
            poster.close()

    def _next(self) -> Row | None:
        """The next message, in order; those that were rejected come again after a while."""
        if self._again_at is not None and self._clock.monotonic() >= self._again_at:
            self._again_at, self._cursor = None, 0
        rows = self._queue.pending(self._cursor, 1)
        return rows[0] if rows else None

    def _post(self, poster: Poster, row: Row) -> None:
        try:
            poster.post(row.key, row.topic, row.payload)
        except WebhookError as error:
            if error.kind is not WebhookFailure.REJECTED:
                raise
            self._set_aside(row, error)
        else:
            self._delivered(row)

    def _delivered(self, row: Row) -> None:
        self._cursor = row.id
        self._backoff.reset()
        self._rejected.clear()
        if self._reason:
            log.info("webhook %s: works again", self._hook.name)
            self._reason = ""
        self._on_state(True)
        self._queue.delete([row.id])
        self._on_delivered(max(0.0, (self._clock.now() - row.created_at).total_seconds()))

    def _set_aside(self, row: Row, error: WebhookError) -> None:
        """Go on to the next message; raises WebhookError where it is hardly this message that is at fault."""
        self._cursor = row.id
        self._rejected.add(row.id)
        self._again_at = self._clock.monotonic() + LONGEST_WAIT
        if len(self._rejected) >= REJECTIONS:
            raise WebhookError(WebhookFailure.REFUSED, _ACCEPTS_NONE.format(error), error.retry_after)
        self._on_failure(error.kind)
        self._on_state(False)
        if self._complaints.get(row.topic) != str(error):
            self._complaints[row.topic] = str(error)
            log.warning("webhook %s: %s to a message of %s, which waits", self._hook.name, error, row.topic)

    def _report(self, error: OutsideError) -> None:
        """Count every failure, log it once until it changes, and wait before the next one."""
        kind = error.kind if isinstance(error, WebhookError) else WebhookFailure.DISK
        self._on_failure(kind)
        self._on_state(False)
        if str(error) != self._reason:
            self._reason = str(error)
            log.warning("webhook %s: %s; %d messages wait", self._hook.name, error, self._queue.depth)
        asked = error.retry_after if isinstance(error, WebhookError) else 0.0
        self._not_before = self._clock.monotonic() + max(self._backoff.next(), min(asked, LONGEST_WAIT))
