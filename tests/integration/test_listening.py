"""What a running daemon listens on: its own machine, unless it is asked for more, and nothing else."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import pytest

from tests.daemon import Daemon
from tests.mosquitto import free_port

LISTEN = "0A"  # the state in /proc/net/tcp, see proc(5)


def listening(pid: int) -> set[tuple[str, int]]:
    """Address as the kernel writes it and port of every TCP and UDP socket that waits for others."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            if found := re.fullmatch(r"socket:\[(\d+)\]", str(descriptor.readlink())):
                inodes.add(found[1])
    sockets = set()
    for protocol in ("tcp", "tcp6", "udp", "udp6"):
        table = Path(f"/proc/{pid}/net/{protocol}")
        if not table.exists():  # a kernel without IPv6
            continue
        for line in table.read_text().splitlines()[1:]:
            _, local, remote, state, *rest = line.split()
            unconnected = protocol.startswith("udp") and int(remote.partition(":")[2], 16) == 0
            if rest[5] in inodes and (state == LISTEN or unconnected):
                address, _, port = local.partition(":")
                sockets.add((address, int(port, 16)))
    return sockets


LOOPBACK, EVERYWHERE = "0100007F", "00000000"


@pytest.mark.parametrize(
    ("metrics", "address"),
    [({}, LOOPBACK), ({"host": "0.0.0.0"}, EVERYWHERE), ({"enabled": False}, None)],  # noqa: S104
)
def test_nothing_listens_beyond_this_machine_unless_asked(
    tmp_path: Path, metrics: dict[str, object], address: str | None
) -> None:
    port = free_port()
    tables = {
        "cameras": [{"name": "door", "source": "rtsp://127.0.0.1:1/stream"}],
        "metrics": {"port": port, **metrics},
        "outbox": {"directory": str(tmp_path / "state")},
        "mqtt": {"host": "127.0.0.1", "port": free_port(), "drain_timeout": 0.2},
    }
    with Daemon(tmp_path, tables) as daemon:
        daemon.wait_for_line(lambda line: "ready" in line)
        assert listening(daemon.pid) == ({(address, port)} if address else set())
        daemon.stop()
