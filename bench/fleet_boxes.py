"""Many boxes in one process: each has the real gate, outbox and publisher, and counts that are made up."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

from edge.brackets import DEFAULT_BRACKETS
from edge.clock import SystemClock
from edge.config import Settings, load_settings
from edge.delivery import Publisher, Topics
from edge.delivery.outbox import Outbox
from edge.release.gate import Gate
from edge.release.messages import Model, StatusEncoder
from edge.release.rule import Rule
from edge.types import CameraState, CameraStatus, Coverage, WindowCounts, ZoneCounts

START = datetime(2026, 1, 31, 9, tzinfo=UTC)
WINDOW = timedelta(minutes=5)
CAMERA = "door"


@dataclass(frozen=True, slots=True)
class Boxes:
    """Boxes first..last, each in a store of its own, that publish to a broker. windows: of each.

    keys: certificates and passwords. protocol: of MQTT, as `mqtt.protocol`.
    """

    first: int
    last: int
    port: int
    windows: int
    folder: Path
    keys: Path
    protocol: str


def site(number: int) -> str:
    """The name of a box's store."""
    return f"store-{number:03}"


def run(groups: Sequence[Boxes], line: Connection) -> None:
    """Fill the outboxes, send their (topic, window_id), wait for a word, publish until all is acknowledged.

    Sends the seconds of processor time that the publishing took.
    """
    with ExitStack() as stack:
        opened = [
            (number, boxes, stack.enter_context(closing(filled(number, boxes))))
            for boxes in groups
            for number in range(boxes.first, boxes.last + 1)
        ]
        line.send([(row.topic, row.key) for *_, outbox in opened for row in outbox.pending(0, 1 << 30)])
        line.recv()
        before, stop = os.times(), threading.Event()
        threads = [
            threading.Thread(target=publisher(number, boxes, outbox).run, args=(stop, lambda: None))
            for number, boxes, outbox in opened
        ]
        for thread in threads:
            thread.start()
        try:
            line.recv()
        finally:  # also where the other end has failed: this process ends then
            stop.set()
            for thread in threads:
                thread.join()
        after = os.times()
        left = sum(outbox.depth for *_, outbox in opened)
        line.send((after.user + after.system - before.user - before.system, left))


def settings_of(number: int, boxes: Boxes) -> Settings:
    """The configuration of one box."""
    return load_settings(
        None,
        instead={
            "site": site(number),
            "box": "box",
            "cameras": [{"name": CAMERA, "source": "rtsp://192.0.2.1/door"}],
            "mqtt": {
                "url": f"mqtts://localhost:{boxes.port}", "protocol": boxes.protocol, "drain_timeout": 60.0,
                "ca_file": str(boxes.keys / "ca.pem"),
                "username": site(number), "password_file": str(boxes.keys / "users" / site(number)),
            },
        },
    )  # fmt: skip


def filled(number: int, boxes: Boxes) -> Outbox:
    """The outbox of a box that counted for so many windows while the line was down."""
    settings, rng = settings_of(number, boxes), random.Random(number)
    # Every box has a disk of its own; here they would wait for each other's.
    outbox = Outbox(boxes.folder / f"box-{number}.db", 1_000_000, 1 << 30, sync=False)
    rule = Rule.of(settings, Model(name="painted", version="1"))
    gate = Gate(outbox, rule, Topics.of(settings), rng.randrange)
    for window in painted_windows(number, boxes.windows, rng):
        gate.put(window)
    return outbox


def painted_windows(number: int, windows: int, rng: random.Random) -> Sequence[WindowCounts]:
    """Consecutive windows of a camera with some visitors of every age."""
    return [
        WindowCounts(
            site(number), CAMERA, START + n * WINDOW, START + (n + 1) * WINDOW,
            {"all": ZoneCounts({cell: rng.randrange(3) for cell in DEFAULT_BRACKETS}, rng.randrange(2))},
            Coverage(seconds=WINDOW.total_seconds(), analysed=3000),
        )
        for n in range(windows)
    ]  # fmt: skip


def publisher(number: int, boxes: Boxes, outbox: Outbox) -> Publisher:
    """The real publisher of a box."""
    settings, clock = settings_of(number, boxes), SystemClock()
    made = Publisher(
        settings.mqtt, settings.site.name, settings.box,
        store=outbox, statuses=StatusEncoder(settings.site.name, settings.box, "bench"), clock=clock,
        rng=random.Random(number), secrets_beside=boxes.folder,
    )  # fmt: skip
    made.camera_status(CameraStatus(CAMERA, CameraState.UP, clock.now()))
    return made
