"""Worlds that differ in one visit, at its worst; and wrong gates, which reveal more than promised."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import combinations, product
from typing import Any
from unittest.mock import patch

from edge.quantities import DWELL, QUANTITIES, VISITS, Quantity
from edge.release import rule as rule_module
from edge.release.books.box import BoxBook
from edge.release.messages import Occupancy
from edge.release.noise import periods
from edge.release.noise.ledger import Ledger, Level
from edge.release.rule import Rule
from edge.types import GroupEnded, Visit, WindowCounts
from tests.gates import MIDNIGHT, MODEL
from tests.privacy.flow.store import (
    CAMERA,
    CROSSED_AGES,
    EVERYTHING,
    LINES,
    NOISE,
    WINDOW,
    ZONES_OF_STORE,
    Event,
    Schedule,
    loss,
    play,
    settings,
    visit,
)

FIRST = MIDNIGHT + timedelta(minutes=5)
QUEUES = ("till", "bar")
WAYS = tuple((line, inward) for line in LINES for inward in (True, False))


def worst(at: datetime = FIRST) -> Visit:
    """A visit that is in everything that one visit can be in."""
    return visit(at, crosses=WAYS, entered=("hall", "till", "bar"), dwelt=20, queued=QUEUES, looked=3)


def every_visit(sample: float, seed: int) -> Iterator[Visit]:
    """A sample of all visits that there can be, by what they cross, enter, wait for and look at."""
    rng = random.Random(seed)
    ways = [_subsets(WAYS, 4), _subsets(tuple(ZONES_OF_STORE), 3), _subsets(QUEUES, 2)]
    stays = [("rest", None), *product(ZONES_OF_STORE, QUANTITIES[DWELL].bounds)]
    choices: list[Sequence[Any]] = [*ways, stays, (1, 300), (None, 0, 30), (None, 5.0, 70.0)]
    for crosses, entered, queued, (zone, dwelt), seconds, looked, age in product(*choices):
        if rng.random() < sample:
            yield visit(
                FIRST, age=age, zone=zone, crosses=crosses, entered=entered,
                dwelt=dwelt, queued=queued, seconds=seconds, looked=looked,
            )  # fmt: skip


def _subsets(of: Sequence[Any], most: int) -> list[tuple[Any, ...]]:
    return [some for n in range(most + 1) for some in combinations(of, n)]


def with_groups(one: Visit, later: timedelta = timedelta(0)) -> tuple[list[Event], list[Event]]:
    """A world with the visit and one without: five groups changed, as many as by one visit, some `later`."""
    at = one.at
    return [one, *_groups(at, 5, 4), *_groups(at + later, 2)], [*_groups(at, 1), *_groups(at + later, 3)]


def _groups(at: datetime, *sizes: int) -> tuple[GroupEnded, ...]:
    return tuple(GroupEnded(CAMERA, at, size) for size in sizes)


@dataclass(frozen=True)
class Spent:
    """What one visit spends of both budgets, and what is promised."""

    flow: Fraction
    ages: Fraction
    flow_epsilon: Fraction
    epsilon: Fraction

    @property
    def is_kept(self) -> bool:
        return self.flow <= self.flow_epsilon and self.ages <= self.epsilon


def spent(schedule: Schedule, one: Sequence[Event], other: Sequence[Event], windows: int = 1) -> Spent:
    """The loss between two worlds under these settings, by the largest promise that was made in them."""
    first, second = play(schedule, one, windows), play(schedule, other, windows)
    flow_epsilon = max(Rule.of(each, MODEL).flow_epsilon or Fraction(0) for _, each in schedule)
    epsilon = max(Fraction(str(each.privacy.epsilon)) for _, each in schedule)
    return Spent(loss(first, second), loss(first, second, ages=True), flow_epsilon, epsilon)


def of_random_store(seed: int, windows: int = 6) -> Spent:
    """What a visit at its worst spends in a store whose settings change at random times."""
    rng = random.Random(seed)
    times = sorted({0, *rng.sample(range(1, windows), 3)})
    schedule = [(number, rng.choice(_some_settings())) for number in times]
    rest = [worst(FIRST + rng.randrange(windows) * WINDOW) for _ in range(5)]
    with_it, without = with_groups(worst(FIRST + rng.randrange(windows) * WINDOW), timedelta(minutes=1))
    return spent(schedule, [*rest, *with_it], [*rest, *without], windows)


def _some_settings() -> list[Any]:
    """Everything off and on: lines, zones, attention, groups, and how ages are published."""
    return [
        settings(*chosen, *method, lines=lines, zones=zones)
        for chosen in ((), EVERYTHING, EVERYTHING[:1])
        for lines in ((), LINES)
        for zones in ((), (*ZONES_OF_STORE,)[:2], (*ZONES_OF_STORE,))
        for method in ((), NOISE, *([CROSSED_AGES] if chosen and zones else []))
    ]


Wrong = Callable[[], AbstractContextManager[Any]]


def _unshared(rule: Rule, _beside: Any = ()) -> Any:
    whole = rule.flow_epsilon
    return {(level, name): whole for level in Level for name in (VISITS, *QUANTITIES)}


@contextmanager
def _unshared_without_ledger() -> Iterator[None]:
    with unshared(), patch.object(Ledger, "spend", lambda ledger, *_: (ledger, None)):
        yield


@contextmanager
def unshared() -> Iterator[None]:
    """WRONG: every number has the whole budget. The ledger refuses what does not fit."""
    budget = patch.object(Rule, "visit_epsilon", property(lambda rule: rule.flow_epsilon))
    with budget, patch.object(Rule, "flow_shares", _unshared):
        yield


def _for_a_change_of_one() -> Any:
    return patch.object(
        periods, "QUANTITIES", {name: replace(one, most=1) for name, one in QUANTITIES.items()}
    )


def _unshared_ages(epsilon: Fraction, quantities: Collection[str]) -> Any:
    return {(level, name): epsilon for level in Level for name in quantities}


@contextmanager
def _crossed_for_nothing() -> Iterator[None]:
    without_ledger = patch.object(Ledger, "spend", lambda ledger, *_: (ledger, None))
    with without_ledger, patch.object(rule_module, "age_shares", _unshared_ages):
        yield


SPENDS_MORE: dict[str, Wrong] = {
    "every number with the whole budget": _unshared_without_ledger,
    "parallel lines that do not share": lambda: patch.object(Quantity, "parts_of_visit", lambda *_: 1),
    "noise for a second and for one group": _for_a_change_of_one,
    "ages crossed with the whole budget": _crossed_for_nothing,
}
"""Wrong gates by name."""


def with_true_occupancy() -> Any:
    """WRONG: occupancy from the true passages, beside noisy ones."""
    whole = BoxBook.with_camera

    def close(book: BoxBook, window: WindowCounts, *rest: Any) -> Any:
        releases, after = whole(book, window, *rest)
        inside = sum(one.inward - one.outward for one in window.lines.values())
        true = Occupancy(inside=max(inside, 0), error=0, since=window.start)
        return replace(releases, occupancy=[one and true for one in releases.occupancy]), after

    return patch.object(BoxBook, "with_camera", close)
