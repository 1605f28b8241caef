"""A store with everything that the flow publishes, played through the real counting and the real gate.

Every draw of noise is recorded: the true number below it and its law. In place of the noise a script may say
which values are published.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any
from unittest.mock import patch

from edge.config import Settings, WindowSettings, load_settings
from edge.counting.pipeline import counting_plan
from edge.counting.windows import Aggregator
from edge.quantities import (
    AGES,
    ATTENTION,
    CROSSED,
    DWELL,
    LOOKED,
    QUANTITIES,
    QUEUE,
    WAITING,
    ZONES,
    Contribution,
    cell_of,
)
from edge.release import released
from edge.release.gate import Gate, MemoryStore
from edge.release.noise import periods
from edge.release.noise.ledger import Level
from edge.release.released import NoisyCount, noisy_count
from edge.release.rule import Rule
from edge.types import Crossing, GroupEnded, Progress, StreamEnded, TrackMissed, Visit, WindowCounts
from tests.gates import MIDNIGHT, MODEL, TOPICS

CAMERA = "door"
WINDOW = timedelta(minutes=15)
LATE = timedelta(seconds=WindowSettings().lateness)

LINES = ("mat", "arch")
"""Two parallel lines at the entrance: each visit that crosses one crosses the other."""

ZONES_OF_STORE = {"hall": "area", "till": "queue", "bar": "queue", "shelf": "area"}
"""They overlap: a visit may be in all of them."""

Event = Visit | GroupEnded | TrackMissed
Schedule = Sequence[tuple[int, Settings]]
"""The settings that hold from the start of a window on, by its number."""


def settings(
    *overrides: str, lines: Sequence[str] = LINES, zones: Sequence[str] = (*ZONES_OF_STORE,)
) -> Settings:
    """The store; every visit may be in all of its numbers."""
    camera = {
        "name": CAMERA,
        "source": "0",
        "lines": [
            {"name": name, "from": [0.1, 0.1 * n + 0.3], "to": [0.9, 0.1 * n + 0.3], "entrance": n == 0}
            for n, name in enumerate(lines)
        ],
        "zones": [
            {"name": name, "role": ZONES_OF_STORE[name], "polygon": [[0, 0], [1, 0], [1, 1], [0, 1]]}
            for name in zones
        ],
    }
    base = {
        "site": "store",
        "box": "box",
        "cameras": [camera],
        "windows": {"brackets": ["0-17", "18+"], "length": int(WINDOW.total_seconds())},
    }
    return load_settings(None, overrides, base)


EVERYTHING = ("attention.enabled=true", "groups.enabled=true")
NOISE = ("privacy.method=noise",)
CROSSED_AGES = (*NOISE, 'privacy.ages_by=["dwell", "attention"]')


def visit(
    at: datetime,
    *,
    age: float | None = 30.0,
    zone: str = "hall",
    crosses: Sequence[tuple[str, bool]] = (),
    entered: Sequence[str] = (),
    dwelt: int | None = None,
    queued: Sequence[str] = (),
    seconds: int = 300,
    looked: int | None = None,
) -> Visit:
    """A visit by what it adds. dwelt: seconds in its zone. queued: the queues in which it spent `seconds`."""
    contributions = [Contribution(ZONES, name) for name in entered]
    if dwelt is not None:
        contributions.append(Contribution(DWELL, cell_of(zone, QUANTITIES[DWELL].step(dwelt))))
    for name in queued:
        contributions.append(Contribution(QUEUE, name, seconds))
        contributions.append(Contribution(WAITING, cell_of(name, QUANTITIES[WAITING].step(seconds))))
    if looked is not None:
        contributions.append(Contribution(ATTENTION, cell_of(LOOKED, QUANTITIES[ATTENTION].step(looked))))
    passed = tuple(Crossing(line, inward) for line, inward in crosses)
    return Visit(CAMERA, at, age, passed, tuple(contributions), zone)


@dataclass(frozen=True)
class Draw:
    """One number with noise: epsilon is that of the noise for a change of 1 in the count."""

    level: Level
    start: datetime
    quantity: str
    part: str
    cell: str
    count: int
    epsilon: Fraction

    @property
    def law(self) -> tuple[object, ...]:
        """All but the true number: it must not depend on who came."""
        return self.level, self.start, self.quantity, self.part, self.cell, self.epsilon


@dataclass
class Played:
    """What left the box, and the draws in their order."""

    draws: list[Draw] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    retained: dict[str, bytes] = field(default_factory=dict)


Script = Callable[[int, int], int]
"""The published value by the draw's number and its true number."""


def truth(_number: int, count: int) -> int:
    """No noise at all: the values of a reader who averages for ever."""
    return count


def play(
    schedule: Schedule, events: Sequence[Event], windows: int, script: Script | None = truth, seed: int = 1
) -> Played:
    """Count the events and release so many windows; the last ends the day. script: None for real noise."""
    played, store = Played(), MemoryStore()
    plans = dict(schedule)
    first = plans[0]
    gate = Gate(store, Rule.of(first, MODEL), TOPICS, random.Random(seed).randrange)
    aggregator = Aggregator("store", counting_plan(first), length=first.windows.length)
    with _recorded(played, script):
        for number in range(windows):
            if number and number in plans:
                gate.rule = Rule.of(plans[number], MODEL)
            if number + 1 in plans:
                aggregator.progress(Progress(CAMERA, MIDNIGHT + number * WINDOW))
                aggregator.replan(counting_plan(plans[number + 1]))  # from the next window on
            _put(gate, _window(aggregator, events, number))
        _put(gate, aggregator.end(StreamEnded(CAMERA, MIDNIGHT + windows * WINDOW - LATE)))
    played.messages = [json.loads(payload) for payload in store.take()]
    played.retained = store.retained
    return played


def _window(aggregator: Aggregator, events: Sequence[Event], number: int) -> list[WindowCounts]:
    start, end = MIDNIGHT + number * WINDOW, MIDNIGHT + (number + 1) * WINDOW
    closed = aggregator.progress(Progress(CAMERA, start + LATE, analysed=1))
    for event in events:
        if start <= event.at < end:
            _count(aggregator, event)
    return closed


def _count(aggregator: Aggregator, event: Event) -> None:
    if isinstance(event, Visit):
        aggregator.count(event)
    elif isinstance(event, GroupEnded):
        aggregator.count_group(event)
    else:
        aggregator.count_missed(event)


def _put(gate: Gate, closed: Sequence[WindowCounts]) -> None:
    for window in closed:
        gate.put(window)


class _recorded:  # noqa: N801 - a context manager
    """Within it each number with noise is recorded and gets the value of the script."""

    def __init__(self, played: Played, script: Script | None) -> None:
        self._played, self._script = played, script
        self._patches: list[Any] = [
            patch.object(periods.Draws, "figure", self._figure(periods.Draws.figure)),
            patch.object(periods, "noisy_count", self._noisy),
        ]
        if script is not None:
            self._patches.append(patch.object(released, "discrete_laplace", lambda *_: 0))
        self._node: tuple[Level, datetime, str, str] | None = None
        self._cells: Iterator[str] = iter(())

    def __enter__(self) -> None:
        for one in self._patches:
            one.start()

    def __exit__(self, *_: object) -> None:
        for one in reversed(self._patches):
            one.stop()

    def _figure(self, figure: Callable[..., Any]) -> Callable[..., Any]:
        def recorded(
            draws: Any, level: Level, start: datetime, end: datetime, cells: Mapping[str, int], *rest: Any
        ) -> Any:
            self._node, self._cells = (level, start, draws._quantity, draws._part), iter(cells)
            return figure(draws, level, start, end, cells, *rest)

        return recorded

    def _noisy(self, count: int, epsilon: Fraction, random_below: Any, *, most: int = 1) -> NoisyCount:
        assert self._node is not None
        number = len(self._played.draws)
        self._played.draws.append(Draw(*self._node, next(self._cells), count, epsilon / most))
        value = self._script(number, count) if self._script else count
        return noisy_count(value, epsilon, random_below, most=most)


def _has_ages(draw: Draw) -> bool:
    return draw.quantity in (AGES, *CROSSED.values())


def loss(one: Played, other: Played, *, ages: bool = False) -> Fraction:
    """The logarithm of the largest ratio of the chances that two worlds give to anything that is published.

    Each number has noise of its own, so the ratios multiply. That of discrete Laplace noise is largest beyond
    both counts, where it is exp(epsilon * difference). ages: of the numbers with ages, else of those without.
    """
    assert [draw.law for draw in one.draws] == [draw.law for draw in other.draws]
    pairs = [(a, b) for a, b in zip(one.draws, other.draws, strict=True) if _has_ages(a) is ages]
    return sum((abs(a.count - b.count) * a.epsilon for a, b in pairs), Fraction(0))


def beyond_the_draws(schedule: Schedule, one: Sequence[Event], other: Sequence[Event], windows: int) -> bool:
    """Whether two worlds differ in what leaves although every number with noise has the same value."""
    first, second = (play(schedule, events, windows, lambda n, _: n * 37 % 11 - 3) for events in (one, other))
    return first.messages != second.messages or first.retained != second.retained
