"""Ten times the faces that the model can judge: crops are shed, visitors are not, and nothing grows."""

from __future__ import annotations

import gc
import json
import random
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.capture import LatestFrame, Shot
from edge.clock import SystemClock
from edge.config import CameraSettings, Settings, load_settings
from edge.daemon.queue import MessageQueue
from edge.daemon.runtime import Runtime
from edge.inference.fallback import ServingBackend
from edge.ops.memory import trim
from edge.types import Frame, Message
from edge.vision.pipeline import Vision, VisionResult
from tests.fakes import PaintedAges, Person, paint, painted_vision, seeing
from tests.mosquitto import free_port
from tests.patience import PATIENCE
from tests.samples import sample

PEOPLE = tuple(Person(tag=tag, age=30) for tag in range(1, 9))
QUEUE = 12


class Newest(LatestFrame):
    """A camera's slot that knows how far the camera is, so that slowness is measured in its pictures.

    fast: its analysis keeps up, on the slowest machine: the camera waits for it, until `ends` is set.
    """

    def __init__(self, ends: threading.Event, *, fast: bool) -> None:
        super().__init__()
        self._ends = ends
        self._fast = fast
        self.index = -1
        self._indices: dict[datetime, int] = {}

    def put(self, frame: Frame | Shot) -> bool:
        self.index += 1
        self._indices[frame.captured_at] = self.index
        if self._fast:
            return not self.put_when_taken(frame, self._ends)
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


def resident() -> int:
    """Bytes that are held: what other tests of this process left to be given back is given back before."""
    gc.collect()
    trim()
    return 4096 * int(Path("/proc/self/statm").read_text().split()[1])


class Queue(MessageQueue):
    """The queue, which notes how many crops wait at most, and that the last of them were shed."""

    def __init__(self, most_crops: int, shed_at_the_end: threading.Event) -> None:
        super().__init__(most_crops)
        self.most_waiting = 0
        self._shed = shed_at_the_end

    def put(self, message: Message, *, wait: bool = False) -> bool:
        taken = super().put(message, wait=wait)
        self.most_waiting = max(self.most_waiting, self.waiting_crops)
        return taken

    def shed(self) -> int:
        count = super().shed()
        self._shed.set()
        return count


class Load:
    """A daemon with two cameras on the same rush: one whose analysis keeps up, one whose does not.

    behind: how many pictures older than the camera's newest each picture is that the slow one analyses.
    memory: resident bytes early and late.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.behind: list[int] = []
        self.memory: list[int] = []
        self._stop, self._seen, shed = threading.Event(), threading.Event(), threading.Event()
        self._slots: list[Newest] = []
        self.model = SlowAges(lambda: self._slots[0], shed)
        self.queue = Queue(QUEUE, shed)
        parts = seeing(
            self._build_vision,
            serve=lambda *_, clock, rng, **__: ServingBackend(self.model, clock=clock, rng=rng),
            queue=lambda _: self.queue,
            slot=self._slot,
        )
        clock, rng = SystemClock(), random.Random(0)
        self._daemon = Runtime(self._settings(), beside=folder, clock=clock, rng=rng, parts=parts)

    def run(self) -> None:
        """Until the camera that keeps up has given eighty pictures."""
        thread = threading.Thread(target=self._daemon.run, args=(self._stop,))
        thread.start()
        assert self._seen.wait(PATIENCE)
        self._stop.set()
        thread.join(PATIENCE)
        assert not thread.is_alive()

    @property
    def visitors(self) -> int:
        """Visitors whom the camera that keeps up has seen."""
        return self._daemon.cameras[0].visitors

    def sample(self, name: str, **labels: str) -> float:
        found = sample(self._daemon.metrics, name, labels)
        assert found is not None, name
        return found

    def stored(self, camera: str) -> int:
        """The visitors of all its windows in the outbox."""
        with sqlite3.connect(self.folder / "state" / "outbox.db") as db:
            topic = f"%/{camera}/%/counts"
            rows = db.execute("SELECT payload FROM messages WHERE topic LIKE ?", (topic,)).fetchall()
        return sum(json.loads(payload)["released"] for (payload,) in rows)

    def _settings(self) -> Settings:
        source = {"source": str(write_rush(self.folder / "rush")), "loop": True, "max_fps": 10.0, "tile": 0}
        return load_settings(
            None,
            instead={
                "cameras": [{"name": name, **source} for name in ("rush", "slow")],
                "model": {"queue": QUEUE, "max_batch": 1},
                "tracking": {"lost_after": 0.4},
                "windows": {"length": 1},
                "privacy": {"minimum": 1},
                "metrics": {"port": 0},
                "outbox": {"directory": str(self.folder / "state")},
                "mqtt": {"port": free_port(), "drain_timeout": 0.1},
            },
        )

    def _slot(self) -> Newest:
        """The cameras' slots are made in the order of the cameras."""
        self._slots.append(Newest(self._stop, fast=not self._slots))
        return self._slots[-1]

    def _build_vision(self, camera: CameraSettings, *parts: Any, **shared: Any) -> Vision:
        made = painted_vision(camera, *parts, people=PEOPLE, **shared)
        slow = camera.name == "slow"
        slot, look = self._slots[slow], self._slowly if slow else self._note
        process = made.process

        def noted(frame: Frame) -> VisionResult:
            look(slot, slot.index_of(frame))
            return process(frame)

        made.process = noted  # type: ignore[method-assign]
        return made

    def _slowly(self, slot: Newest, index: int) -> None:
        self.behind.append(slot.index - index)
        slot.wait_for(index + 3, self._stop)

    def _note(self, _: Newest, index: int) -> None:
        if len(self.memory) < 2 and index >= (30, 80)[len(self.memory)]:
            self.memory.append(resident())
        if index > 80:
            self._seen.set()


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Load]:
    """The load after its end. The daemon sets what holds for the process; other tests need it as it was."""
    threads, interval = cv2.getNumThreads(), sys.getswitchinterval()
    ended = Load(tmp_path_factory.mktemp("load"))
    ended.run()
    yield ended
    cv2.setNumThreads(threads)
    sys.setswitchinterval(interval)


def test_it_is_a_load(load: Load) -> None:
    assert load.visitors >= 8 * 8
    assert load.visitors > 5 * len(load.model.batches)


def test_no_visitor_is_lost_though_few_are_classified(load: Load) -> None:
    assert load.stored("rush") == load.visitors


def test_crops_are_shed_and_counted(load: Load) -> None:
    assert load.queue.most_waiting <= QUEUE
    assert load.sample("instore_crops_dropped_total", reason="queue_full") > 20
    assert load.sample("instore_crops_dropped_total", reason="stopping") > 0


def test_a_camera_that_is_too_much_for_its_thread_shows_the_newest_frame(load: Load) -> None:
    assert load.sample("instore_frames_dropped_total", camera="slow", reason="overwritten") > 20
    assert sorted(load.behind)[len(load.behind) * 9 // 10] <= 1


def test_memory_stays_flat(load: Load) -> None:
    early, late = load.memory
    assert late - early < 5_000_000
