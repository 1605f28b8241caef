"""The machine: is its clock synchronised, and does systemd run the service?"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from edge.clock import Clock
from edge.commands.check.verdict import Warn
from edge.errors import InstoreError
from edge.ops import machine


def check_clock(clock: Clock, is_synchronised: Callable[[], bool | None]) -> str:
    """Raises `Warn` where the kernel says that the clock is not synchronised."""
    now = f"{clock.now():%Y-%m-%dT%H:%M:%SZ}"
    match is_synchronised():
        case True:
            return f"{now}, synchronised with a time server"
        case False:
            raise Warn(f"{now}: the clock is not synchronised; enable systemd-timesyncd or chrony")
        case None:
            return f"{now}; the kernel does not report whether the clock is synchronised"


def check_service(show_unit: machine.Show) -> str:
    """Raises `Warn` where the service is not installed or not started, InstoreError where it failed."""
    facts = show_unit(machine.UNIT)
    if not facts:
        return "this machine does not run systemd"
    if facts.get("LoadState") != "loaded":
        raise Warn(f"{machine.UNIT} is not installed: the daemon does not start with the machine")
    return _state(facts)


def _state(facts: Mapping[str, str]) -> str:
    state = f"{facts['ActiveState']} ({facts['SubState']}), {facts['UnitFileState'] or 'not enabled'}"
    restarts = int(facts["NRestarts"])
    restarted = f"restarted {restarts} time{'' if restarts == 1 else 's'}"
    if facts["ActiveState"] == "active":
        return f"{state}, {restarted}: {facts['StatusText']}"
    if facts["ActiveState"] == "failed" or restarts:
        raise InstoreError(
            f"{state}, {restarted}, last result {facts['Result']!r}; "
            f"`journalctl -u {machine.UNIT}` shows the reason"
        )
    raise Warn(f"{state}; `systemctl enable --now {machine.UNIT}` starts it")
