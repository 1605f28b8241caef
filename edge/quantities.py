"""The numbers that are published of visits: their names, and the most that one visit adds to them.

A quantity has cells. A cell belongs to a part, such as a line or a zone; a histogram has one cell for each
step of a part. The noise that hides a visit rests on two bounds: a visit is in one cell of a part at most,
and adds no more than `most` to it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

VISITS, IN, OUT, AGES = "visits", "in", "out", "ages"
ZONES, DWELL, QUEUE, WAITING = "zones", "dwell", "queue", "waiting"
ATTENTION, GROUPS = "attention", "groups"
MISSED = "missed"
AGES_BY_DWELL, AGES_BY_ATTENTION = "ages by dwell", "ages by attention"

CROSSED: Mapping[str, str] = {DWELL: AGES_BY_DWELL, ATTENTION: AGES_BY_ATTENTION}
"""The quantities that may be crossed with ages, and what comes of it: by zone, a bracket's visits by step."""

UNCLASSIFIED = "unclassified"
"""The cell of the visits without an age, beside those of the brackets."""

LOOKED = "looked"
"""The one part of attention: a camera has one target."""

MEMBERS = "members"
"""The one part of groups."""


class Missed(StrEnum):
    """Why a track was no visit, though it may have been a visitor: the cells of `MISSED`."""

    BRIEF = "brief"
    """Seen in fewer frames than `tracking.confirm_hits`."""
    SMALL = "small"
    """Never larger than 24 pixels, nor than one and a half `detection.min_face`."""
    UNCLEAR = "unclear"
    """In most looks both face models saw eyes, nose and mouth in the same places, but not well enough."""
    TURNED = "turned"
    """In most looks they did not: a head from behind or the side, one blurred beyond that, or a thing."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """How a quantity is counted and published.

    joint: one visit may be in several parts, `limit` at most; otherwise it is in one cell of one part. most:
    what a visit adds to a cell at most. bounds: the lower bounds of a histogram's steps, ascending, the last
    one open above. by_window: a number is published for every window as well as for every hour and day.
    """

    joint: bool = False
    limit: int = 8
    most: int = 1
    bounds: tuple[int, ...] = ()
    by_window: bool = False

    def step(self, value: float) -> int:
        """The lower bound of the step that holds a value; the first one also for smaller values."""
        return self.bounds[max(bisect_right(self.bounds, value) - 1, 0)]

    def cells(self, parts: Iterable[str]) -> tuple[str, ...]:
        """All cells of these parts."""
        if not self.bounds:
            return tuple(parts)
        return tuple(cell_of(part, step) for part in parts for step in self.bounds)

    def parts_of_visit(self, cells: Iterable[str]) -> int:
        """Of how many parts among these cells one visit may be a member: they share its epsilon."""
        return min(len({part_of(cell) for cell in cells}), self.limit) if self.joint else 1


_DWELL = (0, 5, 15, 30, 60, 120, 300, 600)
_ATTENTION = (0, 1, 2, 5, 10, 30)

QUANTITIES: Mapping[str, Quantity] = {
    VISITS: Quantity(by_window=True),
    AGES: Quantity(by_window=True),
    IN: Quantity(joint=True, by_window=True),
    OUT: Quantity(joint=True, by_window=True),
    ZONES: Quantity(joint=True, limit=3),
    DWELL: Quantity(bounds=_DWELL),
    QUEUE: Quantity(joint=True, limit=3, most=300),
    WAITING: Quantity(joint=True, limit=3, bounds=(0, 30, 60, 120, 180, 300, 600)),
    ATTENTION: Quantity(bounds=_ATTENTION),
    GROUPS: Quantity(bounds=(1, 2, 3, 4, 5), most=5),
    MISSED: Quantity(most=2),
    AGES_BY_DWELL: Quantity(bounds=_DWELL),
    AGES_BY_ATTENTION: Quantity(bounds=_ATTENTION),
}
"""By name. The visits that entered a zone; the time that a visit spent in its own zone, in seconds; the
person-seconds spent in a queue; the time that a visit spent in a queue, in seconds; the time that a visit
looked at the camera's target, in seconds; groups by how many came together, of which a visit more or less
changes five at most (`edge.vision.relations.groups`); tracks that were no visits, each in one cell by its
reason, of which a track more or less, or a visit and all that go on from each other with it, changes two at
most (`edge.vision.relations.fragments`)."""


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one visit adds to one cell of a quantity. amount: 1 to `Quantity.most`."""

    quantity: str
    cell: str
    amount: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.amount <= QUANTITIES[self.quantity].most:
            raise ValueError(f"{self.quantity} of {self.cell!r}: a visit adds {self.amount}")


def cell_of(part: str, step: int) -> str:
    """The cell of a histogram's step; the names of parts hold no `/`."""
    return f"{part}/{step}"


def crossed_cell(zone: str, bracket: str | None, step: int) -> str:
    """The cell of the visits of a zone and a bracket (None: without an age) in one step."""
    return cell_of(f"{zone}/{bracket or UNCLASSIFIED}", step)


def step_of(cell: str) -> int:
    """The lower bound of the step that a histogram's cell counts."""
    return int(cell.rpartition("/")[2])


def part_of(cell: str) -> str:
    """The part that a cell belongs to."""
    return cell.partition("/")[0]


def require_bounded(contributions: Iterable[Contribution]) -> None:
    """Raise ValueError unless one visit may add all of these: the noise would hide less than promised."""
    found: dict[str, list[str]] = {}
    for one in contributions:
        found.setdefault(one.quantity, []).append(part_of(one.cell))
    for quantity, parts in found.items():
        kind = QUANTITIES[quantity]
        if len(set(parts)) < len(parts) or len(parts) > (kind.limit if kind.joint else 1):
            raise ValueError(f"{quantity}: a visit is in too many cells, of the parts {parts}")
