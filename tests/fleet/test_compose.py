"""deploy/compose.yaml names files, options and hosts that exist; its broker's settings run without it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.box import ROOT
from bench.servers import Server, program
from deploy.fleet.to_postgres import broker_of, parser

DEPLOY = ROOT / "deploy"
TEXT = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)


def variables(text: str, values: dict[str, str]) -> str:
    """The text with its variables filled in, as compose does."""
    return re.sub(r"\$\{(\w+)(?::\?[^}]*)?\}", lambda found: values[found[1]], text)


def test_every_file_that_it_mounts_or_builds_from_exists() -> None:
    mounted = re.findall(r'"(\./[^:"]+):', TEXT)
    assert len(mounted) >= 5
    build = COMPOSE["services"]["consumer"]["build"]
    files = [*(DEPLOY / path for path in mounted), DEPLOY / build["context"] / build["dockerfile"]]
    assert [str(path) for path in files if not path.exists()] == []
    copied = re.findall(r"(?m)^COPY (\S+)", (DEPLOY / "fleet/Containerfile").read_text(encoding="utf-8"))
    assert all((ROOT / path).is_file() for path in copied)


def test_what_depends_on_what_and_who_is_asked_exists() -> None:
    services = COMPOSE["services"]
    assert all(name in services for one in services.values() for name in one.get("depends_on", {}))
    sources = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/instore.yml").read_text())
    for source in sources["datasources"]:
        host = re.split(r"[:/]+", source["url"].removeprefix("http://"))[0]
        assert host in services
    password = sources["datasources"][1]["secureJsonData"]["password"].removeprefix("$")
    assert password in services["grafana"]["environment"]
    mounts = [volume.split(":")[0] for one in services.values() for volume in one.get("volumes", [])]
    assert {name for name in mounts if re.fullmatch(r"\w+", name)} == set(COMPOSE["volumes"])


def made(folder: Path) -> dict[str, str]:
    """The variables, with a broker's folder as the comment in the file makes it."""
    setup = [str(DEPLOY / "mosquitto/setup"), str(folder), "localhost", "dashboard", "store-001"]
    subprocess.run(setup, check=True, capture_output=True)
    names = set(re.findall(r"\$\{(\w+)", TEXT))
    places = {"INSTORE_BROKER": str(folder), "INSTORE_BROKER_HOST": "localhost"}
    return dict.fromkeys(names, "x") | places


def test_the_consumer_takes_its_options(tmp_path: Path) -> None:
    values = made(tmp_path / "broker")
    command = [variables(word, values) for word in COMPOSE["services"]["consumer"]["command"]]
    broker = broker_of(parser().parse_args(command))
    assert (broker.host, broker.port, broker.user) == ("localhost", 8883, "dashboard")
    assert broker.tls is not None
    assert len(broker.password) > 20


class Composed(Server):
    """mosquitto with the settings of the file, but for its port and the places inside of the container."""

    ready = " running"

    def __init__(self, folder: Path) -> None:
        super().__init__()
        text = variables(COMPOSE["configs"]["mosquitto"]["content"], made(folder / "broker"))
        settings = folder / "broker/instore.conf"
        settings.write_text(settings.read_text().replace("listener 8883", f"listener {self.port}"))
        text = text.replace("/mosquitto/data", str(folder))
        text = text.replace("include_dir /central", f"include_dir {folder}/central")
        (folder / "central").mkdir()
        (folder / "central/central.conf").write_bytes((DEPLOY / "fleet/central.conf").read_bytes())
        self._file = folder / "mosquitto.conf"
        self._file.write_text(text)

    def _popen(self) -> subprocess.Popen[str]:
        command = [program("mosquitto"), "-c", str(self._file)]
        return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


@pytest.mark.skipif(os.getuid() != 0, reason="its settings are for root, as in a container")
def test_the_settings_of_the_broker_run(tmp_path: Path) -> None:
    with Composed(tmp_path) as broker:
        password = (tmp_path / "broker/users/store-001").read_text().strip()
        command = ["mosquitto_pub", "-h", "localhost", "-p", str(broker.port), "-V", "5", "-q", "1",
                   "--cafile", f"{tmp_path}/broker/ca.pem", "-u", "store-001", "-P", password,
                   "-t", "instore/store-001/door/status", "-m", "up"]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True)
