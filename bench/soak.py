"""Simulate hours of a store in minutes with random faults, and check every window and every loss.

    painted visitors ──► Vision ──► CountingWorker ──► Outbox (a file) ──► Publisher ──► a line that fails
                                                                                              │
    ledger: ended by Vision = delivered + lost by a kill + refused       consumer: upsert ◄───┘

It has one thread and a manual clock, so a seed gives the same run every time, as fast as the machine can. The
stages are the daemon's own; pictures, time, network, and the faults of cameras, disk, broker, clock and
process are simulated. `python -m bench.soak --hours 24 --seed 7`
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from bench.painted import ManualClock, PaintedAges, Person, bundle, paint, painted_vision
from bench.resident import resident_mb
from edge.config import Settings, load_settings
from edge.counting.pipeline import build_counting, counting_plan
from edge.daemon.counting_thread import CHECKPOINT, CountingWorker
from edge.daemon.queue import MessageQueue
from edge.delivery import Publisher, Topics
from edge.delivery.connection import DeliveryError, Limits
from edge.delivery.outbox import Outbox
from edge.errors import OutsideError
from edge.ops.metrics import Metrics
from edge.ops.reasons import MqttFailure
from edge.ops.terminal import progress_bars
from edge.release.gate import Gate, Store
from edge.release.messages import Model, StatusEncoder
from edge.release.rows import counts_key
from edge.release.rule import Rule
from edge.types import (
    CameraState,
    CameraStatus,
    Frame,
    Message,
    Progress,
    StreamEnded,
    TrackEnded,
    WindowCounts,
)
from edge.vision.pipeline import Vision

FPS = 5
CAMERAS = ("door", "till")
PEOPLE = tuple(Person(tag=tag, age=10 * tag) for tag in range(1, 8))
BRACKETS = (["0-17", "18-44", "45+"], ["0-29", "30+"])
START = datetime(2026, 1, 31, 8, tzinfo=UTC)
SEND_EVERY = 5.0
"""Seconds between two sendings; each ends when every message is acknowledged, or at its time limit."""

SENDING = 6.0
"""Seconds of the store's time that a sending may take; nothing is counted meanwhile."""

RATES = {
    # By fault: mean seconds between two of them, and the longest duration in seconds.
    "camera": (120, 90.0),
    "disk": (600, 120.0),
    "broker": (300, 600.0),
    "kill": (420, 0.0),
    "stop": (900, 0.0),
    "clock": (900, 0.0),
    "reload": (600, 0.0),
}
JUMPS = (0.4, -0.4, 2.0, -2.0, 40.0, -40.0, -300.0, 3600.0, -7200.0)
"""Seconds by which a fault sets the clock."""


class FaultyOutbox(Outbox):
    """The outbox on a disk that fails while `refuses` is set."""

    refuses = False

    @contextmanager
    def disk(self) -> Iterator[None]:
        if self.refuses:
            raise OutsideError("outbox: the disk failed")
        with super().disk():
            yield


class Broker:
    """The messages that arrived over all connections; `down` until a moment of the clock."""

    def __init__(self, rng: random.Random, clock: ManualClock) -> None:
        self.rng = rng
        self.clock = clock
        self.down_until = 0.0
        self.counts: list[dict[str, Any]] = []

    def connect(self, *_: object) -> Line:
        return Line(self)

    @property
    def down(self) -> bool:
        return self.clock.monotonic() < self.down_until

    def hear(self, topic: str, payload: bytes) -> None:
        if topic.endswith("/counts"):
            self.counts.append(json.loads(payload))


class Line:
    """A fake `Connection` that loses messages, acknowledgements, and the connection."""

    in_flight = 20
    limits = Limits()
    may_retain = True

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._acknowledged: list[tuple[int, Any]] = []
        self._last = 0

    def open(self, within: float) -> None:
        if self._broker.down:
            self._broker.clock.advance(min(within, 0.2))
            raise DeliveryError(MqttFailure.UNREACHABLE, "the broker is down")

    def fits(self, topic: str, payload: bytes) -> bool:
        return True

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> int:
        fate = self._broker.rng.random()
        if self._broker.down or fate < 0.01:
            raise DeliveryError(MqttFailure.LOST, "the line broke before the message")
        self._broker.hear(topic, payload)
        if fate < 0.02:
            raise DeliveryError(MqttFailure.LOST, "the line broke before the acknowledgement")
        self._last += 1
        self._acknowledged.append((self._last, _Success()))
        return self._last

    def poll(self, timeout: float) -> list[tuple[int, Any]]:
        self._broker.clock.advance(timeout)
        acknowledged, self._acknowledged = self._acknowledged, []
        return acknowledged

    def close(self) -> None:
        """Nothing is held."""

    cut = close


class _Success:
    is_failure = False
    value = 0


class Camera:
    """Visitors one after the other, each in view for a few seconds, alone or two at a time."""

    def __init__(self, name: str, rng: random.Random) -> None:
        self.name = name
        self.down_until = 0.0
        self.frames = 0
        self._rng = rng
        self._people: list[tuple[Person, float, int]] = []
        self._next = 0.0

    def frame(self, now: datetime, moment: float) -> Frame:
        """The picture of this moment (monotonic seconds)."""
        self._people = [seen for seen in self._people if seen[1] > moment]
        if moment >= self._next and len(self._people) < 2:
            place = 1 - self._people[0][2] if self._people else self._rng.randrange(2)
            taken = {person.tag for person, _, _ in self._people}
            person = self._rng.choice([person for person in PEOPLE if person.tag not in taken])
            self._people.append((person, moment + self._rng.uniform(1.0, 6.0), place))
            self._next = moment + self._rng.expovariate(1 / 6.0)
        self.frames += 1
        image = np.full((48, 80, 3), 90 + self.frames % 3, np.uint8)
        for person, _, place in self._people:
            paint(image, person, 20 + 40 * place, 24, 24)
        return Frame(self.name, now, image)


class Ledger:
    """The expected result, updated during the run."""

    def __init__(self) -> None:
        self.ended = 0
        self.kept: dict[str, int] = {}
        self.open: dict[str, int] = {}
        self.kept_at = 0.0
        self.refused = 0
        self.lost = 0
        self.faults: Counter[str] = Counter()
        self.recent: list[float] = []

    def persisted(self) -> int:
        """Visitors in stored windows and in the last checkpoint."""
        return sum(self.kept.values()) + sum(self.open.values())


def _id(window: WindowCounts) -> str:
    return counts_key(window.site, window.camera_id, next(iter(window.zones)), window.start, window.end)


class NotedGate(Gate):
    """The gate, which records the stored windows in the ledger."""

    def __init__(self, store: Store, rule: Rule, topics: Topics, ledger: Ledger, clock: ManualClock) -> None:
        super().__init__(store, rule, topics)
        self._ledger = ledger
        self._clock = clock

    def put(self, window: WindowCounts) -> bool:
        ledger, name = self._ledger, _id(window)
        stored = super().put(window)
        if stored:
            ledger.kept[name] = window.total
        else:
            ledger.refused += window.total  # a window of the same name was stored while the clock was wrong
        ledger.open.pop(name, None)
        return stored

    def keep_open(self, windows: Iterable[WindowCounts]) -> None:
        windows = list(windows)
        super().keep_open(windows)
        self._ledger.open = {_id(window): window.total for window in windows}
        self._ledger.kept_at = self._clock.monotonic()


class Run:
    """Successive processes of the daemon on one state directory."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.rng = random.Random(seed)
        self.clock = ManualClock(START)
        self.folder = folder
        self.ledger = Ledger()
        self.broker = Broker(self.rng, self.clock)
        self.cameras = [Camera(name, random.Random(f"{seed} {name}")) for name in CAMERAS]
        self.settings = self._settings()
        self.disk_until = 0.0
        self._start()

    def _settings(self) -> Settings:
        cameras = [
            {
                "name": name,
                "source": f"rtsp://192.0.2.1/{name}",
                "tile": 0,
                "zone": self.rng.choice(["all", "hall"]),
            }
            for name in CAMERAS
        ]
        return load_settings(
            None,
            instead={
                "cameras": cameras,
                "windows": {"length": 60, "brackets": self.rng.choice(BRACKETS)},
                "privacy": {"minimum": 1},
                "mqtt": {"drain_timeout": 2.0},
            },
        )

    def _start(self) -> None:
        settings, clock = self.settings, self.clock
        metrics = Metrics(clock, CAMERAS)
        self.queue = MessageQueue(10_000)
        # The power cuts are simulated, so there is no need to wait for the real disk.
        self.outbox = FaultyOutbox(self.folder / "outbox.db", 1_000_000, 1 << 30, clock, sync=False)
        self.visions: dict[str, Vision] = {
            camera.name: painted_vision(camera, settings, bundle(), metrics, people=PEOPLE)
            for camera in settings.cameras
        }
        topics = Topics.of(settings)
        rule = Rule.of(settings, Model(name="painted", version="1"))
        gate = NotedGate(self.outbox, rule, topics, self.ledger, clock)
        self.worker = CountingWorker(
            partial(build_counting, settings, bundle(), PaintedAges(), metrics),
            self.queue,
            gate,
            settings.cameras,
            metrics=metrics,
            clock=clock,
        )
        self.worker.resume()
        self.ledger.kept_at = clock.monotonic()  # the state on disk is that of now
        self.publisher = Publisher(
            settings.mqtt,
            settings.site.name,
            settings.box,
            store=self.outbox,
            statuses=StatusEncoder(settings.site.name, settings.box, "soak"),
            clock=clock,
            rng=self.rng,
            secrets_beside=self.folder,
            connect=self.broker.connect,  # type: ignore[arg-type]
        )
        for name in CAMERAS:
            self.publisher.camera_status(CameraStatus(name, CameraState.UP, clock.now()))

    def second(self) -> None:
        """Simulate one second."""
        for _ in range(FPS):
            self.clock.advance(1 / FPS)
            now, moment = self.clock.now(), self.clock.monotonic()
            for camera in self.cameras:
                if moment >= camera.down_until:
                    frame = camera.frame(now, moment)
                    seen = self.visions[camera.name].process(frame).messages
                    self._tell([*seen, Progress(camera.name, now, 1)])
        now, moment = self.clock.now(), self.clock.monotonic()
        for camera in self.cameras:
            if moment < camera.down_until:
                gone = self.visions[camera.name].pass_time(now).messages
                self._tell([*gone, Progress(camera.name, now, state=CameraState.DOWN)])
        self.outbox.refuses = moment < self.disk_until

    def send(self, seconds: float = 2.0) -> None:
        """Let the publisher send the waiting messages for at most so many seconds."""
        stop = threading.Event()
        stop.set()
        self.publisher.run(stop, drain_within=seconds)

    def _tell(self, messages: Sequence[Message]) -> None:
        for message in messages:
            if isinstance(message, TrackEnded):
                self.ledger.ended += 1
                self.ledger.recent.append(self.clock.monotonic())
            self.queue.put(message)
            self.worker.step()

    def fault(self, kind: str, longest: float) -> None:
        """Cause a fault of this kind, of at most `longest` seconds."""
        self.ledger.faults[kind] += 1
        until = self.clock.monotonic() + self.rng.uniform(0.5, 1.0) ** 3 * longest
        match kind:
            case "camera":
                self.rng.choice(self.cameras).down_until = until
            case "disk":
                self.disk_until = until
            case "broker":
                self.broker.down_until = until
            case "clock":
                self.clock.jump(self.rng.choice(JUMPS))
            case "reload":
                self.settings = self._settings()
                self.queue.put(counting_plan(self.settings))
                self.worker.step()
            case "kill":
                self._kill()
            case _:
                self._stop()
                self._start()

    def _kill(self) -> None:
        """Lose everything in memory; the disk stays as it is."""
        self.outbox.close()
        ledger, now = self.ledger, self.clock.monotonic()
        lost = ledger.ended - ledger.persisted() - ledger.refused - ledger.lost
        if not self.worker.unstored and self.disk_until < now - CHECKPOINT - SENDING:
            assert now - ledger.kept_at <= CHECKPOINT + SENDING, "the last checkpoint is too old"
            # A visitor who ended just before it may still have waited for a batch.
            counted = sum(moment > ledger.kept_at - SENDING for moment in ledger.recent)
            assert 0 <= lost <= counted, f"a kill lost {lost} visitors; {counted} ended since the checkpoint"
        ledger.lost += lost
        ledger.recent.clear()
        self._start()

    def _stop(self) -> None:
        self.outbox.refuses = False
        for name, vision in self.visions.items():
            self._tell([*vision.finish(), Progress(name, self.clock.now())])
        self.worker.end()
        self.outbox.close()

    def finish(self) -> dict[str, Any]:
        """Close every window, send everything, and compare the result with the ledger."""
        self.broker.down_until = self.disk_until = 0.0
        self.outbox.refuses = False
        for name, vision in self.visions.items():
            self._tell([*vision.finish(), StreamEnded(name, self.clock.now())])
        self.worker.end()
        while self.outbox.depth:
            self.send(60.0)
        self.outbox.close()
        return check(self)


def check(run: Run) -> dict[str, Any]:
    """Check the guarantees of docs/delivery.md on what was delivered; AssertionError names a broken one."""
    delivered, ledger = run.broker.counts, run.ledger
    upserted: dict[str, dict[str, Any]] = {}
    for window in delivered:
        first = upserted.setdefault(window["window_id"], window)
        assert first == window, f"one window with two contents: {first} {window}"
    places = {(window["camera"], window["zone"]) for window in upserted.values()}
    for place in places:
        of_zone = [window for window in upserted.values() if (window["camera"], window["zone"]) == place]
        sequences = [window["sequence"] for window in of_zone]
        assert sequences == list(range(1, len(of_zone) + 1)), "a gap, or out of order"
    for camera in CAMERAS:
        windows = [window for window in upserted.values() if window["camera"] == camera]
        spans = sorted((window["start"], window["end"], window["zone"]) for window in windows)
        assert all(a[1] <= b[0] or a[2] != b[2] for a, b in pairwise(spans)), "windows overlap"
    total = sum(window["released"] for window in upserted.values())
    assert set(upserted) == set(ledger.kept), "the stored and the delivered windows differ"
    assert total + ledger.lost + ledger.refused == ledger.ended, (
        f"{ledger.ended} visitors ended, {total} delivered, {ledger.lost} lost, {ledger.refused} refused"
    )
    return {
        "visitors": ledger.ended,
        "delivered": total,
        "lost_by_kills": ledger.lost,
        "refused": ledger.refused,
        "windows": len(upserted),
        "messages": len(delivered),
        "faults": dict(sorted(ledger.faults.items())),
        "frames": sum(camera.frames for camera in run.cameras),
    }


def soak(hours: float, seed: int, advance: Callable[[float], None] = lambda seconds: None) -> dict[str, Any]:
    """Simulate so many hours of a store; the result. Raises AssertionError where a guarantee is broken."""
    began, seconds = time.monotonic(), round(3600 * hours)
    grown: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder), seed)
        for second in range(seconds):
            run.second()
            for kind, (every, longest) in RATES.items():
                if run.rng.random() < 1 / every:
                    run.fault(kind, longest)
            if second % SEND_EVERY == 0:
                run.send()
            if second in (seconds // 4, seconds - 1):
                grown.append(resident_mb())
            advance(second + 1.0)
        report = run.finish()
    took = time.monotonic() - began
    return {"seed": seed, "hours": hours, "times_real_speed": round(seconds / took), **report,
            "resident_growth_mb": round(grown[-1] - grown[0], 1)}  # fmt: skip


def main(arguments: Collection[str] | None = None) -> int:
    """The command; status 1 where a guarantee was broken."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=float, default=8.0, help="simulated hours (default: 8)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the simulation (default: 1)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    options = parser.parse_args(list(arguments) if arguments is not None else None)
    logging.disable(logging.CRITICAL)  # thousands of lines about intended faults
    try:
        seconds = 3600 * options.hours
        with progress_bars("s") as progress:
            report = soak(options.hours, options.seed, lambda done: progress("soak", done, seconds))
    except AssertionError as error:
        print(f"seed {options.seed}: {error}", file=sys.stderr)
        return 1
    finally:
        logging.disable(logging.NOTSET)
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        for name, value in report.items():
            print(f"{name.replace('_', ' '):24}{value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
