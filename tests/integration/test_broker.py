"""The brokers that deploy/mosquitto configures: what they let through, and what they refuse."""

from __future__ import annotations

import getpass
import os
import pwd
import re
import shutil
import socket
import ssl
import subprocess
import time
import warnings
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.clock import SystemClock
from edge.config import MqttSettings
from edge.delivery import Probe, probe
from tests.mosquitto import Mosquitto, Subscriber, free_port, has_ipv6
from tests.patience import PATIENCE

FILES = Path(__file__).parents[2] / "deploy" / "mosquitto"
USERS = ("dashboard", "store-001", "store-002", "Café 7")


def has_user(name: str) -> bool:
    return name in {entry.pw_name for entry in pwd.getpwall()}


class Configured(Mosquitto):
    """mosquitto with the files as they are, but for the port and the folder that they name."""

    def __init__(self, folder: Path, bridge_to: Configured | None = None, host: str = "127.0.0.1") -> None:
        self.folder = folder
        self.host, self.port = host, free_port()
        self.ca_file = folder / "ca.pem"
        self._prepare(folder)
        subprocess.run([FILES / "setup", folder, self.host, *USERS], check=True, capture_output=True)
        text = (folder / "instore.conf").read_text() + (self._bridge(bridge_to) if bridge_to else "")
        text = text.replace("listener 8883", f"listener {self.port} {self.host}")
        text += (
            f"user {getpass.getuser()}\npersistence true\npersistence_location {folder}/\nlog_dest stderr\n"
        )
        (folder / "mosquitto.conf").write_text(text)

    def password(self, user: str) -> str:
        return (self.folder / "users" / user).read_text().strip()

    def _bridge(self, central: Configured) -> str:
        text = (FILES / "bridge.conf").read_text()
        for name, value in (
            ("address", f"{central.host}:{central.port}"),
            ("remote_password", central.password("store-001")),
            ("bridge_cafile", str(central.ca_file)),
        ):
            text, found = re.subn(rf"(?m)^{name} .*$", f"{name} {value}", text)
            assert found == 1
        return text


@dataclass(frozen=True)
class Chain:
    store: Configured
    central: Configured


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """A store's broker that is bridged to a central one."""
    folder = tmp_path_factory.mktemp("brokers")
    central = Configured(folder / "central")
    with central, Configured(folder / "store", bridge_to=central) as store:
        yield Chain(store, central)


def settings(broker: Configured, user: str, **others: object) -> MqttSettings:
    return MqttSettings(
        host=broker.host, port=broker.port, tls=True, ca_file=str(broker.ca_file),
        username=user, password_file=str(broker.folder / "users" / user),
    ).model_copy(update=others)  # fmt: skip


def rights(broker: Configured, user: str, *topics: str) -> Probe:
    sizes = dict.fromkeys(topics, 0)
    return probe(settings(broker, user), "check", clock=SystemClock(), secrets_beside=Path(), sizes=sizes)


def publish(broker: Configured, user: str, topic: str, payload: str, *, retain: bool = False) -> None:
    arguments = [
        "-h",
        broker.host,
        "-p",
        str(broker.port),
        "--cafile",
        str(broker.ca_file),
        "-V",
        "5",
        "-q",
        "1",
    ]
    arguments += ["-u", user, "-P", broker.password(user), "-t", topic, "-m", payload]
    subprocess.run(
        ["mosquitto_pub", *arguments, *(["-r"] if retain else [])], check=True, capture_output=True
    )


def test_a_site_may_write_its_own_topics(chain: Chain) -> None:
    names = [f"door/all/{kind}" for kind in ("counts", "latest", "today", "periods")]
    names += [
        "door/status",
        "door/flow",
        *(f"edge-1/{kind}" for kind in ("status", "today", "flow", "periods")),
    ]
    own = [f"instore/store-001/{name}" for name in names]
    assert rights(chain.store, "store-001", *own).refused == ()


def test_a_sites_name_may_be_of_any_language(chain: Chain) -> None:
    topics = ["instore/Café 7/door/all/counts", "instore/store-001/door/all/counts"]
    assert rights(chain.store, "Café 7", *topics).refused == (topics[1],)


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_a_broker_may_be_named_by_its_ipv6_address(tmp_path: Path) -> None:
    with Configured(tmp_path, host="::1") as broker:
        topic = "instore/store-001/door/all/counts"
        assert rights(broker, "store-001", topic).connected
        wrong = settings(broker, "store-001", password_file=str(broker.folder / "users" / "dashboard"))
        found = probe(wrong, "check", clock=SystemClock(), secrets_beside=Path())
        assert found.reason == "the broker refused the connection: Not authorized"


@pytest.mark.parametrize(
    "topic",
    [
        "instore/store-002/door/all/counts",
        "instore/store-001x/door/all/counts",
        "instore/store-001/door/command",
        "instore/store-001/door/all/counts/deeper",
        "instore/store-001/status",
        "instore/door/counts",
        "other/store-001/door/all/counts",
        "$SYS/broker/clients/total",
    ],
)
def test_a_site_may_write_nothing_else(chain: Chain, topic: str) -> None:
    assert rights(chain.store, "store-001", topic).refused == (topic,)


@pytest.mark.parametrize("topic", ["instore/store-001/door/all/counts", "instore/#", "#"])
def test_a_site_reads_nothing(chain: Chain, topic: str) -> None:
    with Subscriber(
        chain.store, topic, user="store-001", password=chain.store.password("store-001")
    ) as box, Subscriber(
        chain.store, "instore/#", user="dashboard", password=chain.store.password("dashboard")
    ) as dashboard:  # fmt: skip
        publish(chain.store, "store-001", "instore/store-001/door/all/counts", "windows")
        dashboard.wait_for_topic("instore/store-001/door/all/counts")
        assert box.messages == []


def test_dashboards_write_nothing(chain: Chain) -> None:
    topics = ("instore/store-001/door/all/counts", "instore/store-001/door/all/latest", "instore/x")
    assert rights(chain.store, "dashboard", *topics).refused == topics


def test_nobody_comes_in_without_a_password(chain: Chain, tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text("guessed")
    for change in ({"username": "", "password_file": ""}, {"password_file": str(tmp_path / "wrong")}):
        trial = settings(chain.store, "store-001", **change)
        found = probe(trial, "check", clock=SystemClock(), secrets_beside=Path())
        assert (found.connected, found.reason) == (False, "the broker refused the connection: Not authorized")


def test_nobody_comes_in_without_tls_or_with_an_old_one(chain: Chain) -> None:
    plain = settings(chain.store, "store-001", tls=False, ca_file="")
    assert not probe(plain, "check", clock=SystemClock(), secrets_beside=Path()).connected
    old = ssl.create_default_context(cafile=chain.store.ca_file)
    old.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore"):  # that it is old is the point
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        closing(socket.create_connection((chain.store.host, chain.store.port), timeout=PATIENCE)) as sock,
        pytest.raises(ssl.SSLError),
    ):
        old.wrap_socket(sock, server_hostname=chain.store.host)


def test_the_bridge_carries_a_stores_windows_to_the_centre(chain: Chain) -> None:
    topic = "instore/store-001/till/status"
    with Subscriber(
        chain.central, "instore/#", user="dashboard", password=chain.central.password("dashboard")
    ) as centre:
        publish(chain.store, "store-001", topic, "before", retain=True)
        assert centre.wait_for_topic(topic, 1) == [b"before"]
        # What is another site's stays in the store, even if somebody there has its password.
        publish(chain.store, "store-002", "instore/store-002/till/status", "foreign")
        publish(chain.store, "store-001", "instore/store-001/till/all/latest", "not stored at the centre")
        publish(chain.store, "store-001", topic, "after", retain=True)
        assert centre.wait_for_topic(topic, 2) == [b"before", b"after"]
        assert {message.topic for message in centre.messages} == {topic}
    with Subscriber(
        chain.central, topic, user="dashboard", password=chain.central.password("dashboard")
    ) as late:
        message = late.wait_for(bool)[0]
        assert (message.payload, message.retained) == (b"after", True)


def test_windows_wait_in_the_store_while_the_centre_is_away(chain: Chain) -> None:
    """They outlive the store's broker, too: killed, it has what it acknowledged."""
    topic = "instore/store-001/door/all/counts"
    chain.central.stop()
    for number in range(3):
        publish(chain.store, "store-001", topic, f"window-{number}")
    until = time.monotonic() + PATIENCE
    saved = chain.store.folder / "mosquitto.db"
    while not (saved.exists() and b"window-2" in saved.read_bytes()):
        assert time.monotonic() < until, "the store's broker saved nothing"
    chain.store.kill()
    chain.central.start()
    with Subscriber(
        chain.central, topic, user="dashboard", password=chain.central.password("dashboard")
    ) as centre:
        chain.store.start()
        assert centre.wait_for_topic(topic, 3)[-3:] == [b"window-0", b"window-1", b"window-2"]


def test_setup_adds_users_and_keeps_what_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "instore"
    for users in (["store-001"], ["store-001", "store-002"]):
        subprocess.run(
            [FILES / "setup", folder, "broker.example.com", *users], check=True, capture_output=True
        )
        kept = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        if len(users) == 1:
            first = kept
    assert {name: kept[name] for name in first if name != "passwords"} == {
        name: content for name, content in first.items() if name != "passwords"
    }
    assert kept["passwords"].startswith(first["passwords"])
    assert kept["passwords"].count(b"\n") == 2
    assert (folder / "users" / "store-001").read_bytes() not in kept["passwords"]
    for private in ("ca.key", "passwords", "users", "users/store-001"):
        assert (folder / private).stat().st_mode & 0o077 == 0
    assert (folder / "server.key").stat().st_mode & 0o037 == 0


@pytest.mark.skipif(os.getuid() != 0 or not has_user("mosquitto"), reason="needs root and the user mosquitto")
def test_the_broker_cannot_write_into_the_folder_where_root_does(tmp_path: Path) -> None:
    """It could put a link to any file where a second run of setup writes."""
    folder = tmp_path / "instore"
    setup = [str(FILES / "setup"), str(folder), "broker.example"]
    subprocess.run([*setup, "store-001"], check=True, capture_output=True)
    group = pwd.getpwnam("mosquitto").pw_gid
    shutil.chown(folder, "mosquitto")  # as earlier versions left it
    subprocess.run([*setup, "store-002"], check=True, capture_output=True)
    found = folder.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (0, group, 0o750)
    assert {path.name for path in folder.iterdir() if path.owner() != "root"} == {"passwords", "acl"}
    key = (folder / "server.key").stat()
    assert (key.st_gid, key.st_mode & 0o777) == (group, 0o640)


def test_a_user_whose_setup_failed_is_made_by_the_next(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "mosquitto_passwd").write_text("#!/bin/sh\nexit 1\n")
    (programs / "mosquitto_passwd").chmod(0o755)
    folder = tmp_path / "instore"
    setup = [str(FILES / "setup"), str(folder), "broker.example", "store-001"]
    path = f"{programs}:{os.environ['PATH']}"
    assert subprocess.run(setup, env={"PATH": path}, capture_output=True, check=False).returncode == 1
    left = {path.name for path in folder.iterdir()} - {"ca.srl"}
    assert left == {"ca.key", "ca.pem", "passwords", "server.key", "server.pem", "users"}
    assert list((folder / "users").iterdir()) == []
    (folder / "passwords").write_text("store-001:of a run that was stopped\nstore-0010:kept\n")
    said = subprocess.run(setup, check=True, capture_output=True, text=True).stdout
    assert "restart a running broker" in said
    users = [line.partition(":") for line in (folder / "passwords").read_text().splitlines()]
    assert [user for user, _, _ in users] == ["store-0010", "store-001"]
    assert users[1][2].startswith("$7$")
    assert len((folder / "users" / "store-001").read_text().strip()) == 48


def test_setup_takes_a_folder_of_any_name_and_says_when_to_reload(tmp_path: Path) -> None:
    folder = tmp_path / r"a & b | c\1"
    for user in ("store-001", "store-002"):
        done = subprocess.run(
            [FILES / "setup", str(folder), "broker.example", user], check=True, capture_output=True, text=True
        )
    assert f"\ncertfile {folder}/server.pem\n" in (folder / "instore.conf").read_text()
    assert "a running broker reads the new users at: systemctl reload mosquitto" in done.stdout


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("[fd00::1]", "IP Address:FD00:0:0:0:0:0:0:1"),
        ("192.0.2.5", "IP Address:192.0.2.5"),
        ("bröker.example", "DNS:xn--brker-kua.example"),
        (f"{'a' * 60}.example", f"DNS:{'a' * 60}.example"),
    ],
)
def test_setup_certifies_the_host_as_boxes_ask_for_it(tmp_path: Path, host: str, name: str) -> None:
    subprocess.run([FILES / "setup", tmp_path, host, "dashboard"], check=True, capture_output=True)
    show = ["openssl", "x509", "-in", str(tmp_path / "server.pem"), "-noout", "-ext", "subjectAltName"]
    said = subprocess.run(show, check=True, capture_output=True, text=True).stdout
    assert said.splitlines()[1].strip() == name
    done = subprocess.run(
        [FILES / "setup", tmp_path, "other.example", "dashboard"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "server.pem is for another host" in done.stderr


def test_setup_installs_what_it_makes(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    folder = tmp_path / "instore"
    subprocess.run([FILES / "setup", folder, "broker.example", "dashboard"], check=True, capture_output=True)
    settings = (tmp_path / "conf.d" / "instore.conf").read_text()
    named = re.findall(r"(?m)^\w+ (/\S+)$", settings)
    assert {Path(path).name for path in named} == {"server.pem", "server.key", "passwords", "acl"}
    assert all(Path(path).parent == folder and Path(path).exists() for path in named)
    assert (folder / "acl").read_text() == (FILES / "acl").read_text()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["f", "h"],
        ["f", "h;x", "u"],
        ["f", "fe80::1%eth0", "u"],
        ["f", "h", "a:b"],
        ["f", "h", "+"],
        ["f", "h", ".."],
        ["f", "h", " u"],
        ["f", "h", "a\nb"],
        ["a\nb", "h", "u"],
    ],
)
def test_setup_names_wrong_arguments(tmp_path: Path, arguments: list[str]) -> None:
    done = subprocess.run(
        [FILES / "setup", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "setup" in done.stderr
    assert list(tmp_path.iterdir()) == []
