"""A restart in the middle of a window: the window goes on, and nothing is sent twice."""

from __future__ import annotations

import json
from pathlib import Path

from tests.daemon import Daemon
from tests.integration.scrape import ANALYSED, wait_for_metric
from tests.integration.series import check_series
from tests.mosquitto import Mosquitto, Subscriber, free_port
from tests.rtsp_server import RtspServer
from tests.scene_clips import write_scene

WINDOW = 10


def test_open_windows_outlive_a_restart(tmp_path: Path) -> None:
    clip = write_scene(tmp_path / "scene.avi", seconds=10, size=(320, 180))
    port = free_port()
    with (
        RtspServer({"stream": clip}) as camera,
        Mosquitto(tmp_path / "broker") as broker,
        Subscriber(broker, "instore/#") as subscriber,
    ):
        tables = {
            "cameras": [{"name": "door", "source": camera.url("stream"), "max_fps": 5.0}],
            "windows": {"length": WINDOW},
            "privacy": {"minimum": 1},
            "metrics": {"port": port},
            "outbox": {"directory": str(tmp_path / "state")},
            "mqtt": {"host": broker.host, "port": broker.port},
        }
        seen = 0
        for _ in range(2):
            with Daemon(tmp_path, tables) as daemon:
                daemon.wait_for_line(lambda line: "ready" in line)
                seen += int(wait_for_metric(port, ANALYSED, lambda count: count >= 12))
                assert daemon.stop() == 0
                assert "stored before" not in daemon.log
        with Daemon(tmp_path, tables) as daemon:
            daemon.wait_for_line(lambda line: "ready" in line)
            topic = "instore/store/door/all/counts"
            windows = [json.loads(p) for p in subscriber.on(topic)]
            while sum(w["coverage"]["frames_analysed"] for w in windows) < seen:
                windows = [json.loads(p) for p in subscriber.wait_for_topic(topic, len(windows) + 1)]
            assert "stored before" not in daemon.log
            daemon.stop()
    check_series(windows)
