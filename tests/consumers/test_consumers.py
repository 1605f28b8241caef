"""The consumers that we hand out, against a real broker: every window once, also over a restart."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from paho.mqtt.publish import multiple

from edge.release.messages import decode_counts
from tests.mosquitto import Mosquitto
from tests.patience import PATIENCE

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "consumers"
TOPIC = "instore/store-001/entrance/all/counts"


def message() -> dict[str, Any]:
    """The counts message that the README shows."""
    (block,) = re.findall(r"^```json\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    return json.loads(decode_counts(block.encode()).model_dump_json(by_alias=True))


def windows(*numbers: int) -> list[dict[str, Any]]:
    """Messages of different windows."""
    return [{**message(), "window_id": f"window-{number}", "sequence": number} for number in numbers]


def publish(broker: Mosquitto, rows: list[dict[str, Any]], **access: Any) -> None:
    multiple(
        [{"topic": TOPIC, "payload": json.dumps(row), "qos": 1} for row in rows],
        hostname=broker.host, port=broker.port, **access,
    )  # fmt: skip


def stored(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / "counts.db")) as db:
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'counts'").fetchone():
            return []
        return [name for (name,) in db.execute("SELECT window_id FROM counts ORDER BY window_id")]


def test_the_readme_shows_the_consumer_for_sqlite() -> None:
    consumer = (FOLDER / "to_sqlite.py").read_text(encoding="utf-8")
    assert f"```python\n{consumer}```" in (ROOT / "README.md").read_text(encoding="utf-8")


def wait_until_stored(folder: Path, count: int) -> None:
    until = time.monotonic() + PATIENCE
    while not (folder / "counts.db").exists() or len(stored(folder)) < count:
        assert time.monotonic() < until, "the consumer has not stored what was published"
        threading.Event().wait(0.05)


def test_sqlite_has_each_window_once_over_a_kill(tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "broker", extra=["log_type all"]) as broker:
        command = [sys.executable, str(FOLDER / "to_sqlite.py"), broker.host, str(broker.port)]
        with subprocess.Popen(command, cwd=tmp_path) as consumer:
            broker.wait_for_log(lambda line: "Sending SUBACK to to-sqlite" in line)
            publish(broker, windows(1, 1, 2))
            wait_until_stored(tmp_path, 2)
            consumer.kill()
        publish(broker, windows(2, 3))  # while it is away: the broker keeps them
        with subprocess.Popen(command, cwd=tmp_path) as consumer:
            wait_until_stored(tmp_path, 3)
            consumer.kill()
    assert stored(tmp_path) == ["window-1", "window-2", "window-3"]


def test_mosquitto_sub_reads_over_tls_with_a_password_from_a_file(tmp_path: Path) -> None:
    """As docs/integrations.md says: no password on the command line, where others can read it."""
    options = tmp_path / "config" / "mosquitto_sub"
    options.parent.mkdir()
    options.write_text("-u dashboard\n-P open sesame\n".replace("open sesame", "sesame"))
    users = {"dashboard": "sesame", "store-001": "box"}
    with Mosquitto(tmp_path / "broker", users=users, tls=True, extra=["log_type all"]) as broker:
        command = [
            *("mosquitto_sub", "-h", "localhost", "-p", str(broker.port), "--cafile", str(broker.ca_file)),
            *("-t", "instore/+/+/+/counts", "-q", "1", "-C", "1"),
        ]
        environment = {"XDG_CONFIG_HOME": str(options.parent), "PATH": "/usr/bin:/bin"}
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as reader:
            broker.wait_for_log(lambda line: "Sending SUBACK" in line)
            access = {
                "auth": {"username": "store-001", "password": "box"},
                "tls": {"ca_certs": str(broker.ca_file)},
            }
            publish(broker, windows(1), **access)
            printed, _ = reader.communicate(timeout=PATIENCE)
    assert json.loads(printed)["window_id"] == "window-1"


def test_telegrafs_configuration_names_fields_that_exist() -> None:
    """Telegraf itself is not run; this finds a field that was renamed."""
    text = (FOLDER / "telegraf.conf").read_text(encoding="utf-8")
    (consumer,) = tomllib.loads(text)["inputs"]["mqtt_consumer"]
    (parser,) = consumer["json_v2"]
    paths = [
        parser["timestamp_path"],
        *(part["path"] for kind in ("tag", "field", "object") for part in parser[kind]),
    ]
    assert len(paths) > 3
    assert [path for path in paths if not _has(message(), path.split("."))] == []


def _has(value: Any, keys: Sequence[str]) -> bool:
    """Whether the keys lead to something in the message."""
    for key in keys:
        if not isinstance(value, dict) or key not in value:
            return False
        value = value[key]
    return True


def test_the_flow_of_node_red_reads_our_topic_and_is_wired() -> None:
    """`make node-red` runs it."""
    nodes = {
        node["id"]: node for node in json.loads((FOLDER / "node-red-flow.json").read_text(encoding="utf-8"))
    }
    assert nodes["instore-in"]["topic"] == "instore/+/+/+/counts"
    assert nodes["instore-in"]["broker"] in nodes
    assert all(end in nodes for node in nodes.values() for wires in node.get("wires", []) for end in wires)
