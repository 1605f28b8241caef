"""Fault storms in the log: of the same event a few are told, then how many more there were, and the last."""

from __future__ import annotations

import copy
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

BURST = 10
"""Events of a kind that are told in `WINDOW` seconds."""

WINDOW = 60.0
"""Seconds from the first event of a kind until those that were held back are summed up."""

MOST_KINDS = 1000
"""Kinds that are remembered; beyond, those whose window is over are forgotten."""

Later = Callable[[float, Callable[[], None]], None]
"""Calls something so many seconds later, in another thread."""


@dataclass(slots=True)
class _Storm:
    until: float
    told: int = 0
    held: int = 0
    last: logging.LogRecord | None = None


def _later(seconds: float, what: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, what)
    timer.daemon = True
    timer.start()


class Calm(logging.Handler):
    """Stands before another handler. The same event: the same words, before values are put in, and camera.

    The last event that was held back is told, so the log never ends with a state that has passed. What is
    critical is always told: the process ends with it.
    """

    def __init__(
        self, target: logging.Handler, monotonic: Callable[[], float] = time.monotonic, later: Later = _later
    ) -> None:
        super().__init__()
        self._target = target
        self._monotonic = monotonic
        self._later = later
        self._storms: dict[tuple[str, str, str], _Storm] = {}

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.CRITICAL:
            self._target.handle(record)
            return
        kind = (record.name, str(record.msg), getattr(record, "camera", ""))
        storm = self._storm(kind)
        if storm.told < BURST:
            storm.told += 1
            self._target.handle(record)
            return
        if storm.last is None:
            self._later(max(0.0, storm.until - self._monotonic()), partial(self._sum_up, kind))
        storm.held += 1
        storm.last = record

    def close(self) -> None:
        """Tell what is held back, at the end of the process."""
        for kind in list(self._storms):
            self._sum_up(kind)
        self._target.close()
        super().close()

    def _storm(self, kind: tuple[str, str, str]) -> _Storm:
        now = self._monotonic()
        storm = self._storms.get(kind)
        if storm is None or (now >= storm.until and storm.last is None):
            if len(self._storms) >= MOST_KINDS:
                self._storms = {k: s for k, s in self._storms.items() if now < s.until or s.last is not None}
            storm = self._storms[kind] = _Storm(now + WINDOW)
        return storm

    def _sum_up(self, kind: tuple[str, str, str]) -> None:
        with self.lock or threading.RLock():
            storm = self._storms.pop(kind, None)
            if storm is None or storm.last is None:
                return
            last = copy.copy(storm.last)
            last.msg, last.args = f"{last.getMessage()} (the last of {storm.held} more within a minute)", ()
            self._target.handle(last)
