"""Signals stop a command or reload the daemon's configuration."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from edge.commands import signals
from edge.commands.signals import reload_on_signal, stop_on_signals
from tests.patience import PATIENCE


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_stop(number: signal.Signals) -> None:
    handlers = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it, and then it stops nothing
        stop: threading.Event = stop_on_signals()
        signal.raise_signal(number)
        assert stop.wait(PATIENCE)
    finally:
        for n, handler in handlers.items():
            signal.signal(n, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_heard_while_the_main_thread_holds_the_event_s_lock(number: signal.Signals) -> None:
    """As it does for a moment of every look. A handler that sets the event by itself then waits for ever."""
    program = f"""
import signal, threading
from edge.commands.signals import reload_on_signal, stop_on_signals
stop = stop_on_signals()
event = reload_on_signal(stop) if {int(number)} == signal.SIGHUP else stop
with event._cond:
    signal.raise_signal({int(number)})
print(event.wait({PATIENCE}))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert done.stdout == "True\n", done.stderr


def test_sighup_does_not_end_a_daemon_whose_libraries_load() -> None:
    """In the first second nobody has asked for it yet; it is taken over when somebody does."""
    program = """
import signal, sys, threading
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # also where the tests run under nohup
from edge import cli
from edge.commands import run, signals
def configure(parser):
    signal.raise_signal(signal.SIGHUP)
    parser.set_defaults(command=command, log_level="info")
def command(arguments):
    return 0 if signals.reload_on_signal(threading.Event()).wait(PATIENCE) else 1
run.configure = configure
sys.exit(cli.main(["run"]))
""".replace("PATIENCE", str(PATIENCE))
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=PATIENCE).returncode == 0


def test_nohup_keeps_the_loss_of_the_terminal_away() -> None:
    handlers = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        stop_on_signals()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        for n, handler in handlers.items():
            signal.signal(n, handler)


@pytest.mark.parametrize(
    ("terminal", "ignored", "stops"),
    [
        ([False, False], False, False),  # a service
        ([True, True], False, False),  # somebody's kill -HUP
        ([True, False], False, True),  # the terminal was closed
        ([True, False], True, False),  # and nohup keeps that away
    ],
)
def test_sighup_reloads_unless_the_terminal_is_lost(
    monkeypatch: pytest.MonkeyPatch, terminal: list[bool], ignored: bool, stops: bool
) -> None:
    monkeypatch.setattr(signals, "_has_terminal", lambda: terminal.pop(0))
    before = signal.getsignal(signal.SIGHUP)
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
        stop = threading.Event()
        reload = reload_on_signal(stop)
        signal.raise_signal(signal.SIGHUP)
        assert (stop if stops else reload).wait(PATIENCE)
        assert (stop.is_set(), reload.is_set()) == (stops, not stops)
    finally:
        signal.signal(signal.SIGHUP, before)
