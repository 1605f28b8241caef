"""The brokers of `bench.fleet`: with the certificate, users and access rules of deploy/mosquitto/setup."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import fleet_boxes
from bench.box import ROOT
from bench.servers import Mosquitto, RabbitMQ

DEPLOY = ROOT / "deploy"
CENTRES = ("rabbitmq", "mosquitto")
READER = "dashboard"


def keys_of(boxes: int, folder: Path) -> Path:
    """The folder of certificates and passwords: a user for each box, and one who reads."""
    users = map(fleet_boxes.site, range(boxes))
    subprocess.run(
        [DEPLOY / "mosquitto/setup", folder, "localhost", READER, *users], check=True, capture_output=True,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "CONNECTIONS": str(2 * boxes + 100)},
    )  # fmt: skip
    subprocess.run([sys.executable, DEPLOY / "rabbitmq/definitions.py", folder], check=True)
    return folder


def central(kind: str, folder: Path, keys: Path) -> Mosquitto | RabbitMQ:
    """The central broker, one of CENTRES, with the settings of deploy/."""
    if kind == "rabbitmq":
        return RabbitMQ(folder, keys)
    more = (DEPLOY / "fleet/central.conf").read_text().splitlines()
    return Mosquitto(folder, more, settings=keys / "instore.conf")


def store(folder: Path, keys: Path, centre: int, boxes: Sequence[int]) -> Mosquitto:
    """A broker with a bridge for the store of each of these boxes. centre: the port of the central broker."""
    bridges = [bridge(fleet_boxes.site(box), keys, centre) for box in boxes]
    return Mosquitto(folder, bridges, settings=keys / "instore.conf")


def bridge(site: str, keys: Path, centre: int) -> str:
    """deploy/mosquitto/bridge.conf of a store; it comes back sooner."""
    text = (DEPLOY / "mosquitto/bridge.conf").read_text()
    password = (keys / "users" / site).read_text().strip()
    for name, value in (
        ("connection", f"central-{site}"), ("address", f"localhost:{centre}"),
        ("bridge_cafile", str(keys / "ca.pem")), ("remote_password", password), ("restart_timeout", "1 5"),
    ):  # fmt: skip
        text, found = re.subn(rf"(?m)^{name} .*$", f"{name} {value}", text)
        assert found == 1, name
    return text.replace("store-001", site)
