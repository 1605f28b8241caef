"""The gate and wrong ones, as machines that an attack runs: counts of a window in, what is published out."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Protocol

from edge.release import carry_over
from edge.release.carry_over import Released, Waiting

START = datetime(2026, 1, 31, 8, 0, tzinfo=UTC)
PERIOD = timedelta(minutes=30)

Counts = tuple[int, ...]
Published = tuple[Hashable, ...]


@dataclass(frozen=True)
class Moment:
    """The end of one window: whether cells are released, whether the day ends, and what changes after it."""

    release: bool = True
    day_ends: bool = False
    known_empty: bool = False
    brackets: tuple[str, ...] = ()
    minimum: int = 0

    @property
    def reshapes(self) -> bool:
        return bool(self.brackets)


class Machine(Protocol):
    """A gate to attack. States are whatever `step` takes back, equal where `key` is equal."""

    @property
    def cells(self) -> int: ...
    def start(self) -> Any: ...
    def key(self, state: Any) -> Hashable: ...
    def step(self, state: Any, counts: Counts, number: int, moment: Moment) -> tuple[Published, int, Any]:
        """What is published after window `number`, how many disjoint sums are in it, and the next state."""
        ...


@dataclass(frozen=True)
class CarryOver:
    """The gate itself."""

    brackets: tuple[str, ...]
    minimum: int

    @property
    def cells(self) -> int:
        return len(self.brackets) + 1

    def start(self) -> Waiting:
        return carry_over.begin(self.brackets, START, self.minimum)

    def key(self, state: Waiting) -> Hashable:
        parts = (state.cells, state.since, state.room)
        left = (state.leftover, state.leftover_room, state.leftover_minimum, state.minimum)
        return (*(tuple(part.items()) for part in parts), left)

    def step(
        self, state: Waiting, counts: Counts, number: int, moment: Moment
    ) -> tuple[Published, int, Waiting]:
        at = START + number * PERIOD
        state = carry_over.add(state, self._named(state, counts), known_empty=moment.known_empty)
        released = carry_over.withheld(state.brackets, state.minimum)
        if moment.release:
            released, state = carry_over.release(state, at, day_ends=moment.day_ends)
        if moment.reshapes:
            state = carry_over.reshape(state, moment.brackets, moment.minimum, at)
        return published(released), len(sums(released)), state

    @staticmethod
    def _named(state: Waiting, counts: Counts) -> dict[str, int]:
        return dict(zip(state.cells, counts, strict=True))


def sums(released: Released) -> list[int]:
    """The numbers in it, each of a set of visits of its own."""
    numbers = [*released.counts.values(), released.unclassified, *released.groups.values(), released.other]
    return [n for n in numbers if n is not None]


def published(released: Released) -> Published:
    """All that a reader sees of it."""
    since = tuple(sorted((cell, at.isoformat()) for cell, at in released.since.items()))
    groups = tuple(sorted(released.groups.items()))
    return (*released.counts.values(), released.unclassified, since, groups, released.other, released.minimum)


@dataclass(frozen=True)
class Zones:
    """Some zones of one camera, each visit in one of them."""

    zones: tuple[CarryOver, ...]
    done: dict[Hashable, tuple[Published, int, Waiting]] = field(default_factory=dict, compare=False)

    @property
    def cells(self) -> int:
        return sum(zone.cells for zone in self.zones)

    def start(self) -> tuple[Waiting, ...]:
        return tuple(zone.start() for zone in self.zones)

    def key(self, state: tuple[Waiting, ...]) -> Hashable:
        return tuple(zone.key(part) for zone, part in zip(self.zones, state, strict=True))

    def step(
        self, state: tuple[Waiting, ...], counts: Counts, number: int, moment: Moment
    ) -> tuple[Published, int, tuple[Waiting, ...]]:
        done, rest = [], counts
        for zone, part in zip(self.zones, state, strict=True):
            own, rest = rest[: zone.cells], rest[zone.cells :]
            known = (
                zone,
                zone.key(part),
                own,
                number,
                moment,
            )  # one zone's steps come again with each of another
            if known not in self.done:
                self.done[known] = zone.step(part, own, number, moment)
            done.append(self.done[known])
        return tuple(p for p, _, _ in done), sum(n for _, n, _ in done), tuple(s for _, _, s in done)


@dataclass(frozen=True)
class Redrawn:
    """Two zones of one camera, the first of which comes or goes at each moment that reshapes.

    What waits in a zone that goes joins the other, which also takes the visits of its place from then on.
    """

    gate: CarryOver
    begins: bool
    """Whether the first zone is there at first."""

    @property
    def cells(self) -> int:
        return 2 * self.gate.cells

    def start(self) -> tuple[Waiting | None, Waiting]:
        return self.gate.start() if self.begins else None, self.gate.start()

    def key(self, state: tuple[Waiting | None, Waiting]) -> Hashable:
        return tuple(zone and self.gate.key(zone) for zone in state)

    def step(
        self, state: tuple[Waiting | None, Waiting], counts: Counts, number: int, moment: Moment
    ) -> tuple[Published, int, tuple[Waiting | None, Waiting]]:
        first, rest = state
        own, others = counts[: self.gate.cells], counts[self.gate.cells :]
        if first is None:
            others = tuple(a + b for a, b in zip(own, others, strict=True))
        step = partial(self.gate.step, number=number, moment=replace(moment, brackets=()))
        done = [step(first, own)] if first else []
        done.append(step(rest, others))
        zones = [zone for _, _, zone in done]
        return tuple(p for p, _, _ in done), sum(n for _, n, _ in done), self._next(zones, number, moment)

    def _next(self, zones: list[Waiting], number: int, moment: Moment) -> tuple[Waiting | None, Waiting]:
        if not moment.reshapes:
            return zones[0] if len(zones) > 1 else None, zones[-1]
        if len(zones) > 1:
            return None, carry_over.absorb(zones[1], zones[0])
        begun = carry_over.begin(self.gate.brackets, START + number * PERIOD, self.gate.minimum)
        return begun, zones[0]


@dataclass(frozen=True)
class Around:
    """The gate with another step: its cells and its states."""

    gate: CarryOver

    @property
    def cells(self) -> int:
        return self.gate.cells

    def start(self) -> Waiting:
        return self.gate.start()

    def key(self, state: Waiting) -> Hashable:
        return self.gate.key(state)


@dataclass(frozen=True)
class Beside(Around):
    """WRONG: the gate, and a number beside it that is not made of released cells.

    beside: from the state that waits before and after the window, and its counts.
    """

    beside: Callable[[Waiting, Waiting, Counts], Hashable]

    def step(
        self, state: Waiting, counts: Counts, number: int, moment: Moment
    ) -> tuple[Published, int, Waiting]:
        seen, number_of_sums, after = self.gate.step(state, counts, number, moment)
        return (*seen, self.beside(state, after, counts)), number_of_sums, after


def exact_total(gate: CarryOver) -> Beside:
    """WRONG: an exact total of each window beside the cells."""
    return Beside(gate, lambda _before, _after, counts: sum(counts))


def waiting_shown(gate: CarryOver) -> Beside:
    """WRONG: how many wait."""
    return Beside(gate, lambda _before, after, _counts: sum(after.cells.values()))


def zeros_shown(gate: CarryOver) -> Beside:
    """WRONG: a null where some wait and a zero where nobody does, as the old rule had it."""
    return Beside(gate, lambda _before, after, _counts: tuple(n > 0 for n in after.cells.values()))


@dataclass(frozen=True)
class FirstArrival:
    """WRONG: `since` is the first arrival in the cell. The state is what waits, and by cell when it began."""

    gate: CarryOver

    @property
    def cells(self) -> int:
        return self.gate.cells

    def start(self) -> tuple[Waiting, Counts]:
        return self.gate.start(), (0,) * self.cells

    def key(self, state: tuple[Waiting, Counts]) -> Hashable:
        return self.gate.key(state[0]), state[1]

    def step(
        self, state: tuple[Waiting, Counts], counts: Counts, number: int, moment: Moment
    ) -> tuple[Published, int, tuple[Waiting, Counts]]:
        first = tuple(f or (number if n else 0) for f, n in zip(state[1], counts, strict=True))
        seen, number_of_sums, after = self.gate.step(state[0], counts, number, moment)
        shown = tuple(None if n is None else f for n, f in zip(seen[: self.cells], first, strict=True))
        kept = tuple(f if n else 0 for f, n in zip(first, after.cells.values(), strict=True))
        return (*seen, shown), number_of_sums, (after, kept)


@dataclass(frozen=True)
class NoCorner(Around):
    """WRONG: `other` with the room of every cell, as if those released at this moment could hold somebody."""

    def step(
        self, state: Waiting, counts: Counts, number: int, moment: Moment
    ) -> tuple[Published, int, Waiting]:
        seen, number_of_sums, after = self.gate.step(state, counts, number, Moment(moment.release))
        rest = sum(after.cells.values())
        if moment.day_ends and self.gate.minimum <= rest <= (self.cells - 1) * (self.gate.minimum - 1):
            nobody = carry_over.begin(after.brackets, START + number * PERIOD, after.minimum)
            return (*seen, rest), number_of_sums + 1, nobody
        return (*seen, None), number_of_sums, after


@dataclass(frozen=True)
class NightCounts(Around):
    """WRONG: `other` with the room of cells in which nobody can have come since, for the store was closed."""

    def step(
        self, state: Waiting, counts: Counts, number: int, moment: Moment
    ) -> tuple[Published, int, Waiting]:
        return self.gate.step(state, counts, number, replace(moment, known_empty=False))


@dataclass(frozen=True)
class Overlapping:
    """WRONG: a zone inside another one, each with a gate of its own: who is in the inner one counts in both.

    Of the counts the first half is in the outer zone alone, the second half in both.
    """

    gate: CarryOver

    @property
    def cells(self) -> int:
        return 2 * self.gate.cells

    def start(self) -> tuple[Waiting, Waiting]:
        return self.gate.start(), self.gate.start()

    def key(self, state: tuple[Waiting, Waiting]) -> Hashable:
        return tuple(map(self.gate.key, state))

    def step(
        self, state: tuple[Waiting, Waiting], counts: Counts, number: int, moment: Moment
    ) -> tuple[Published, int, tuple[Waiting, Waiting]]:
        half = self.gate.cells
        inner = counts[half:]
        outer = tuple(a + b for a, b in zip(counts[:half], inner, strict=True))
        step = partial(self.gate.step, number=number, moment=moment)
        (seen, first, a), (also, second, b) = step(state[0], outer), step(state[1], inner)
        return (seen, also), first + second, (a, b)


@dataclass(frozen=True)
class ExactBeside:
    """WRONG: two halves of a place with a gate each, and an exact number without ages beside their cells.

    beside: from the visits of the first half and those of the second.
    """

    halves: Zones
    beside: Callable[[int, int], Hashable]

    @property
    def cells(self) -> int:
        return self.halves.cells

    def start(self) -> tuple[Waiting, ...]:
        return self.halves.start()

    def key(self, state: tuple[Waiting, ...]) -> Hashable:
        return self.halves.key(state)

    def step(
        self, state: tuple[Waiting, ...], counts: Counts, number: int, moment: Moment
    ) -> tuple[Published, int, tuple[Waiting, ...]]:
        seen, number_of_sums, after = self.halves.step(state, counts, number, moment)
        first = self.halves.zones[0].cells
        return (*seen, self.beside(sum(counts[:first]), sum(counts[first:]))), number_of_sums, after


def exact_line(halves: Zones) -> ExactBeside:
    """WRONG: the exact passages of a line that splits the place: who is in the first half has crossed it."""
    return ExactBeside(halves, lambda first, _second: first)


def exact_difference(halves: Zones) -> ExactBeside:
    """WRONG: two numbers that share one draw of noise: their difference has none."""
    return ExactBeside(halves, lambda first, second: first - second)


def exact_entries(halves: Zones) -> ExactBeside:
    """WRONG: the exact entries of a zone that overlaps both halves."""
    return ExactBeside(halves, lambda first, second: first + second)


def gate(minimum: int, cells: int) -> CarryOver:
    """The gate with so many cells, the unclassified among them."""
    return CarryOver(brackets(cells - 1), minimum)


def brackets(number: int, step: int = 10) -> tuple[str, ...]:
    """So many brackets, each `step` years but the last."""
    lows: Sequence[int] = range(0, number * step, step)
    return (*(f"{low}-{low + step - 1}" for low in lows[:-1]), f"{lows[-1]}+")
