"""The life of a box: the package is installed, counts, survives what systemd is for, is upgraded, and goes.

The tests build on one another, in this order, on one booted machine.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from edge.config.tables.writing import to_toml
from tests.service.machine import PATIENCE, Machine

UNIT = "instore-edge.service"
CONFIG = "/etc/instore-edge/config.toml"
PASSWORD = "correct-horse-7"
CAMERA = {"name": "door", "source": "/srv/scene.avi", "loop": True, "max_fps": 5.0, "tile": 0}
BROKER = """listener 1883 127.0.0.1
allow_anonymous false
password_file /etc/mosquitto/passwords
"""


def settings(**tables: Any) -> str:
    mqtt = {"host": "127.0.0.1", "username": "box", "password_file": "secrets/broker"}
    base = {"cameras": [CAMERA], "windows": {"length": 5}, "privacy": {"minimum": 1}, "mqtt": mqtt}
    return to_toml({**base, **tables})


def heard(machine: Machine, count: int, camera: str = "door") -> list[dict[str, Any]]:
    """The next so many windows of a camera that the broker passes on."""
    lines = machine.run(
        "mosquitto_sub", "-h", "127.0.0.1", "-u", "box", "-P", PASSWORD, "-i", "listener",
        "-t", f"instore/store/{camera}/all/counts", "-C", str(count), "-W", f"{PATIENCE:.0f}",
    ).splitlines()  # fmt: skip
    return [json.loads(line) for line in lines]


def is_ready(machine: Machine) -> bool:
    return machine.show(UNIT, "ActiveState") == "active"


def main_pid(machine: Machine) -> str:
    return machine.show(UNIT, "MainPID")


def kill(machine: Machine, signal: str, pid: str) -> None:
    """Send a signal to the service; 0, where it does not run, would be the group of the test itself."""
    assert pid != "0", machine.journal(UNIT)
    machine.run("kill", f"-{signal}", pid)


def wait_for_start(machine: Machine, before: str) -> None:
    """Until another process than `before` is ready."""
    machine.wait_until(
        lambda: is_ready(machine) and main_pid(machine) not in ("0", before),
        "the service was not ready",
        UNIT,
    )


@contextmanager
def added_to_unit(machine: Machine, lines: str) -> Iterator[None]:
    """The service with these settings over its own, for a while; it takes them at its next start."""
    machine.write(f"/run/systemd/system/{UNIT}.d/test.conf", f"[Service]\n{lines}")
    machine.run("systemctl", "daemon-reload")
    yield
    machine.run("rm", "-r", f"/run/systemd/system/{UNIT}.d")
    machine.run("systemctl", "daemon-reload")


def test_the_package_installs_and_waits_for_its_configuration(machine: Machine) -> None:
    said = machine.run("dpkg", "--install", "/srv/first.deb")
    assert f"instore-edge check --config {CONFIG}" in said
    assert machine.show(UNIT, "UnitFileState") == "enabled"
    assert machine.show(UNIT, "ActiveState") == "inactive"
    assert machine.run("dpkg", "--verify", "instore-edge") == ""
    assert machine.run("stat", "--format=%a %U", "/etc/instore-edge/secrets").split() == ["700", "root"]
    assert machine.run("stat", "--format=%a", "/etc/instore-edge/conf.d").strip() == "755"
    assert machine.run("ls", "/usr/share/instore-edge/config.schema.json")
    assert machine.run("instore-edge", "--version").startswith("instore-edge ")


def test_the_service_becomes_ready_and_counts(machine: Machine) -> None:
    machine.write("/etc/mosquitto/mosquitto.conf", BROKER)
    machine.run("sh", "-c", f"mosquitto_passwd -c -b /etc/mosquitto/passwords box {PASSWORD}; "
                "chown mosquitto: /etc/mosquitto/passwords")  # fmt: skip
    machine.run("systemctl", "start", "mosquitto")
    machine.write(CONFIG, settings())
    machine.write("/etc/instore-edge/secrets/broker", PASSWORD + "\n", 0o600)
    machine.run("systemctl", "start", UNIT)
    assert is_ready(machine)
    windows = heard(machine, 4)
    assert sum(window["coverage"]["frames_analysed"] for window in windows) > 40
    assert sum(window["released"] for window in windows) >= 1


def test_the_journal_has_an_entry_for_each_event_with_its_fields(machine: Machine) -> None:
    said = machine.run("journalctl", "--output=json", f"--unit={UNIT}", "INSTORE_CAMERA=door")
    entries = [json.loads(line) for line in said.splitlines()]
    assert [entry["MESSAGE"] for entry in entries] == ["camera door: up"]
    wanted = {
        "PRIORITY": "6",
        "INSTORE_STATE": "up",
        "LOGGER": "edge.daemon.status",
        "_TRANSPORT": "journal",
    }
    assert {name: entries[0][name] for name in wanted} == wanted
    assert PASSWORD not in machine.run("journalctl", "--output=export", f"--unit={UNIT}")


def test_a_technician_at_the_box_sees_that_it_works(machine: Machine) -> None:
    verdicts = json.loads(machine.run("instore-edge", "check", "--json", "--config", CONFIG))
    assert [verdict for verdict in verdicts if verdict["status"] == "failed"] == []
    details = {verdict["what"]: verdict["detail"] for verdict in verdicts}
    assert details["outbox"] == "/var/lib/instore-edge/outbox.db: in use by the running daemon"
    assert details["metrics"].endswith("served by the running daemon")
    assert details["service"].startswith("active (running), enabled, restarted 0 times: 1 of 1 cameras up")


def test_the_service_is_confined(machine: Machine) -> None:
    status = machine.run("cat", f"/proc/{main_pid(machine)}/status")
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert int(facts["CapEff"], 16) == int(facts["CapBnd"], 16) == 0
    assert (facts["NoNewPrivs"], facts["Seccomp"]) == ("1", "2")
    assert 61184 <= int(facts["Uid"].split()[0]) <= 65519, "not a dynamic user"
    assert "Max core file size        0                    0" in machine.run(
        "cat", f"/proc/{main_pid(machine)}/limits"
    )
    assert PASSWORD not in machine.run("sh", "-c", f"tr '\\0' '\\n' </proc/{main_pid(machine)}/environ")


PROBE = r"""
import ctypes, json, mmap, os, pathlib, socket, subprocess

def outcome(attempt):
    try:
        return repr(attempt())
    except BaseException as error:
        return type(error).__name__

libc = ctypes.CDLL(None, use_errno=True)

def system_call(name, *arguments):
    if getattr(libc, name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), name)

attempts = {
    "write the program": lambda: open("/opt/instore-edge/pyvenv.cfg", "a"),
    "write the configuration": lambda: open("/etc/instore-edge/config.toml", "a"),
    "write the system": lambda: open("/usr/bin/x", "w"),
    "read a secret of root's": lambda: open("/etc/instore-edge/secrets/broker").read(),
    "read the shadow file": lambda: open("/etc/shadow").read(),
    "look into homes": lambda: os.listdir("/root"),
    "see another process": lambda: os.stat("/proc/1"),
    "raw packets": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
    "a raw socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1),
    "a netlink socket": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "a namespace": lambda: system_call("unshare", 0x10000000),
    "a mount": lambda: system_call("mount", b"none", b"/tmp", b"tmpfs", 0, None),
    "memory to write and execute": lambda: mmap.mmap(-1, 4096, prot=7),
    "the clock": lambda: system_call("clock_settime", 0, ctypes.create_string_buffer(16)),
    "a device": lambda: open("/dev/fuse"),
}
home = pathlib.Path(os.environ["STATE_DIRECTORY"])
own = [os.environ[name + "_DIRECTORY"] for name in ("STATE", "CACHE", "RUNTIME")]
for folder in (*own, "/tmp", "/var/tmp", "/dev/shm"):
    program = pathlib.Path(folder, "program")
    try:
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    except OSError:
        continue  # what cannot be written cannot be executed
    attempts["a program of its own in " + str(folder)] = lambda program=program: subprocess.run([program])
found = {name: outcome(attempt) for name, attempt in attempts.items()}
found["read its secret"] = open(os.environ["CREDENTIALS_DIRECTORY"] + "/secrets_broker").read().strip()
found["write its cache"] = str(pathlib.Path(os.environ["CACHE_DIRECTORY"], "x").write_text("x"))
(home / "found.json").write_text(json.dumps(found))
"""

ALLOWED = {"read its secret": PASSWORD, "write its cache": "1"}


def test_the_sandbox_holds_an_intruder(machine: Machine) -> None:
    """A program that tries to break out, in the place of the daemon: same unit, other command."""
    machine.write("/usr/local/lib/probe.py", PROBE)
    command = "ExecStart=\nExecStart=/usr/bin/python3 /usr/local/lib/probe.py\n"
    with added_to_unit(machine, f"Type=oneshot\nRestart=no\n{command}"):
        assert machine.succeeds("systemctl", "restart", UNIT), machine.journal(UNIT)
        found = json.loads(machine.run("cat", "/var/lib/private/instore-edge/found.json"))
    machine.run("systemctl", "restart", UNIT)
    assert {name: found.pop(name) for name in ALLOWED} == ALLOWED
    refusals = {"PermissionError", "OSError", "FileNotFoundError"}
    assert {name: result for name, result in found.items() if result not in refusals} == {}


def test_a_reload_takes_a_new_camera_over_without_a_restart(machine: Machine) -> None:
    before = main_pid(machine)
    cameras = [{**CAMERA, "name": name} for name in ("door", "till")]
    machine.write(CONFIG, settings(cameras=cameras))
    machine.run("systemctl", "reload", UNIT)
    assert heard(machine, 1, camera="till")[0]["camera"] == "till"
    machine.write(CONFIG, settings(cameras=[]))
    machine.run("systemctl", "reload", UNIT)
    machine.wait_until(lambda: "rejected" in machine.show(UNIT, "StatusText"), "the fault was not told", UNIT)
    assert heard(machine, 1, camera="till")
    machine.write(CONFIG, settings())
    machine.run("systemctl", "reload", UNIT)
    assert main_pid(machine) == before


def test_it_goes_on_after_a_kill(machine: Machine) -> None:
    before = main_pid(machine)
    last = heard(machine, 1)[0]
    kill(machine, "KILL", before)
    wait_for_start(machine, before)
    assert machine.show(UNIT, "NRestarts") == "1"
    assert heard(machine, 2)[-1]["sequence"] > last["sequence"]


def test_a_hung_daemon_is_restarted_by_the_watchdog(machine: Machine) -> None:
    with added_to_unit(machine, "WatchdogSec=8\nTimeoutAbortSec=2\n"):
        machine.run("systemctl", "restart", UNIT)
        before = main_pid(machine)
        kill(machine, "STOP", before)
        wait_for_start(machine, before)
    assert "Watchdog timeout" in machine.journal(UNIT)


def test_failures_in_a_row_are_answered_with_growing_rest(machine: Machine) -> None:
    for _ in range(2):
        before = main_pid(machine)
        kill(machine, "KILL", before)
        wait_for_start(machine, before)
    assert "times in a row; waiting another 15 s before the restart" in machine.journal(UNIT)
    machine.run("systemctl", "restart", UNIT)
    assert "No such file" in machine.run("cat", "/run/instore-edge/failures", check=False), (
        "a restart by hand forgives"
    )


def test_an_upgrade_keeps_the_configuration_and_the_windows(machine: Machine) -> None:
    before = main_pid(machine)
    sequence = heard(machine, 1)[0]["sequence"]
    machine.run("dpkg", "--force-confold", "--install", "/srv/next.deb")
    wait_for_start(machine, before)
    assert machine.run("cat", CONFIG) == settings()
    assert heard(machine, 1)[0]["sequence"] > sequence


def test_removal_stops_it_and_keeps_what_is_the_owners(machine: Machine) -> None:
    machine.run("dpkg", "--remove", "instore-edge")
    assert machine.show(UNIT, "ActiveState") == "inactive"
    assert not machine.succeeds("test", "-e", "/opt/instore-edge")
    assert machine.run("cat", CONFIG) == settings()
    assert machine.succeeds("test", "-e", "/var/lib/private/instore-edge/outbox.db")


def test_a_purge_leaves_nothing(machine: Machine) -> None:
    machine.run("dpkg", "--purge", "instore-edge")
    left = machine.run(
        "find", "/etc", "/usr", "/var", "/run", "-name", "*instore*", "-not", "-path", "/run/systemd/*"
    )
    assert left == ""
    assert machine.show(UNIT, "LoadState") == "not-found"
