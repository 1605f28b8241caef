"""What is new after Debian 12's systemd 252, on Debian 13's 257: the drop-in for notify-reload.

The package belongs to Debian 12's Python; here a stand-in of a few lines speaks to systemd in its place.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deploy.debian.build import ROOT
from tests.service.conftest import BUILD
from tests.service.machine import Machine, make_root

SYSTEMD = ROOT / "deploy" / "systemd"
UNIT = "instore-edge.service"
DAEMON = """#!/usr/bin/python3 -B
import signal, sys, time
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
sys.path.insert(0, "/srv")
from edge.ops.systemd import Systemd
systemd = Systemd()
systemd.ready("first configuration")
while True:
    signal.sigwait([signal.SIGHUP])
    systemd.reloading(time.monotonic())
    time.sleep(2)
    systemd.ready("second configuration")
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    root = BUILD / "service" / "newer-root"
    make_root(root, ["python3"], "trixie")
    daemon = tmp_path_factory.mktemp("daemon") / "instore-edge"
    daemon.write_text(DAEMON)
    daemon.chmod(0o755)
    binds = {
        ROOT / "edge": "/srv/edge",
        daemon: "/opt/instore-edge/bin/instore-edge",
        SYSTEMD / "restart-delay": "/opt/instore-edge/libexec/restart-delay",
        SYSTEMD / UNIT: f"/usr/lib/systemd/system/{UNIT}",
        SYSTEMD / "notify-reload.conf": f"/usr/lib/systemd/system/{UNIT}.d/notify-reload.conf",
    }
    log = BUILD / "service" / "newer-console.log"
    with Machine(root, binds, log) as machine:
        machine.run("mkdir", "--parents", "/etc/instore-edge/secrets")
        machine.run("systemctl", "daemon-reload")
        yield machine


def test_it_finds_no_fault_with_the_service(machine: Machine) -> None:
    assert machine.run("systemd-analyze", "verify", "--man=no", UNIT) == ""
    said = machine.run("systemd-analyze", "security", "--threshold=20", UNIT)
    assert "Overall exposure level" in said


def test_reload_waits_until_the_new_configuration_is_in_use(machine: Machine) -> None:
    assert machine.succeeds("systemctl", "start", UNIT), machine.journal(UNIT)
    assert machine.show(UNIT, "Type") == "notify-reload"
    assert machine.show(UNIT, "StatusText") == "first configuration"
    before = machine.show(UNIT, "MainPID")
    machine.run("systemctl", "reload", UNIT)
    assert machine.show(UNIT, "StatusText") == "second configuration"
    assert machine.show(UNIT, "MainPID") == before
