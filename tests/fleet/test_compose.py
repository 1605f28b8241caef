"""deploy/compose.yaml names files, options and hosts that exist; its broker's settings run without it."""

from __future__ import annotations

import os
import re
import socket
import ssl
import subprocess
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from bench.box import ROOT
from bench.servers import PostgreSQL, Server, program
from deploy.fleet.to_postgres import broker_of, parser
from tests.fleet.test_schema import QUARTER, counts, take
from tests.patience import PATIENCE

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
    database = sources["datasources"][1]
    password = database["secureJsonData"]["password"].removeprefix("$")
    assert password in services["grafana"]["environment"]
    assert password in services["postgresql"]["environment"]
    assert database["user"] == "grafana"
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


def as_user(database: str, user: str) -> psycopg.Connection:
    """A connection; the server of the tests asks for no password."""
    return psycopg.connect(f"{database} user={user}", autocommit=True)


def test_the_boards_read_and_the_consumer_stores_each_with_rights_of_its_own(
    postgresql: PostgreSQL, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where roles.sql runs again, as for another password."""
    environment = COMPOSE["services"]["postgresql"]["environment"]
    for name in ("INSTORE_CONSUMER_PASSWORD", "INSTORE_GRAFANA_PASSWORD"):
        assert name in environment
        monkeypatch.setenv(name, "it's one")
    for _ in range(2):
        name = str(psycopg.conninfo.conninfo_to_dict(database)["dbname"])
        postgresql.run_sql("-f", str(DEPLOY / "fleet/roles.sql"), database=name)
    start = datetime(2026, 6, 1, tzinfo=UTC)
    with as_user(database, "consumer") as consumer:
        take(consumer, [counts(start, start + QUARTER, released={"65+": (5, start)})])
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            consumer.execute("DROP TABLE instore.counts")
    with as_user(database, "grafana") as grafana:
        assert grafana.execute("SELECT sum(visits) FROM instore.visits").fetchall() == [(5,)]
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            grafana.execute("DELETE FROM instore.counts")
        grafana.execute("SET default_transaction_read_only = off")
        for forbidden in ("DELETE FROM instore.counts", "SELECT pg_read_file('/etc/passwd')"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                grafana.execute(forbidden)


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


@pytest.mark.skipif(os.getuid() != 0, reason="its settings are for root, as in a container")
def test_the_centre_has_as_many_connections_as_it_was_set_up_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store's broker has 500."""
    monkeypatch.setenv("CONNECTIONS", "2")
    with Composed(tmp_path) as broker, ExitStack() as stack:
        tls = ssl.create_default_context(cafile=str(tmp_path / "broker/ca.pem"))

        def connect() -> None:
            plain = stack.enter_context(socket.create_connection(("localhost", broker.port), PATIENCE))
            stack.enter_context(tls.wrap_socket(plain, server_hostname="localhost"))

        connect()
        connect()
        with pytest.raises(OSError, match=r"reset|EOF"):
            connect()


def test_the_centre_may_open_a_file_for_each_connection() -> None:
    (connections,) = re.findall(r"(?m)^# +CONNECTIONS=(\d+) deploy/mosquitto/setup", TEXT)
    files = COMPOSE["services"]["broker"]["ulimits"]["nofile"]
    assert files > 2 * int(connections)
    assert f"LimitNOFILE={files}" in (DEPLOY / "fleet/central.conf").read_text(encoding="utf-8")
