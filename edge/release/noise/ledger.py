"""The budget of noise: how epsilon is divided over what is published, and a ledger that can only be spent.

The unit is a visit: one person, from entering a camera's view to leaving it. Every number of a visit is
counted at the moment when it ends, so a visit touches one window, one hour and one day, and at most one cell
of a quantity in each. That is what a bound on its whole epsilon rests on:

    disjoint visits   (other windows, other cells, other cameras) compose in parallel: the largest counts
    the same visits   (window, hour and day; visits and zones) compose in sequence: the sum counts

(McSherry 2009, "Privacy Integrated Queries", theorems 3 and 4). A person who comes twice, or whom two cameras
see, is two visits: without recognising people again no promise for a person's whole day can be made. With
re-entry one visit more or less also changes whether the next one at its place is counted: `Rule` halves the
shares, and a visit spends each of them twice.

A budget that can only be spent, and that answers a request with a value, follows OpenDP's odometers and
Tumult's sessions. Epsilons are fractions, so that sums are exact.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from fractions import Fraction

from pydantic import BaseModel, ConfigDict, Field

from edge.quantities import (
    AGES,
    AGES_BY_ATTENTION,
    AGES_BY_DWELL,
    ATTENTION,
    DWELL,
    GROUPS,
    IN,
    MISSED,
    OUT,
    QUEUE,
    VISITS,
    WAITING,
    ZONES,
)


class Level(StrEnum):
    """The times that numbers are published for."""

    WINDOW = "window"
    HOUR = "hour"
    DAY = "day"


Shares = Mapping[tuple[Level, str], Fraction]
"""By level and quantity: the epsilon of one number."""

FLOW_LEVELS = {Level.WINDOW: Fraction(1, 2), Level.HOUR: Fraction(3, 8), Level.DAY: Fraction(1, 8)}
"""How `privacy.flow_epsilon` is divided over levels: a number that holds more visits can take more noise.
It does not depend on the configuration, so a change of it at any moment lets no visit spend more."""

_BESIDE = {ZONES: 2, DWELL: 2, QUEUE: 2, WAITING: 1, ATTENTION: 2, GROUPS: 4, MISSED: 1}

FLOW_WEIGHTS: Mapping[Level, Mapping[str, int]] = {
    Level.WINDOW: {VISITS: 2, IN: 1, OUT: 1},
    Level.HOUR: {VISITS: 4, IN: 2, OUT: 2, **_BESIDE},
    Level.DAY: {VISITS: 4, IN: 2, OUT: 2, **_BESIDE},
}
"""How a level is divided over those of its quantities that are configured. With all of them and epsilon 4,
a window's visits have 1, its entries and exits 1/2 each, an hour's visits 3/11, a day's 1/11."""

AGE_LEVELS = {Level.WINDOW: Fraction(1, 4), Level.HOUR: Fraction(1, 2), Level.DAY: Fraction(1, 4)}
"""How `privacy.epsilon` is divided: most for hours, as a window of minutes has few visits in a bracket."""

AGE_WEIGHTS: Mapping[Level, Mapping[str, int]] = {
    Level.WINDOW: {AGES: 1},
    Level.HOUR: {AGES: 2, AGES_BY_DWELL: 1, AGES_BY_ATTENTION: 1},
    Level.DAY: {AGES: 2, AGES_BY_DWELL: 1, AGES_BY_ATTENTION: 1},
}
"""How a level is divided over the brackets and those crossings that are configured. With both and epsilon 1,
a bracket of an hour has 1/4, and a step of a bracket 1/8."""


def flow_shares(epsilon: Fraction, quantities: Collection[str] = (VISITS,)) -> Shares:
    """The epsilon of each number without ages, where these quantities are published; their sum is `epsilon`.

    Raises ValueError for an epsilon of 0 or less, for an unknown quantity and where visits are missing.
    """
    return _shares(epsilon, FLOW_LEVELS, FLOW_WEIGHTS, VISITS, quantities)


def age_shares(epsilon: Fraction, quantities: Collection[str] = (AGES,)) -> Shares:
    """The epsilon of each cell with an age, where `privacy.method` is noise; else as `flow_shares`."""
    return _shares(epsilon, AGE_LEVELS, AGE_WEIGHTS, AGES, quantities)


def _shares(
    epsilon: Fraction,
    levels: Mapping[Level, Fraction],
    weights: Mapping[Level, Mapping[str, int]],
    always: str,
    quantities: Collection[str],
) -> Shares:
    if epsilon <= 0:
        raise ValueError(f"epsilon = {epsilon}: must be above 0")
    known = {quantity for level in weights.values() for quantity in level}
    if always not in quantities or not known.issuperset(quantities):
        raise ValueError(f"quantities {sorted(quantities)}: must be of {sorted(known)} and hold {always!r}")
    shares: dict[tuple[Level, str], Fraction] = {}
    for level, part in levels.items():
        chosen = {name: weight for name, weight in weights[level].items() if name in quantities}
        whole = sum(chosen.values())
        shares |= {(level, name): epsilon * part * weight / whole for name, weight in chosen.items()}
    return shares


def epsilon_of_visit(*shares: Shares) -> Fraction:
    """The whole epsilon of one visit over all numbers with noise that it touches.

    shares: those of the flow, and those of the ages where they carry noise. Where ages are released by the
    threshold, no epsilon bounds what those cells reveal about a visit; `carry_over` proves another bound.
    """
    return sum((epsilon for table in shares for epsilon in table.values()), Fraction(0))


@dataclass(frozen=True, slots=True)
class Node:
    """What is drawn at once: the cells of one quantity of one camera, in one window, hour or day, in UTC.

    A visit of the camera is in at most one cell of the node. Nodes of one quantity and level with different
    `part` (a zone) hold different visits.
    """

    camera: str
    level: Level
    quantity: str
    start: datetime
    end: datetime
    part: str = ""

    def __post_init__(self) -> None:
        if self.start >= self.end:
            raise ValueError(f"Node: start {self.start} is not before end {self.end}")


class Refused(StrEnum):
    """Why a node is not drawn."""

    DRAWN = "drawn before"
    BUDGET = "over the budget"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A node that must not be drawn: its number is withheld. spent: the most of any visit in it so far."""

    node: Node
    reason: Refused
    asked: Fraction
    spent: Fraction
    budget: Fraction


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Spent(_Stored):
    """From `start` to `end`, every number of a series was drawn once, each with this epsilon."""

    start: datetime
    end: datetime
    epsilon: Fraction


class Series(_Stored):
    """What was drawn of one quantity at one level, in order of time and without overlap."""

    camera: str
    level: Level
    quantity: str
    part: str
    spent: tuple[Spent, ...] = ()

    def of(self, node: Node) -> bool:
        """Whether the node is one of this series."""
        key = (self.camera, self.level, self.quantity, self.part)
        return key == (node.camera, node.level, node.quantity, node.part)

    def overlaps(self, node: Node) -> bool:
        """Whether any of the node's time was drawn before."""
        return any(span.start < node.end and node.start < span.end for span in self.spent)

    def at(self, moment: datetime) -> Fraction:
        """The epsilon that a visit of this moment has spent here."""
        return next((s.epsilon for s in self.spent if s.start <= moment < s.end), Fraction(0))

    def with_span(self, span: Spent) -> Series:
        """This and one more span; spans that touch, of one epsilon, become one, so a day takes few."""
        joined: list[Spent] = []
        for one in sorted((*self.spent, span), key=lambda s: s.start):
            if joined and joined[-1].end == one.start and joined[-1].epsilon == one.epsilon:
                one = joined.pop().model_copy(update={"end": one.end})  # noqa: PLW2901 - the two are one now
            joined.append(one)
        return self.model_copy(update={"spent": tuple(joined)})


class Ledger(_Stored):
    """What every visit has spent so far, by camera and moment. It is stored in the transaction of its rows.

    A node is drawn once in its life: times that were drawn are refused, also after a restart, after a window
    length was changed, and after a clock was set back. The budget may change; what was spent stays.
    """

    budget: Fraction = Field(gt=0)
    series: tuple[Series, ...] = ()

    def spend(self, node: Node, epsilon: Fraction) -> tuple[Ledger, Refusal | None]:
        """Spend `epsilon`, above 0, on the node: the ledger to keep, and the refusal where nothing was spent.

        The noise is drawn after this has refused nothing; row and ledger become durable together.
        """
        if epsilon <= 0:
            raise ValueError(f"epsilon = {epsilon}: must be above 0")
        spent = self.spent(node)
        own = next((one for one in self.series if one.of(node)), None)
        if own and own.overlaps(node):
            return self, Refusal(node, Refused.DRAWN, epsilon, spent, self.budget)
        if self._most(node, {(node.level, node.quantity): epsilon}) > self.budget:
            return self, Refusal(node, Refused.BUDGET, epsilon, spent, self.budget)
        own = own or Series(camera=node.camera, level=node.level, quantity=node.quantity, part=node.part)
        others = [one for one in self.series if not one.of(node)]
        grown = own.with_span(Spent(start=node.start, end=node.end, epsilon=epsilon))
        return self.model_copy(update={"series": (*others, grown)}), None

    def spent(self, node: Node) -> Fraction:
        """The most that any visit in the node's camera and time can have spent."""
        return self._most(node, {})

    def _most(self, node: Node, more: Shares) -> Fraction:
        """The most that any visit in the node's camera and time has spent, if `more` were spent on it."""
        ours = [one for one in self.series if one.camera == node.camera]
        starts = {span.start for one in ours for span in one.spent if node.start < span.start < node.end}
        return max(_of_one_visit(ours, moment, more) for moment in (node.start, *starts))

    def under(self, budget: Fraction) -> Ledger:
        """This ledger under another budget, above 0; what was spent stays spent."""
        return Ledger(budget=budget, series=self.series)

    def forget(self, before: datetime) -> Ledger:
        """Without what ended by this moment, the start of the oldest day that may still be drawn."""
        kept = [
            one.model_copy(update={"spent": tuple(span for span in one.spent if span.end > before)})
            for one in self.series
        ]
        return self.model_copy(update={"series": tuple(one for one in kept if one.spent)})


def _of_one_visit(series: Iterable[Series], moment: datetime, more: Shares) -> Fraction:
    """What a visit of this moment has spent: parts hold different visits, so of those the largest counts."""
    most = dict(more)
    for one in series:
        key = (one.level, one.quantity)
        most[key] = max(most.get(key, Fraction(0)), one.at(moment))
    return sum(most.values(), Fraction(0))
