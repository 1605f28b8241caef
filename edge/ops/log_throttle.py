"""Limits repeated log messages: of the same event a few are logged, then how many more there were, and the
last."""

from __future__ import annotations

import copy
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

BURST = 10
"""Events of a kind that are logged in `WINDOW` seconds."""

WINDOW = 60.0
"""Seconds from the first event of a kind until the events held back are summed up."""

MOST_KINDS = 1000
"""Kinds that are remembered; beyond that, those whose window is over are forgotten."""

Kind = tuple[str, str, str]
"""Logger, message before values are put in, and camera: what makes two events the same."""

Later = Callable[[float, Callable[[], None]], None]
"""Calls a function after so many seconds, in another thread."""


@dataclass(slots=True)
class _Repeats:
    """The events of one kind in one window. until: its end, monotonic seconds."""

    until: float
    logged: int = 0
    held_back: int = 0
    last: logging.LogRecord | None = None


def _start_timer(seconds: float, function: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, function)
    timer.daemon = True
    timer.start()


class LogThrottle(logging.Handler):
    """Stands before another handler and passes on `BURST` events of a kind each `WINDOW`.

    The last event held back is logged at the end of the window, so the log never ends with a state that has
    passed. Critical events always pass: the process ends with them.
    """

    def __init__(
        self,
        target: logging.Handler,
        monotonic: Callable[[], float] = time.monotonic,
        later: Later = _start_timer,
    ) -> None:
        super().__init__()
        self._target = target
        self._monotonic = monotonic
        self._later = later
        self._kinds: dict[Kind, _Repeats] = {}
        self.passes_all = False
        """Whether nothing is held back, for now."""

    def emit(self, record: logging.LogRecord) -> None:
        """Pass on a record or hold it back."""
        if self.passes_all or record.levelno >= logging.CRITICAL:
            self._target.handle(record)
            return
        kind = (record.name, str(record.msg), getattr(record, "camera", ""))
        repeats = self._repeats(kind)
        if repeats.logged < BURST:
            repeats.logged += 1
            self._target.handle(record)
            return
        if repeats.last is None:
            self._later(max(0.0, repeats.until - self._monotonic()), partial(self._sum_up, kind))
        repeats.held_back += 1
        repeats.last = record

    def close(self) -> None:
        """Log what is held back, at the end of the process."""
        for kind in list(self._kinds):
            self._sum_up(kind)
        self._target.close()
        super().close()

    def _repeats(self, kind: Kind) -> _Repeats:
        """The events of this kind in the window of now, which may be a new one."""
        now = self._monotonic()
        repeats = self._kinds.get(kind)
        if repeats is None or (now >= repeats.until and repeats.last is None):
            if len(self._kinds) >= MOST_KINDS:
                self._kinds = {k: r for k, r in self._kinds.items() if now < r.until or r.last is not None}
            repeats = self._kinds[kind] = _Repeats(now + WINDOW)
        return repeats

    def _sum_up(self, kind: Kind) -> None:
        with self.lock or threading.RLock():
            repeats = self._kinds.pop(kind, None)
            if repeats is None or repeats.last is None:
                return
            last = copy.copy(repeats.last)
            last.msg = f"{last.getMessage()} (the last of {repeats.held_back} more within a minute)"
            last.args = ()
            self._target.handle(last)
