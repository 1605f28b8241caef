"""The small worlds that are enumerated: the gate, which must hold, and wrong gates, which must not.

The later windows have a larger cap than the true worlds: with what waited before, a count of the true world
has its alternatives there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.privacy.enumeration import Findings, attack, every_world
from tests.privacy.gates import (
    FirstArrival,
    Machine,
    Moment,
    NightCounts,
    NoCorner,
    Overlapping,
    Redrawn,
    Zones,
    brackets,
    exact_difference,
    exact_entries,
    exact_line,
    exact_total,
    gate,
    waiting_shown,
    zeros_shown,
)

RELEASE, BETWEEN, DAY = Moment(), Moment(release=False), Moment(day_ends=True)
NIGHT = Moment(day_ends=True, known_empty=True)
REDRAWN = Moment(brackets=brackets(1), minimum=2)


def lowered(moment_is_release: bool = True) -> Moment:
    """The end of a window after which a minimum of 3 becomes 2, for one bracket."""
    return Moment(release=moment_is_release, brackets=brackets(1), minimum=2)


@dataclass(frozen=True)
class Case:
    """truth: the most visits a pair in the worlds judged; caps: in their alternatives, by window."""

    name: str
    machine: Machine
    plan: Sequence[Moment]
    caps: Sequence[int]
    truth: int
    minimum: int
    all_sets: bool = True

    def attack(self) -> Findings:
        worlds = every_world(self.machine, self.plan, self.caps)
        return attack(worlds, self.machine.cells, self.minimum, self.truth, all_sets=self.all_sets)


QUICK = (
    Case("3 windows, 2 cells, minimum 2", gate(2, 2), (RELEASE, RELEASE, DAY), (6, 6, 6), 4, 2),
    Case("2 windows, 3 cells, minimum 2", gate(2, 3), (RELEASE, DAY), (6, 6), 4, 2),
    Case("2 windows between releases, minimum 2", gate(2, 3), (BETWEEN, DAY), (3, 3), 2, 2),
    Case("a day's end between, minimum 2", gate(2, 3), (DAY, DAY), (6, 6), 4, 2),
    Case("a night between two days", gate(2, 3), (DAY, NIGHT, RELEASE), (4, 0, 6), 3, 2),
    Case("closed before the day ends", gate(3, 3), (RELEASE, NIGHT), (8, 0), 4, 3),
    Case("brackets joined, minimum 3", gate(3, 4), (DAY,), (8,), 4, 3),
    Case("two zones", Zones((gate(2, 2), gate(2, 2))), (RELEASE, DAY), (2, 3), 2, 2),
    Case("lowered minimum at a release", gate(3, 2), (lowered(), DAY), (8, 8), 4, 2),
    Case("lowered minimum between", gate(3, 2), (lowered(moment_is_release=False), DAY), (8, 8), 4, 2),
    Case("lowered minimum, two days", gate(3, 2), (lowered(), DAY, DAY), (5, 6, 6), 3, 2),
    Case("a zone goes", Redrawn(gate(2, 2), begins=True), (REDRAWN, DAY), (2, 3), 2, 2),
    Case("a zone comes", Redrawn(gate(2, 2), begins=False), (REDRAWN, DAY), (4, 4), 2, 2),
)

RAISED = Moment(brackets=brackets(1), minimum=3)
CHANGED = Moment(brackets=brackets(2, 30), minimum=2)
CHANGED_AT_NIGHT = Moment(day_ends=True, brackets=brackets(2, 30), minimum=2)
CHANGED_BETWEEN = Moment(release=False, brackets=brackets(2, 30), minimum=2)

LONG = (
    Case("3 windows, 2 cells, minimum 3", gate(3, 2), (RELEASE, RELEASE, DAY), (8, 8, 8), 4, 3),
    Case("2 windows, 3 cells, minimum 3", gate(3, 3), (RELEASE, DAY), (8, 8), 4, 3),
    Case("a day's end between, minimum 3", gate(3, 3), (DAY, DAY), (8, 8), 4, 3),
    Case("3 windows, 3 cells, 2 days", gate(2, 3), (RELEASE, DAY, DAY), (3, 4, 4), 2, 2),
    Case("raised minimum", gate(2, 2), (RAISED, DAY, DAY), (5, 6, 6), 4, 2),
    Case("changed brackets", gate(2, 3), (CHANGED, DAY), (6, 6), 4, 2),
    Case("changed brackets at a day's end", gate(2, 3), (CHANGED_AT_NIGHT, DAY), (6, 6), 4, 2),
    Case("changed brackets, then a night", gate(2, 3), (CHANGED, NIGHT), (6, 0), 4, 2),
    Case("changed brackets between", gate(2, 3), (CHANGED_BETWEEN, DAY), (5, 6), 4, 2),
    Case("brackets joined after a release", gate(2, 4), (RELEASE, DAY), (4, 4), 3, 2),
    Case("brackets joined twice", gate(2, 4), (DAY, DAY), (3, 4), 2, 2),
    Case("brackets joined after a release, minimum 3", gate(3, 4), (RELEASE, DAY), (2, 5), 2, 3),
    Case("two zones, larger", Zones((gate(2, 2), gate(2, 2))), (RELEASE, DAY), (4, 5), 4, 2),
    Case("two groups and other", gate(2, 7), (DAY,), (4,), 3, 2, all_sets=False),
    Case("two groups and other, two days", gate(2, 7), (DAY, DAY), (1, 2), 1, 2, all_sets=False),
)

HALVES = Zones((gate(2, 2), gate(2, 2)))

WRONG = (
    Case("an exact total beside", exact_total(gate(3, 2)), (RELEASE, DAY), (8, 8), 4, 3),
    Case("the number that waits shown", waiting_shown(gate(3, 2)), (RELEASE, DAY), (8, 8), 4, 3),
    Case("a zero beside a null", zeros_shown(gate(3, 2)), (RELEASE, DAY), (8, 8), 4, 3),
    Case("since as the first arrival", FirstArrival(gate(3, 2)), (RELEASE, DAY), (8, 8), 4, 3),
    Case("other without its corner", NoCorner(gate(3, 3)), (DAY,), (8,), 4, 3),
    Case("other that forgets closing time", NightCounts(gate(3, 3)), (RELEASE, NIGHT), (8, 0), 4, 3),
    Case("exact passages between two zones", exact_line(HALVES), (RELEASE,), (4,), 3, 2),
    Case("one draw for two zones", exact_difference(HALVES), (RELEASE,), (4,), 3, 2),
    Case("exact entries of a zone over two", exact_entries(HALVES), (RELEASE,), (4,), 3, 2),
    Case("overlapping zones", Overlapping(gate(3, 2)), (RELEASE,), (8,), 4, 3),
)
