"""Can the outbox be written, and is there room on its disk?"""

from __future__ import annotations

import os
import tempfile
from contextlib import closing, suppress
from pathlib import Path

from edge.clock import Clock
from edge.commands.check.verdict import Warn
from edge.config import Settings, state_directory
from edge.delivery.outbox import Outbox, Receiver
from edge.errors import InstoreError, OutsideError
from edge.files import make_private_folder
from edge.ops import machine

SERVICE_UNITS = [Path(f"/{place}/systemd/system/{machine.UNIT}") for place in ("usr/lib", "etc")]
"""Where the service may be installed."""

SERVICE_STATE = Path("/var/lib/instore-edge")
"""The service's $STATE_DIRECTORY."""


def check_outbox(settings: Settings, folder: Path, clock: Clock) -> str:
    """Write beside the outbox and open it, if there is one. Raises OutsideError and ConfigurationError."""
    state = state_folder(settings, folder)
    if state == SERVICE_STATE and not os.path.lexists(state):
        return f"{state}: does not exist yet; the service creates it at its first start"
    try:
        make_private_folder(state)
        with tempfile.TemporaryFile(dir=state):
            pass
    except OSError as error:
        hint = (
            "run this check as root" if state == SERVICE_STATE else "name a folder that the daemon may write"
        )
        raise OutsideError(f"outbox.directory = {str(state)!r}: {error.strerror}; {hint}") from None
    path = state / "outbox.db"
    # It is not created here: this user may be another than the daemon's, and would own the file.
    found = _waiting(path, settings, clock) if path.exists() else "does not exist yet; the daemon creates it"
    return f"{path}: {found}"


def check_disk(settings: Settings, folder: Path) -> str:
    """Raises `Warn` where a full outbox would fill the disk, OutsideError where nothing can be written."""
    state = state_folder(settings, folder)
    try:
        there = _nearest(state)
        free = machine.free_bytes(there)
        if machine.is_read_only(there):
            raise OutsideError(
                f"{state}: {there} is on a file system that is mounted read-only; mount it for writing "
                "(it also turns read-only after a fault of the disk), or set another outbox.directory"
            )
    except OSError as error:
        raise OutsideError(f"{state}: {error.strerror}; run this check as root") from None
    if there not in (state, SERVICE_STATE.parent) and not os.access(there, os.W_OK | os.X_OK):
        raise OutsideError(
            f"{state}: does not exist, and this user may not make it in {there}; make it, "
            "or set another outbox.directory"
        )
    needed = max(0, settings.outbox.max_bytes - _bytes(state / "outbox.db"))
    if free < needed:
        raise Warn(
            f"{state}: {_size(free)} free, but the outbox may grow by {_size(needed)}; "
            "free some space, or lower outbox.max_bytes"
        )
    return f"{state}: {_size(free)} free, enough for a full outbox"


def state_folder(settings: Settings, folder: Path) -> Path:
    """Where the daemon keeps its outbox: the service's folder where the service is installed."""
    configured = settings.outbox.directory or "STATE_DIRECTORY" in os.environ
    if not configured and any(unit.exists() for unit in SERVICE_UNITS):
        return SERVICE_STATE
    return state_directory(settings, folder)


def _waiting(path: Path, settings: Settings, clock: Clock) -> str:
    limits = settings.outbox
    try:
        receivers = Receiver.of(settings)
        with closing(Outbox(path, limits.max_rows, limits.max_bytes, clock, receivers=receivers)) as outbox:
            return f"messages that wait to be sent: {outbox.depth}"
    except InstoreError as error:
        if "is in use" in str(error):
            return "in use by the running daemon"
        raise


def _nearest(folder: Path) -> Path:
    """The folder, or what is there of its parents: the disk on which it will be. Raises OSError."""
    for place in (folder, *folder.absolute().parents):
        with suppress(FileNotFoundError):
            place.stat()
            return place
    return Path("/")


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # it does not exist yet, or this user may not see it
        return 0


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
