"""The drop-in allows this machine, the peers of the configuration and nobody else, and systemd reads it."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from edge.cli import main
from edge.commands.network_policy import network_policy
from edge.config import Settings, load_settings
from edge.errors import ConfigurationError

NAMES = {"broker.example": ["192.0.2.9", "2001:db8::9"], "camera.example": ["192.0.2.7", "192.0.2.7"]}


def resolve(host: str) -> list[str]:
    if host not in NAMES:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return NAMES[host]


def configured(*sources: str, host: str) -> Settings:
    cameras = [{"name": f"c{number}", "source": source} for number, source in enumerate(sources)]
    return load_settings(None, [], {"cameras": cameras, "mqtt": {"host": host}}, {})


def allowed(text: str) -> list[str]:
    lines = text.splitlines()
    assert lines[lines.index("[Service]") + 1] == "IPAddressDeny=any"
    return [line.partition("=")[2] for line in lines if line.startswith("IPAddressAllow=")]


@pytest.fixture
def resolv_conf(tmp_path: Path) -> Path:
    path = tmp_path / "resolv.conf"
    path.write_text(
        "search example\nnameserver 192.0.2.53\nnameserver fe80::1%eth0\n# nameserver 192.0.2.1\n"
    )
    return path


def test_addresses_are_taken_as_they_are_and_no_name_server_is_needed(resolv_conf: Path) -> None:
    settings = configured(
        "rtsp://192.0.2.10/stream", "http://[fe80::1%eth0]:8080/", "0", "clip.mp4", host="192.0.2.2"
    )

    text = network_policy(settings, resolve=resolve, resolv_conf=resolv_conf)

    assert allowed(text) == ["localhost", "192.0.2.2", "192.0.2.10", "fe80::1"]


def test_names_become_their_addresses_and_the_name_servers_are_allowed(resolv_conf: Path) -> None:
    settings = configured("rtsp://camera.example/stream", host="broker.example")

    text = network_policy(settings, resolve=resolve, resolv_conf=resolv_conf)

    peers = ["192.0.2.9", "2001:db8::9", "192.0.2.7"]
    assert allowed(text) == ["localhost", *peers, "192.0.2.53", "fe80::1"]


def test_a_broker_on_this_machine_needs_nothing_more(resolv_conf: Path) -> None:
    settings = configured("clip.mp4", host="localhost")

    assert allowed(network_policy(settings, resolve=resolve, resolv_conf=resolv_conf)) == ["localhost"]


@pytest.mark.parametrize(
    ("mqtt", "peers"),
    [
        (
            {"url": "wss://broker.example", "failover": ["wss://192.0.2.3"]},
            ["192.0.2.9", "2001:db8::9", "192.0.2.3"],
        ),
        ({"url": "mqtts://nowhere.example", "proxy": "http://192.0.2.8:3128"}, ["192.0.2.8"]),
    ],
)
def test_all_brokers_are_peers_or_the_proxy_on_the_way(mqtt: dict[str, Any], peers: list[str]) -> None:
    cameras = [{"name": "door", "source": "clip.mp4"}]
    settings = load_settings(None, [], {"cameras": cameras, "mqtt": mqtt}, {})
    text = network_policy(settings, resolve=resolve, resolv_conf=Path("/nonexistent"))
    assert allowed(text) == ["localhost", *peers]


def test_networks_may_be_added_and_must_be_some() -> None:
    settings = configured("clip.mp4", host="192.0.2.2")

    assert allowed(network_policy(settings, ["198.51.100.0/24"])) == [
        "localhost",
        "192.0.2.2",
        "198.51.100.0/24",
    ]
    with pytest.raises(ConfigurationError, match=r"--allow '198.51.100.1/24': .*host bits set; allowed: "):
        network_policy(settings, ["198.51.100.1/24"])


def test_a_name_without_an_address_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"mqtt.host: 'nowhere.example' has no address here"):
        network_policy(configured("clip.mp4", host="nowhere.example"), resolve=resolve)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_reads_what_the_command_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "config.toml"
    config.write_text(
        '[mqtt]\nhost = "2001:db8::2"\n[[cameras]]\nname = "door"\nsource = "rtsp://192.0.2.10/stream"\n'
    )
    assert main(["network-policy", "--config", str(config), "--allow", "198.51.100.0/24"]) == 0
    unit = tmp_path / "watched.service"
    unit.write_text(capsys.readouterr().out + "ExecStart=/bin/true\n")

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )

    assert (done.returncode, [line for line in done.stderr.splitlines() if unit.name in line]) == (0, [])
