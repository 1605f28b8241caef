"""Readiness, reload, watchdog and status lines for systemd, over sd_notify(3)."""

from __future__ import annotations

import logging
import os
import socket
from collections import deque
from collections.abc import Mapping

log = logging.getLogger(__name__)

MOST_KEPT = 3
"""Messages that wait for systemd: the start's end, and a reload's two, or the newest of several reloads."""


class Systemd:
    """Reports the daemon's state to systemd, over the socket that it names; does nothing without one.

    The protocol is sd_notify(3): datagrams of `KEY=VALUE` lines. No call waits: what systemd does not take is
    sent before the next message, but for pings, of which the next one says the same.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        microseconds = environment.get("WATCHDOG_USEC", "")
        self.watchdog_every = int(microseconds) / 2e6 if microseconds.isdigit() else None
        """Seconds between two watchdog pings: half of systemd's limit; None without a watchdog."""
        self._kept: deque[str] = deque(maxlen=MOST_KEPT)
        self._refusal = ""

    def ready(self, status: str) -> None:
        """Report that start-up, or a reload, is finished."""
        self._send(f"READY=1\nSTATUS={status}", keep=True)

    def alive(self, status: str) -> None:
        """Ping the watchdog: every thread makes progress."""
        self._send(f"WATCHDOG=1\nSTATUS={status}")

    def reloading(self, monotonic: float) -> None:
        """Report a reload that began at `monotonic` (seconds); call `ready` when it is finished."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={round(monotonic * 1e6)}", keep=True)

    def stopping(self) -> None:
        """Report that the daemon is stopping."""
        self._send("STOPPING=1")

    def _send(self, text: str, *, keep: bool = False) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
                notify.setblocking(False)
                notify.connect(address)
                while self._kept:
                    notify.send(self._kept[0].encode())
                    self._kept.popleft()
                notify.send(text.encode())
                self._refusal = ""
        except OSError as error:
            if keep:
                self._kept.append(text)
            self._report_refusal(error)

    def _report_refusal(self, error: OSError) -> None:
        """Log a refusal once, until its reason changes or systemd takes something again."""
        if str(error) != self._refusal:
            self._refusal = str(error)
            log.warning("cannot notify systemd: %s", error)
