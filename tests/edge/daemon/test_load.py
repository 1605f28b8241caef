"""Ten times the faces that the model can judge: crops are shed, visitors are not, and nothing grows."""

from __future__ import annotations

import gc
import json
import random
import sqlite3
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.capture import LatestFrame
from edge.clock import SystemClock
from edge.config import load_settings
from edge.daemon import runtime as runtimes
from edge.daemon import vision_thread as workers
from edge.daemon.queue import MessageQueue
from edge.daemon.runtime import Runtime
from edge.inference.fallback import ServingBackend
from edge.ops.memory import trim
from edge.types import Frame
from tests.fakes import PaintedAges, Person, paint, painted_vision
from tests.mosquitto import free_port
from tests.patience import PATIENCE

PEOPLE = tuple(Person(tag=tag, age=30) for tag in range(1, 9))
QUEUE = 12


class Newest(LatestFrame):
    """A camera's slot that tells how far the camera is, so that slowness is measured in its pictures.

    fast: its analysis keeps up, on the slowest machine: the camera waits for it.
    """

    fast = False
    ends: threading.Event

    def __init__(self) -> None:
        super().__init__()
        self.index = -1
        self._indices: dict[datetime, int] = {}

    def put(self, frame: Frame) -> bool:
        self.index += 1
        self._indices[frame.captured_at] = self.index
        if self.fast:
            return not self.put_when_taken(frame, self.ends)
        return super().put(frame)

    def index_of(self, frame: Frame) -> int:
        """How many pictures the camera had given before this one."""
        return self._indices[frame.captured_at]

    def wait_for(self, index: int, stop: threading.Event) -> None:
        """Until the camera has given this picture, or all ends."""
        while self.index < index and not stop.wait(0.01):
            pass


class SlowAges(PaintedAges):
    """A model on a machine that judges one crop while its camera gives ten pictures, until `relieved`."""

    def __init__(self, slot: Callable[[], Newest], relieved: threading.Event) -> None:
        super().__init__(max_batch=1)
        self._slot = slot
        self._relieved = relieved

    def infer(self, batch: np.ndarray) -> np.ndarray:
        slot = self._slot()
        slot.wait_for(slot.index + 10, self._relieved)
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
    """Bytes that are held: what other tests of this process left to be given back is given back before."""
    gc.collect()
    trim()
    return 4096 * int(Path("/proc/self/statm").read_text().split()[1])


def test_crops_are_shed_before_visitors_the_newest_frame_wins_and_memory_is_flat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind: list[int] = []
    stop, seen, shed = threading.Event(), threading.Event(), threading.Event()
    memory: list[int] = []

    def vision(camera: Any, *parts: Any, **shared: Any) -> Any:
        made = painted_vision(camera, *parts, people=PEOPLE, **shared)
        slot = slots[camera.name]
        process: Callable[[Frame], Any] = made.process

        def slowly(frame: Frame) -> Any:
            behind.append(slot.index - slot.index_of(frame))
            slot.wait_for(slot.index_of(frame) + 3, stop)
            return process(frame)

        def noting(frame: Frame) -> Any:
            if len(memory) < 2 and slot.index_of(frame) >= (30, 80)[len(memory)]:
                memory.append(resident())
            if slot.index_of(frame) > 80:
                seen.set()
            return process(frame)

        monkeypatch.setattr(made, "process", slowly if camera.name == "slow" else noting)
        return made

    monkeypatch.setattr(Newest, "ends", stop, raising=False)
    monkeypatch.setattr(workers, "LatestFrame", Newest)
    monkeypatch.setattr(runtimes, "build_vision", vision)
    slow = SlowAges(lambda: slots["rush"], shed)

    def shed_and_tell(queue: MessageQueue) -> int:
        count = shed_all(queue)
        shed.set()
        return count

    shed_all = MessageQueue.shed
    monkeypatch.setattr(MessageQueue, "shed", shed_and_tell)
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
    slots: dict[str, Any] = {lane.name: lane.slot for lane in daemon.lanes}
    slots["rush"].fast = True

    def sample(name: str, labels: dict[str, str]) -> float:
        found = daemon._metrics.registry.get_sample_value(name, labels)
        assert found is not None
        return found

    thread = threading.Thread(target=daemon.run, args=(stop,))
    thread.start()
    assert seen.wait(PATIENCE)
    waiting = daemon._queue._crops
    stop.set()
    thread.join(PATIENCE)
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
    assert sorted(behind)[len(behind) * 9 // 10] <= 1
    assert memory[1] - memory[0] < 5_000_000
