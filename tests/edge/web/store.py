"""A history of some days of a small store, made by the gate from made-up windows, for tests of the page."""

from __future__ import annotations

import json
import math
import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from edge.config import Settings, load_settings
from edge.delivery.history import FILE, History, Recorder
from edge.delivery.outbox import Outbox
from edge.delivery.topics import Topics
from edge.release.gate import Gate
from edge.release.messages import Model, StatusEncoder
from edge.release.rule import Rule
from edge.types import CameraState, CameraStatus, Coverage, Passages, WindowCounts, ZoneCounts
from tests.fakes import ManualClock

QUARTER = timedelta(minutes=15)
SHARES = (2, 2, 6, 9, 7, 5, 3, 2)


def settings(folder: Path, *overrides: str, **tables: Any) -> Settings:
    """Two cameras, one with a door line; times of Paris, open from 8 to 20."""
    line = {"name": "door", "from": [0.2, 0.8], "to": [0.8, 0.8], "entrance": True}
    base = {
        "site": {"name": "store-7", "timezone": "Europe/Paris", "opening_hours": "mon-sun 08:00-20:00"},
        "box": "edge-1",
        "cameras": [
            {"name": "entrance", "source": "0", "lines": [line]},
            {"name": "till", "source": "1", "zone": "queue"},
        ],
        "windows": {"length": 900},
        "outbox": {"directory": str(folder)},
    }
    return load_settings(None, overrides, {**base, **tables})


class Store:
    """A gate with a history in `folder`; `open_until` lets the store's time pass."""

    def __init__(self, folder: Path, by: Settings, begin: datetime, *, seed: int = 1) -> None:
        self.settings, self.at = by, begin
        self.clock = ManualClock(begin)
        self.outbox = Outbox(folder / "outbox.db", 1_000_000, 1 << 30, self.clock, sync=False)
        self.history = History(folder / FILE, 4000, 1 << 30, self.clock)
        self.history._db.execute("PRAGMA synchronous = OFF")
        self.recorder = Recorder(self.outbox, self.history)
        self._rng = random.Random(seed)
        self._topics = Topics.of(by)
        rule = Rule.of(by, Model(name="painted", version="1"))
        self.gate = Gate(self.recorder, rule, self._topics, self._rng.randrange)
        self._statuses = StatusEncoder(by.site.name, by.box, "1")
        self.record(self._topics.box_status, self._statuses.box("online", begin))
        for camera in by.cameras:
            self.camera(camera.name, CameraState.UP)

    def record(self, topic: str, payload: bytes) -> None:
        self.recorder.record(retained={topic: payload})

    def camera(self, name: str, state: CameraState, reason: str = "") -> None:
        status = CameraStatus(name, state, self.at, reason)
        self.record(self._topics.camera_status(name), self._statuses.camera(status))

    def open_until(self, end: datetime) -> None:
        """Close the windows of every camera up to `end`."""
        while self.at < end:
            self.clock.advance(QUARTER.total_seconds())
            for camera in self.settings.cameras:
                self.gate.put(self._window(camera.name, camera.zone, bool(camera.lines)))
            self.at += QUARTER

    def close(self) -> None:
        self.history.close()
        self.outbox.close()

    def payloads(self) -> list[dict[str, Any]]:
        """Every message that left."""
        return [json.loads(row.payload) for row in self.outbox.pending(0, 1_000_000)]

    def _window(self, camera: str, zone: str, with_lines: bool) -> WindowCounts:
        hour = self.settings.site.time.local(self.at).hour
        busy = max(0.0, math.sin((hour - 7.5) / 13 * math.pi)) if 8 <= hour < 20 else 0.0
        shares = zip(self._brackets, SHARES, strict=True)
        visits = {bracket: self._poisson(busy * share * 0.35) for bracket, share in shares}
        total = sum(visits.values())
        watched = 300.0 if camera == "till" and hour == 12 else 900.0
        return WindowCounts(
            self.settings.site.name,
            camera,
            self.at,
            self.at + QUARTER,
            {zone: ZoneCounts(visits, self._poisson(busy))},
            Coverage(watched, 9000),
            lines={"door": Passages(total + 2, total + 1)} if with_lines else {},
        )

    @property
    def _brackets(self) -> tuple[str, ...]:
        return self.settings.windows.brackets

    def _poisson(self, mean: float) -> int:
        limit, n, product = math.exp(-mean), 0, self._rng.random()
        while product > limit:
            n, product = n + 1, product * self._rng.random()
        return n
