"""What a reader can bound: every publication as a mixed-integer model, its bounds by HiGHS.

Unknown are the visits of each cell in each span of windows; known are the released sums, that a cell that was
passed by holds less than the minimum, and at a day's end that what stayed lies below the threshold or above
the room. Adversary B knows besides how many visits each window had.

The noisy numbers beside are not in the model: noise of every size is possible, so no world is excluded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from edge.release.carry_over import UNCLASSIFIED, Released, joined_brackets
from tests.privacy.days import Run, Step

Vector = NDArray[np.float64]
Room = float
"""The most that can be somewhere; infinite where there is no limit."""


@dataclass
class Model:
    """Constraints low <= sum(coefficient * variable) <= high over whole variables from 0 up.

    place: (window, cell) of each visit variable, the window being the first of its span. truth: its value.
    switches: how many variables of 0 or 1 follow them.
    """

    place: list[tuple[int, int]] = field(default_factory=list)
    truth: list[int] = field(default_factory=list)
    rows: list[tuple[list[int], float, float]] = field(default_factory=list)
    either: list[tuple[list[int], float, float]] = field(default_factory=list)

    def between(self, members: Sequence[int], low: float, high: float) -> None:
        if members:
            self.rows.append((list(members), low, high))

    def outside(self, members: Sequence[int], low: float, high: float) -> None:
        """The sum is at most `low` or at least `high`."""
        if np.isinf(high):
            self.between(members, 0, low)
        elif members:
            self.either.append((list(members), low, high))


@dataclass
class _Reader:
    """Follows what is published. open: by cell the variables since its last release. room: see the rule."""

    minimum: int
    cells: list[str]
    open: list[list[int]]
    room: list[Room]
    leftover: list[int] = field(default_factory=list)
    leftover_room: Room = 0
    leftover_minimum: int = 1

    @classmethod
    def begin(cls, brackets: Sequence[str], minimum: int) -> _Reader:
        cells = [*brackets, UNCLASSIFIED]
        return cls(minimum, cells, [[] for _ in cells], [0.0] * len(cells))


def model(run: Run, *, by_window: bool) -> Model:
    """What A knows of the run. by_window: a variable for each window, else for each span between releases."""
    known, reader = Model(), _Reader.begin(tuple(run.steps[0].released.counts), run.scenario.minimum)
    fresh = True
    for window, (counts, step) in enumerate(zip(run.truth, run.steps, strict=True)):
        if not step.known_empty:
            _arrive(known, reader, window, counts, fresh=fresh or by_window)
            fresh = False
        if step.release:
            _moment(known, reader, step)
            fresh = True
        if step.reshaped:
            reader, fresh = _reshape(reader, *step.reshaped), True
    return known


def _arrive(known: Model, reader: _Reader, window: int, counts: NDArray[np.int64], *, fresh: bool) -> None:
    for cell, count in enumerate(counts):
        if fresh:
            reader.open[cell].append(len(known.place))
            known.place.append((window, cell))
            known.truth.append(int(count))
        else:
            known.truth[reader.open[cell][-1]] += int(count)
        reader.room[cell] = np.inf


def _moment(known: Model, reader: _Reader, step: Step) -> None:
    most = reader.minimum - 1
    for cell, name in enumerate(reader.cells):
        number = step.released.unclassified if name == UNCLASSIFIED else step.released.counts[name]
        if number is None:
            known.between(reader.open[cell], 0, most)
            reader.room[cell] = min(reader.room[cell], most)
        else:
            known.between(reader.open[cell], number, number)
            reader.open[cell], reader.room[cell] = [], 0
    if step.day_ends:
        _day_ends(known, reader, step.released)


def _day_ends(known: Model, reader: _Reader, released: Released) -> None:
    most, rooms, grouped = reader.minimum - 1, [], set()
    brackets = [name for name in reader.cells if name != UNCLASSIFIED]
    for label, names in joined_brackets(brackets).items():
        cells = [reader.cells.index(name) for name in names]
        grouped |= set(cells)
        room = sum(reader.room[cell] for cell in cells)
        if _sum_left(known, reader, cells, released.groups.get(label), (most, room)):
            room = 0
        rooms.append(min(room, most))
    rooms += [min(room, most) for cell, room in enumerate(reader.room) if cell not in grouped]
    threshold = max(reader.minimum, reader.leftover_minimum)
    everything = list(range(len(reader.cells)))
    limits = threshold - 1, sum(rooms) + reader.leftover_room
    if _sum_left(known, reader, everything, released.other, limits, more=reader.leftover):
        reader.leftover, reader.leftover_room, reader.leftover_minimum = [], 0, 1
    reader.room = [0.0] * len(reader.cells)
    reader.leftover_room = min(reader.leftover_room, threshold - 1)


def _sum_left(
    known: Model,
    reader: _Reader,
    cells: Sequence[int],
    number: int | None,
    limits: tuple[float, Room],
    *,
    more: Sequence[int] = (),
) -> bool:
    members = [*more, *(variable for cell in cells for variable in reader.open[cell])]
    most, room = limits
    if number is None:
        known.outside(members, most, max(room - most, most) + 1)
        return False
    known.between(members, number, number)
    for cell in cells:
        reader.open[cell], reader.room[cell] = [], 0
    return True


def _reshape(reader: _Reader, brackets: Sequence[str], minimum: int) -> _Reader:
    after = _Reader.begin(brackets, minimum)
    after.leftover = [*reader.leftover, *(variable for members in reader.open for variable in members)]
    after.leftover_room = reader.leftover_room + sum(reader.room)
    after.leftover_minimum = max(reader.leftover_minimum, reader.minimum)
    return after


def told_totals(known: Model) -> None:
    """Adversary B: how many visits each window had."""
    windows: dict[int, list[int]] = {}
    for variable, (window, _) in enumerate(known.place):
        windows.setdefault(window, []).append(variable)
    for members in windows.values():
        number = sum(known.truth[variable] for variable in members)
        known.between(members, number, number)


@dataclass
class Attack:
    """Bounds of sums over variables: from worlds that fit everything published, then by solving."""

    known: Model
    rng: np.random.Generator
    solved: int = 0

    def __post_init__(self) -> None:
        visits, switches = len(self.known.place), len(self.known.either)
        rows = [*self.known.rows]
        big = float(sum(self.known.truth) + 100)
        matrix: list[tuple[int, int, float]] = []
        low, high = [low for _, low, _ in rows], [high for _, _, high in rows]
        for i, (members, _, _) in enumerate(rows):
            matrix += [(i, variable, 1.0) for variable in members]
        for switch, (members, most, least) in enumerate(self.known.either):
            for bound in ((-np.inf, most, -big), (least - big, np.inf, -big)):
                i = len(low)
                matrix += [(i, variable, 1.0) for variable in members]
                matrix.append((i, visits + switch, bound[2]))
                low.append(bound[0])
                high.append(bound[1])
        at, variables, values = zip(*matrix, strict=True)
        shape = (len(low), visits + switches)
        self._constraints = LinearConstraint(csr_array((values, (at, variables)), shape=shape), low, high)
        self._bounds = Bounds(np.zeros(shape[1]), np.r_[np.full(visits, np.inf), np.ones(switches)])

    def truth_fits(self) -> bool:
        """Whether the truth fits the model; otherwise the model is wrong and its findings mean nothing."""
        truth = np.array(self.known.truth)
        inside = all(low <= truth[members].sum() <= high for members, low, high in self.known.rows)
        return inside and all(
            not low < truth[members].sum() < high for members, low, high in self.known.either
        )

    def world(self, weights: Vector) -> Vector:
        """The visits that fit everything published and make `weights @ visits` largest."""
        self.solved += 1
        costs = np.r_[-weights, np.zeros(len(self.known.either))]
        limit = Bounds(self._bounds.lb, np.minimum(self._bounds.ub, sum(self.known.truth) + 50))
        found = milp(
            costs, integrality=np.ones(len(costs), np.int64), bounds=limit, constraints=self._constraints
        )
        assert found.x is not None, found.message
        return np.asarray(np.round(found.x[: len(weights)]), np.float64)

    def determined(self, queries: csr_array) -> NDArray[np.bool_]:
        """Which of these sums (rows over the visit variables) are the same in every world."""
        truth = queries @ np.array(self.known.truth, float)
        certain = np.ones(queries.shape[0], bool)
        barren = 0
        while certain.any() and barren < 3:
            signs = np.where(truth == 0, 1.0, self.rng.choice([-1.0, 1.0], len(truth)))
            weights = signs * self.rng.uniform(0.5, 1, len(truth)) * certain
            before = certain.sum()
            certain &= queries @ self.world(queries.T @ weights) == truth
            barren = barren + 1 if certain.sum() == before else 0
        for query in np.flatnonzero(certain):
            if certain[query] and not self._published(queries[[query]].indices):
                self._settle(queries, int(query), truth, certain)
        return certain

    def _published(self, members: Iterable[int]) -> bool:
        """Whether the sum is one of published sums: then it needs no solving."""
        left = set(members)
        for row, low, high in self.known.rows:
            if low == high and left.issuperset(row):
                left -= set(row)
        return not left

    def _settle(self, queries: csr_array, query: int, truth: Vector, certain: NDArray[np.bool_]) -> None:
        """Look for the largest and the smallest sum; each world found counts for all queries."""
        row = np.asarray(queries[[query]].todense()).ravel()
        for sign in (1.0, -1.0):
            found = self.world(sign * row)
            certain &= (queries @ found == truth) | (np.arange(len(truth)) == query)
            if row @ found != truth[query]:
                certain[query] = False
                return


def everyday_sums(known: Model, windows_a_day: int) -> csr_array:
    """What a reader would like to know: each variable, and by cell and over all cells the sums since any
    release moment of the day, of each hour and of each day; and the sums over all cells of a moment."""
    day = windows_a_day
    hour = day // 24
    wanted: dict[tuple[object, ...], list[int]] = {}
    for variable, (window, cell) in enumerate(known.place):
        wanted["one", variable] = [variable]
        for who in (cell, "all"):
            for span, length in (("moment", 1), ("hour", hour), ("day", day)):
                wanted.setdefault((who, span, window // length), []).append(variable)
            for moment in range(window // hour, day // hour * (window // day + 1)):
                wanted.setdefault((who, "until", moment), []).append(variable)
    unique = sorted({tuple(members) for members in wanted.values()})
    at = [query for query, members in enumerate(unique) for _ in members]
    variables = [variable for members in unique for variable in members]
    return csr_array((np.ones(len(at)), (at, variables)), shape=(len(unique), len(known.place)))


def each_visit(known: Model) -> csr_array:
    """Each pair (window, cell) that somebody is in."""
    somebody = np.flatnonzero(np.array(known.truth))
    shape = len(somebody), len(known.truth)
    return csr_array((np.ones(len(somebody)), (np.arange(len(somebody)), somebody)), shape=shape)
