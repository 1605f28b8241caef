"""Boxes, stores' brokers, bridges, a central broker that ends, consumer and PostgreSQL: all real, TLS."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from bench import fleet
from bench.servers import PostgreSQL, Server
from tests.patience import PATIENCE

RESTART = fleet.Plan(12, windows=4, kills=1, centre="mosquitto", crash=False)
KILL = fleet.Plan(12, windows=4, kills=1, centre="rabbitmq", crash=True)


def status_of_publishing(broker: Server, keys: Path, user: str, topic: str) -> int:
    password = (keys / "users" / user).read_text().strip()
    command = ["mosquitto_pub", "-h", "localhost", "-p", str(broker.port), "--cafile", str(keys / "ca.pem")]
    command += ["-u", user, "-P", password, "-q", "1", "-t", topic, "-m", "{}"]
    return subprocess.run(command, check=False, capture_output=True, timeout=PATIENCE).returncode


@pytest.mark.parametrize("plan", [RESTART, KILL], ids=["mosquitto restarts", "RabbitMQ is killed"])
def test_every_window_of_twelve_boxes_is_in_the_database_once(
    plan: fleet.Plan, postgresql: PostgreSQL, tmp_path: Path
) -> None:
    """`make fleet` does the same with 200."""
    with ExitStack() as stack:
        run = fleet.Run(stack, plan, tmp_path, postgresql)
        if plan.centre == "rabbitmq":  # tests/integration/test_broker.py has the rights at mosquitto
            for user, topic in (
                ("store-000", "instore/store-001/door/all/counts"),
                ("store-000", "other/store-000/door/all/counts"),
                ("dashboard", "instore/store-000/door/all/counts"),
            ):
                assert status_of_publishing(run.central, run.keys, user, topic) != 0
        found = run.measure(PATIENCE)
        assert run.faults() == []
    assert found["left"] == 0
    assert found["messages"] >= 3 * 12 * 4
    text = fleet.text({"taken_at": "", "commit": "", "cores": 2, "load": 1.0, "runs": [found]})
    assert "12, bridges" in text
    assert f"The central broker, {plan.centre}" in text
