"""deploy/compose.yaml names files, options and hosts that exist."""

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

from bench import fleet_brokers
from bench.box import ROOT
from bench.servers import PostgreSQL
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
    assert len(mounted) >= 4
    builds = [one["build"] for one in COMPOSE["services"].values() if "build" in one]
    images = [DEPLOY / build["context"] / build["dockerfile"] for build in builds]
    assert len(images) == 2
    assert [str(path) for path in (*images, *(DEPLOY / path for path in mounted)) if not path.exists()] == []
    copied = re.findall(
        r"(?m)^COPY (.*) \S+$", "".join(image.read_text(encoding="utf-8") for image in images)
    )
    assert all((ROOT / path).is_file() for paths in copied for path in paths.split())


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


def test_the_broker_finds_its_files() -> None:
    """The settings of the image are those of deploy/rabbitmq, which tests/fleet/test_fleet.py runs."""
    copied = (DEPLOY / "rabbitmq/Containerfile").read_text(encoding="utf-8")
    settings = (DEPLOY / "rabbitmq/rabbitmq.conf").read_text(encoding="utf-8")
    mounted = [volume.rsplit(":", 2) for volume in COMPOSE["services"]["broker"]["volumes"]]
    assert any(place == "/etc/rabbitmq/instore" for _, place, *_ in mounted)
    named = set(re.findall(r"/etc/rabbitmq/instore/(\S+)", settings))
    assert named == {"server.pem", "server.key", "definitions.json"}
    assert re.findall(r"deploy/rabbitmq/(\w\S+)", copied)[:3] == [
        "rabbitmq.conf", "rabbitmq-env.conf", "enabled_plugins",
    ]  # fmt: skip


def test_a_central_mosquitto_has_as_many_connections_as_it_was_set_up_for(tmp_path: Path) -> None:
    """A store's broker has 500."""
    setup = [str(DEPLOY / "mosquitto/setup"), str(tmp_path / "keys"), "localhost", "dashboard"]
    subprocess.run(setup, check=True, capture_output=True, env={**os.environ, "CONNECTIONS": "2"})
    broker = fleet_brokers.central("mosquitto", tmp_path / "central", tmp_path / "keys")
    with broker, ExitStack() as stack:
        tls = ssl.create_default_context(cafile=str(tmp_path / "keys/ca.pem"))

        def connect() -> None:
            plain = stack.enter_context(socket.create_connection(("localhost", broker.port), PATIENCE))
            stack.enter_context(tls.wrap_socket(plain, server_hostname="localhost"))

        connect()
        connect()
        with pytest.raises(OSError, match=r"reset|EOF"):
            connect()


def test_the_centre_may_open_a_file_for_each_connection() -> None:
    text = (ROOT / "docs/fleet.md").read_text(encoding="utf-8")
    (connections,) = re.findall(r"CONNECTIONS=(\d+) deploy/mosquitto/setup", text)
    files = COMPOSE["services"]["broker"]["ulimits"]["nofile"]
    assert files > 2 * int(connections)
    assert f"LimitNOFILE={files}" in (DEPLOY / "fleet/central.conf").read_text(encoding="utf-8")
