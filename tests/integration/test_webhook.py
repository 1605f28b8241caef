"""A daemon without a broker delivers to its webhook, and shows how that goes."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.request import urlopen

from tests.daemon import Daemon
from tests.edge.delivery.webhook.hook_server import HookServer, Post
from tests.integration.scrape import metric, wait_for_metric
from tests.mosquitto import free_port
from tests.painted_daemon import write_crowd


def ends(posts: list[Post]) -> list[str]:
    """The ends of the door's windows that were accepted, in the order of their arrival."""
    payloads = [json.loads(post.body) for post in posts if post.status == 204]
    return [payload["end"] for payload in payloads if payload["schema"] == "instore.counts/2"]


def test_a_box_without_a_broker_delivers_to_its_webhook(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a secret of the box, long enough\n")
    port = free_port()
    configuration = {
        "cameras": [
            {"name": "door", "source": str(write_crowd(tmp_path / "crowd", 8)), "loop": True, "tile": 0}
        ],
        "windows": {"length": 1, "lateness": 0.5},
        "tracking": {"lost_after": 0.5},
        "privacy": {"minimum": 1},
        "metrics": {"port": port},
        "outbox": {"directory": str(tmp_path / "state")},
        "mqtt": {"enabled": False, "password_file": "is-not-read", "username": "nobody"},
    }
    with HookServer([503, 204, 413]) as server:
        configuration["webhook"] = {"url": server.url, "secret_file": "secret"}
        with Daemon(tmp_path, configuration, module="tests.painted_daemon") as daemon:
            server.wait_for(lambda posts: len(ends(posts)) >= 3)
            delivered = wait_for_metric(port, "instore_webhook_delivered_total", lambda value: value >= 3)
            failures = metric(port, 'instore_webhook_failures_total{reason="refused"}')
            rejected = metric(port, 'instore_webhook_failures_total{reason="rejected"}')
            with urlopen(f"http://127.0.0.1:{port}/healthz") as page:
                facts = json.load(page)
            assert daemon.stop() == 0
    assert (failures, rejected) == (1, 1)
    assert delivered >= 3
    assert facts["webhook_accepts"] is True
    assert ends(server.posts) == sorted(set(ends(server.posts)))
    assert "no broker" not in daemon.log, "the status line names the webhook alone"
    assert "broker not connected" not in daemon.log
    assert "a secret of the box" not in daemon.log
