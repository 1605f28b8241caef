"""Golden cases: from painted pictures to the bytes that would leave the box.

A case is a folder of tests/golden: `config.toml` says in words what is expected and why, `input.jsonl` is
what happens, `expected.jsonl` has one counts message a line. `pytest --update-golden` writes the last one
anew; then the difference wants a review. Times of the input are seconds since its `start`; its lines are

    {"start": "2026-01-31T08:00:00Z"}
    {"camera": "door", "from": 0, "to": 60, "fps": 5}              frames at 0 s up to but not at 60 s
    {"camera": "door", "from": 60, "to": 90, "state": "down"}      no frames, but time passes
    {"camera": "door", "visitor": 1, "age": 34, "path": [[2, 40, 90, 40], [8, 280, 90, 40]]}

A path is [time, x, y, size of the face] at which the visitor is, straight lines between, both ends included.
`score` and `second` of a visitor are what the detector and the second opinion give: 0.9 unless they are said.
With `"turned": true` their head points to the picture's right.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from edge.config import Settings, load_settings
from edge.counting.pipeline import build_counting
from edge.delivery import Topics
from edge.ops.metrics import Metrics
from edge.release.gate import Gate, MemoryStore
from edge.release.messages import MODELS, schema
from edge.release.rule import Rule
from edge.types import CameraState, Frame, Message, Progress, StreamEnded
from tests.fakes import ManualClock, PaintedAges, Person, bundle, paint, painted_vision
from tests.gates import MODEL

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(path.name for path in GOLDEN.iterdir() if path.is_dir())


class Camera:
    """One camera of a case: when it gives frames, and who is to be seen on them."""

    def __init__(self, lines: list[dict[str, Any]], start: datetime) -> None:
        self._start = start
        self._stretches = [line for line in lines if "from" in line]
        self._paths = {_person(line): np.array(line["path"], float) for line in lines if "visitor" in line}
        self.people = list(self._paths)

    def moments(self) -> Iterator[tuple[float, CameraState]]:
        """Seconds at which something happens: a frame or, once a second, none."""
        for stretch in self._stretches:
            state = CameraState(stretch.get("state", "up"))
            fps = 1 if state is CameraState.DOWN else stretch["fps"]
            for number in range(round((stretch["to"] - stretch["from"]) * fps)):
                yield stretch["from"] + number / fps, state

    def at(self, seconds: float) -> datetime:
        return self._start + timedelta(seconds=seconds)

    def frame(self, name: str, seconds: float, state: CameraState) -> Frame:
        image = np.zeros((180, 320, 3), np.uint8)
        for person, path in self._paths.items():
            if path[0, 0] <= seconds <= path[-1, 0]:
                x, y, size = (np.interp(seconds, path[:, 0], path[:, n]) for n in (1, 2, 3))
                paint(image, person, x, y, size)
        return Frame(name, self.at(seconds), image, state)


def _person(line: dict[str, Any]) -> Person:
    turned = line.get("turned", False)
    return Person(line["visitor"], line["age"], line.get("score", 0.9), line.get("second", 0.9), turned)


def messages_of(case: Path) -> list[bytes]:
    """What the case gives: all stages but capture and delivery."""
    settings = load_settings(case / "config.toml")
    lines = [json.loads(line) for line in (case / "input.jsonl").read_text().splitlines()]
    start = datetime.fromisoformat(lines.pop(0)["start"])
    cameras = {
        c.name: Camera([line for line in lines if line["camera"] == c.name], start) for c in settings.cameras
    }
    metrics = Metrics(ManualClock(), cameras)
    counting = build_counting(settings, bundle(), PaintedAges(), metrics)
    store = MemoryStore()
    topics = Topics.of(settings)
    gate = Gate(store, Rule.of(settings, MODEL), topics, random.Random(1).randrange)
    windows = [
        window
        for seconds, message in _play(cameras, settings, metrics)
        for window in counting.handle(message, seconds)
    ]
    for window in [*windows, *counting.flush()]:
        gate.put(window)
    return store.take()


def _play(
    cameras: dict[str, Camera], settings: Settings, metrics: Metrics
) -> Iterator[tuple[float, Message]]:
    """All messages of the cameras' visions in the order of time."""
    visions = {
        c.name: painted_vision(c, settings, bundle(), metrics, people=cameras[c.name].people)
        for c in settings.cameras
    }
    moments = sorted((t, name, state) for name, camera in cameras.items() for t, state in camera.moments())
    for seconds, name, state in moments:
        camera, vision = cameras[name], visions[name]
        down = state is CameraState.DOWN
        at = camera.at(seconds)
        result = vision.pass_time(at) if down else vision.process(camera.frame(name, seconds, state))
        for message in (*result.messages, Progress(name, at, 0 if down else 1, {}, state)):
            yield seconds, message
    last = {name: seconds for seconds, name, _ in moments}
    for name, seconds in last.items():
        for message in (*visions[name].finish(), StreamEnded(name, cameras[name].at(seconds))):
            yield seconds, message


@pytest.mark.parametrize("case", CASES)
def test_case(case: str, request: pytest.FixtureRequest) -> None:
    expected = GOLDEN / case / "expected.jsonl"
    given = b"".join(message + b"\n" for message in messages_of(GOLDEN / case)).decode()
    if request.config.getoption("--update-golden"):
        expected.write_text(given)
    assert given.splitlines() == expected.read_text().splitlines()


@pytest.mark.parametrize("case", CASES)
def test_expectations_keep_to_the_schema(case: str) -> None:
    messages = [json.loads(line) for line in (GOLDEN / case / "expected.jsonl").read_text().splitlines()]
    validators = {name: jsonschema.Draft202012Validator(schema(name)) for name in MODELS}
    faults = [f.message for m in messages for f in validators[m["schema"]].iter_errors(m)]
    assert faults == []
