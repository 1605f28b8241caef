"""deploy/rabbitmq/definitions.py: users, rights and the consumer's queue of a central RabbitMQ."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest

from bench.box import ROOT
from deploy.fleet.to_postgres import TOPICS, parser
from deploy.rabbitmq.definitions import CONSUMER, EXPIRES, definitions, main

SETTINGS = (ROOT / "deploy/rabbitmq/rabbitmq.conf").read_text(encoding="utf-8")


def test_the_queue_is_the_one_that_the_consumer_asks_for() -> None:
    """With another name or other arguments, RabbitMQ would drop messages or refuse the consumer."""
    made = definitions({"dashboard": "p"}, prefix="shops/north")
    (queue,) = made["queues"]
    client = parser().parse_args(["--broker", "mqtts://x"]).client_id
    assert queue["name"] == f"mqtt-subscription-{client}qos1"
    assert client == CONSUMER
    assert queue["arguments"] == {"x-expires": EXPIRES}
    assert f"mqtt.subscription_ttl = {EXPIRES}\n" in SETTINGS
    asked = {f"shops/north/{topic}".replace("/", ".").replace("+", "*") for topic in TOPICS}
    assert {one["routing_key"] for one in made["bindings"]} == asked


def test_a_site_writes_its_own_topics_and_a_reader_none() -> None:
    made = definitions({"dashboard": "p", "store (1)": "q"})
    reader, site = made["topic_permissions"]
    assert re.search(site["write"], "instore.store (1).door.all.counts")
    assert not re.search(site["write"], "instore.store (1)1.door.all.counts")
    assert not re.search(site["write"], "other.instore.store (1).door")
    assert not re.search(site["read"], "instore.store (1).door.status")
    assert not re.search(reader["write"], "instore.store (1).door.status")
    assert re.search(reader["read"], "instore.*.*.*.counts")


def test_a_name_that_would_be_two_levels_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "users").mkdir()
    (tmp_path / "users/store.1").write_text("p\n")
    assert main([str(tmp_path)]) == 2
    assert "'store.1': no name for RabbitMQ; allowed: names without '.'" in capsys.readouterr().err


def test_the_file_has_no_password_and_is_for_the_broker_alone(tmp_path: Path) -> None:
    (tmp_path / "users").mkdir()
    (tmp_path / "server.key").touch()
    (tmp_path / "users/store-001").write_text("secret-of-the-store\n")
    assert main([str(tmp_path)]) == 0
    file = tmp_path / "definitions.json"
    assert file.stat().st_mode & 0o137 == 0
    text = file.read_text()
    assert "secret-of-the-store" not in text
    salted = base64.b64decode(json.loads(text)["users"][0]["password_hash"])
    assert hashlib.sha256(salted[:4] + b"secret-of-the-store").digest() == salted[4:]
