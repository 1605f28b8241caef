"""Signals as events: SIGTERM and Ctrl-C stop a command, SIGHUP reloads the daemon's configuration."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from functools import cache
from queue import SimpleQueue

_early: list[int] = []
"""SIGHUPs that came before `reload_on_signal`."""


def hold_hang_up() -> None:
    """Note SIGHUP from now on, for `reload_on_signal`: by default it ends the process.

    It matters in the first second, in which the libraries load. A process that ignores it (nohup) still does.
    """
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, lambda number, _: _early.append(number))


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set.

    SIGHUP, which reports a lost terminal, sets it as well unless the process ignores it (nohup).
    """
    stop, set_event = threading.Event(), _setter()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if number is not signal.SIGHUP or signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, lambda *_: set_event(stop))
    return stop


def reload_on_signal(stop: threading.Event) -> threading.Event:
    """An event that SIGHUP sets; where the process has lost its terminal, SIGHUP sets `stop` instead."""
    reload = threading.Event()
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # nohup
    interactive = _has_terminal() and not ignored
    set_event = _setter()

    def hang_up(*_: object) -> None:
        set_event(stop if interactive and not _has_terminal() else reload)

    signal.signal(signal.SIGHUP, hang_up)
    if _early:
        _early.clear()
        hang_up()
    return reload


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


@cache
def _setter() -> Callable[[threading.Event], None]:
    """A function that signal handlers may call to set an event; a thread sets it.

    A handler interrupts the main thread at any moment, also while that thread holds the event's lock: calling
    `set` there would deadlock. `SimpleQueue.put` is safe in handlers.
    """
    events: SimpleQueue[threading.Event] = SimpleQueue()

    def relay() -> None:
        while True:
            events.get().set()

    threading.Thread(target=relay, name="signals", daemon=True).start()
    return events.put
