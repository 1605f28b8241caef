"""What is counted: the same by the daemon with its threads and by replay without, as many as there are."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from edge.commands.demo.scene import Scene, write_clip
from edge.release.messages import COUNTS, FLOW
from tests.daemon import Daemon
from tests.mosquitto import Mosquitto, Subscriber
from tests.patience import PATIENCE

CLIPS = Path(__file__).parents[3] / "shared" / "data" / "clips"
needs_recordings = pytest.mark.skipif(
    not CLIPS.is_dir(), reason=f"the recordings are not part of the project: {CLIPS} is not there"
)
START = datetime(2026, 1, 31, 8, tzinfo=UTC)


def replayed(
    clip: Path, *settings: str, beside: Sequence[Path] = (), schema: str = COUNTS
) -> list[dict[str, Any]]:
    """The messages of a schema that `instore-edge replay` prints of a clip, and of others beside it."""
    options = [f"--set={setting}" for setting in ("privacy.minimum=1", "windows.length=60", *settings)]
    command = [
        sys.executable,
        "-m",
        "edge",
        "replay",
        *map(str, (clip, *beside)),
        "--start",
        START.isoformat(),
        *options,
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE)
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    return [message for message in messages if message["schema"] == schema]


def counted_by_daemon(
    folder: Path, clip: Path, level: str = "all/counts", **camera: Any
) -> list[dict[str, Any]]:
    """What the daemon publishes on a topic of its camera before it ends by itself."""
    topic = f"instore/store/{clip.stem}/{level}"
    with Mosquitto(folder / "broker") as broker, Subscriber(broker, "instore/#") as subscriber:
        tables = {
            "cameras": [{"name": clip.stem, "source": str(clip), "pace": "full", "start": START, **camera}],
            "windows": {"length": 60},
            "privacy": {"minimum": 1},
            "metrics": {"port": 0},
            "outbox": {"directory": str(folder / "state")},
            "mqtt": {"host": broker.host, "port": broker.port},
        }
        with Daemon(folder, tables) as daemon:
            assert daemon.wait() == 0, daemon.log
        status = subscriber.wait_for_topic("instore/store/box/status", 2)
        said = json.loads(status[-1])
        assert (said["state"], said["model"]["commercial_use"]) == ("offline", "forbidden")
        return [json.loads(payload) for payload in subscriber.on(topic)]


def visitors(windows: list[dict[str, Any]]) -> int:
    return sum(window["released"] for window in windows)


def test_each_visitor_of_the_scene_is_counted_once(tmp_path: Path) -> None:
    clip = tmp_path / "scene.mp4"
    truth = write_clip(Scene(), clip)
    windows = replayed(clip)
    assert visitors(windows) == truth
    assert counted_by_daemon(tmp_path, clip) == windows


@needs_recordings
@pytest.mark.data
def test_zones_are_counted_the_same_by_the_daemon(tmp_path: Path) -> None:
    """Every number of the flow, as in `replay`."""
    clip, whole = CLIPS / "one-woman.gif", [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
    setting = f"cameras.one-woman.zones=[{{name='all of it', role='queue', polygon={whole}}}]"
    messages = [m for m in replayed(clip, setting, schema=FLOW) if m["camera"]]
    zone = {"name": "all of it", "role": "queue", "polygon": whole}
    assert counted_by_daemon(tmp_path, clip, "flow", zones=[zone]) == messages
    (day,) = (m for m in messages if m["period"] == "day")
    assert sum(day["zones"]["all of it"]["dwell"]["visits"]) == day["visits"] == 1


@needs_recordings
@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "truth"), [("corridor-three.gif", 3), ("one-woman.gif", 1), ("empty-room.mp4", 0)]
)
def test_recordings_are_counted_as_by_eye(tmp_path: Path, name: str, truth: int) -> None:
    windows = replayed(CLIPS / name)
    assert visitors(windows) == truth
    assert counted_by_daemon(tmp_path, CLIPS / name) == windows


FIELD = CLIPS.parent / "field"
COUNTED = {
    "one-woman--interlaced.mp4": 1,
    "one-woman--interlaced-mpeg2.ts": 1,
    "one-woman--ctl-prog25.mp4": 1,
    "corridor-three--interlaced.mp4": 3,
    "corridor-flagonly.mp4": 3,
    "prog_then_interlaced.h264": 1,
    "jumpfwd.ts": 4,
    "jumpback.ts": 4,
    "corrupt.ts": 1,
}
"""Recordings that went wrong somewhere in the field, and the visitors on them."""


@pytest.mark.data
@pytest.mark.skipif(not FIELD.is_dir(), reason=f"the recordings are not part of the project: {FIELD}")
def test_recordings_from_the_field_are_counted_as_by_eye() -> None:
    first, *beside = (FIELD / name for name in COUNTED)
    windows = replayed(first, beside=beside)
    totals = dict.fromkeys((Path(name).stem for name in COUNTED), 0)
    for window in windows:
        totals[window["camera"]] += window["released"]
    assert totals == {Path(name).stem: count for name, count in COUNTED.items()}
    (damaged,) = (w["coverage"] for w in windows if w["camera"] == "corrupt")
    assert damaged["frames_dropped"] == {"corrupt": 8}
    assert damaged["seconds"] == pytest.approx(1.83 - 0.08 * (8 + 3), abs=0.1)  # lost frames, and their gaps


@needs_recordings
@pytest.mark.data
def test_tiles_find_the_distant_faces_of_a_crowd(tmp_path: Path) -> None:
    with_tiles, without = replayed(CLIPS / "crowd.mp4"), replayed(CLIPS / "crowd.mp4", "cameras.crowd.tile=0")
    assert 6 <= visitors(with_tiles) <= 9  # by eye eight look towards the camera, two of them from the side
    assert visitors(without) < visitors(with_tiles)
    assert counted_by_daemon(tmp_path, CLIPS / "crowd.mp4") == with_tiles


@needs_recordings
@pytest.mark.data
@pytest.mark.parametrize(
    "options",
    [
        "",
        "detection.still_scan_every=0",
        "cameras.{}.decoder_threads=2",
        "model.threads=2",
        "model.max_batch=1",
        "model.precision=int8",
        "model.precision=int8 model.backend=openvino",
    ],
)
def test_what_is_there_for_speed_changes_no_count(options: str) -> None:
    names = ("corridor-three.gif", "one-woman.gif", "crowd.mp4")
    clip, *beside = (CLIPS / name for name in names)
    settings = {one.format(Path(name).stem) for name in names for one in options.split()}
    totals: dict[str, int] = {}
    for window in replayed(clip, *settings, beside=beside):
        totals[window["camera"]] = totals.get(window["camera"], 0) + window["released"]
    assert totals == {"corridor-three": 3, "one-woman": 1, "crowd": 7}
