"""Readiness, reload, watchdog and status lines for systemd, over sd_notify(3)."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping

log = logging.getLogger(__name__)


class Systemd:
    """Reports the daemon's state to systemd, over the socket that it names; does nothing without one.

    The protocol is sd_notify(3): datagrams of `KEY=VALUE` lines.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        microseconds = environment.get("WATCHDOG_USEC", "")
        self.watchdog_every = int(microseconds) / 2e6 if microseconds.isdigit() else None
        """Seconds between two watchdog pings: half of systemd's limit; None without a watchdog."""

    def ready(self, status: str) -> None:
        """Report that start-up, or a reload, is finished."""
        self._send(f"READY=1\nSTATUS={status}")

    def alive(self, status: str) -> None:
        """Ping the watchdog: every thread makes progress."""
        self._send(f"WATCHDOG=1\nSTATUS={status}")

    def reloading(self, monotonic: float) -> None:
        """Report a reload that began at `monotonic` (seconds); call `ready` when it is finished."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={round(monotonic * 1e6)}")

    def stopping(self) -> None:
        """Report that the daemon is stopping."""
        self._send("STOPPING=1")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
                notify.connect(address)
                notify.sendall(text.encode())
        except OSError as error:
            log.warning("cannot notify systemd: %s", error)
