"""Ten times the faces that the model can judge: crops are shed, visitors are not, and nothing grows."""

from __future__ import annotations

import json
import random
import sqlite3
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge import runtime as runtimes
from edge.clock import SystemClock
from edge.config import load_settings
from edge.inference.serving import ServingBackend
from edge.runtime import Runtime
from edge.types import Frame
from tests.fakes import PaintedAges, Person, paint, painted_vision
from tests.mosquitto import free_port

PEOPLE = tuple(Person(tag=tag, age=30) for tag in range(1, 9))
CROPS_A_SECOND = 1.25
QUEUE = 12


class SlowAges(PaintedAges):
    """A model on a machine that judges one crop in 0.8 s."""

    def infer(self, batch: np.ndarray) -> np.ndarray:
        threading.Event().wait(1 / CROPS_A_SECOND)
        return super().infer(batch)


def write_rush(folder: Path) -> Path:
    """One second, again and again: eight visitors at once for half of it, then nobody."""
    folder.mkdir()
    for number in range(10):
        picture = np.full((120, 200, 3), 90 + number % 3, np.uint8)
        for place, person in enumerate(PEOPLE if number < 5 else ()):
            paint(picture, person, 30 + 45 * (place % 4), 32 + 56 * (place // 4), 36)
        cv2.imwrite(str(folder / f"{number}.png"), picture)
    return folder


def stored(folder: Path, camera: str) -> int:
    """The visitors of all its windows in the outbox."""
    with sqlite3.connect(folder / "state" / "outbox.db") as db:
        rows = db.execute("SELECT payload FROM windows WHERE camera = ?", (camera,)).fetchall()
    return sum(json.loads(payload)["total"] for (payload,) in rows)


def resident() -> int:
    return 4096 * int(Path("/proc/self/statm").read_text().split()[1])


@pytest.mark.timeout(60)
def test_crops_are_shed_before_visitors_the_newest_frame_wins_and_memory_is_flat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lags: list[float] = []
    seen = threading.Event()
    memory: list[int] = []

    def vision(camera: Any, *parts: Any, **shared: Any) -> Any:
        made = painted_vision(camera, *parts, people=PEOPLE, **shared)
        process: Callable[[Frame], Any] = made.process

        def slowly(frame: Frame) -> Any:
            lags.append((SystemClock().now() - frame.captured_at).total_seconds())
            threading.Event().wait(0.3)  # three pictures come in this time
            return process(frame)

        def noting(frame: Frame) -> Any:
            if frame.index in (30, 80):
                memory.append(resident())
            if frame.index > 80:
                seen.set()
            return process(frame)

        monkeypatch.setattr(made, "process", slowly if camera.name == "slow" else noting)
        return made

    monkeypatch.setattr(runtimes, "build_vision", vision)
    slow = SlowAges(max_batch=1)
    monkeypatch.setattr(
        runtimes, "serve", lambda *_, clock, rng, **__: ServingBackend(slow, None, clock=clock, rng=rng)
    )
    source = {"source": str(write_rush(tmp_path / "rush")), "loop": True, "max_fps": 10.0, "tile": 0}
    options = load_settings(
        None,
        instead={
            "cameras": [{"name": name, **source} for name in ("rush", "slow")],
            "model": {"queue": QUEUE, "max_batch": 1},
            "tracking": {"lost_after": 0.4},
            "windows": {"length": 1},
            "privacy": {"minimum": 1},
            "metrics": {"port": 0},
            "outbox": {"directory": str(tmp_path / "state")},
            "mqtt": {"port": free_port(), "drain_timeout": 0.1},
        },
    )
    daemon = Runtime(options, beside=tmp_path, clock=SystemClock(), rng=random.Random(0))
    stop = threading.Event()
    sample = partial(daemon._metrics.registry.get_sample_value)
    thread = threading.Thread(target=daemon.run, args=(stop,))
    thread.start()
    assert seen.wait(40)
    waiting = daemon._queue._crops
    stop.set()
    thread.join(10)
    assert not thread.is_alive()

    rush = daemon.lanes[0]
    judged = len(slow.batches)
    offered = rush.visitors
    assert offered >= 8 * 8
    assert offered > 5 * judged  # that is the load
    assert stored(tmp_path, "rush") == offered  # every one of them, though few are judged
    assert waiting <= QUEUE
    assert sample("instore_crops_dropped_total", {"reason": "queue_full"}) > 20
    assert sample("instore_crops_dropped_total", {"reason": "stopping"}) > 0
    # The slow camera sees the present: what it had no time for is gone, and counted.
    assert sample("instore_frames_dropped_total", {"camera": "slow", "reason": "overwritten"}) > 20
    assert sorted(lags)[len(lags) * 9 // 10] < 0.5
    assert memory[1] - memory[0] < 5_000_000
