"""Carry-over: ages leave the box in sets of at least `minimum` visits; smaller ones wait until they grow.

The rule, for one camera and zone; `m` is the minimum, a cell is a bracket or the unclassified:

1. Visits wait in their cell. At a release moment each cell in which m or more wait is released, whole, with
   `since` = the end of its last release. Nothing is said of the other cells: no zero, no total.
2. At the end of the store's day neighbouring brackets are joined (see `joined_brackets`): what waits in such
   a group is released as one number G where `m <= G <= room - (m - 1)`. `room` is the most that can wait
   there, as everybody can work out: m - 1 for each cell, 0 for one that is known to be empty (released at
   this moment, or nobody can have come since).
3. What then waits is released as one number S, `other`, where `t <= S <= room - (t - 1)`. Each cell or group
   that did not leave by step 2 counts as one part with a room of at most m - 1. `t` is the largest minimum
   under which any of it was counted. Otherwise all of it waits on into the next day.
4. A changed minimum, changed brackets or a zone that is gone closes the old state: its visits become the
   `leftover`, which leaves in an `other` only. It is a further part in step 3; its room is that of its cells,
   which has no limit where windows closed since their last release moment.

Theorem. Let m be 2 or more, and let a reader know this rule and everything that it released, with the windows
in which nobody can have come (no frame analysed, store closed). If the sum of visits over some set P of pairs
(cell, window) is the same in every history with these releases, then P is a union of whole released sets and
of pairs in which nobody can have come. So each sum that can be worked out is a sum of released numbers, each
of them at least m; no smaller count and no zero can be worked out, neither of a cell, nor of windows, nor of
any other set.

Proof. Leave out the pairs in which nobody can have come.
  The base history puts the visits of each released cell into the last period before its release, and those of
each group and `other` into windows after the previous day's end, or into the leftover, each part within its
room; all else is empty. It has the same releases: each cell holds nothing at the moments that passed it by,
and at each day's end all that stayed holds nothing.
  One visit may stand at any pair of a released set instead: then one visit waits where none did, at most,
and 1 < m, 1 < t. So let P contain the pair a and not the pair b of one released set. Put one visit of the set
at a, or the same visit at b, and the others as in the base history with a place free in the parts of a and b;
for a group or `other` this takes `S - 1 <= room - 2`, which step 3 grants. Both histories have the same
releases, and the sums over P differ by one.
  If P contains a pair of no released set, one visit more at that pair changes no release and the sum by one.
Hence a constant sum takes each released set whole or not at all, and nothing else.
  Several zones and cameras are independent: a visit is in one cell of one of them. QED.

Moreover no part of a group or an `other` is known to hold anybody: `S <= room - (t - 1)` lets each part be
empty. What a reader does learn are bounds: a cell that is passed by holds m - 1 or fewer, and of v visits
released at least v - (m - 1) came in the last period. Every rule with a threshold says this much.

Two more things that the proof shows: a minimum of 2 is as safe as 3 against this reader, and step 3 would
determine nothing up to `room - 1`; it stops at `room - (t - 1)` so that no visitor's presence is revealed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from pydantic import AwareDatetime, BaseModel, ConfigDict, NonNegativeInt, PositiveInt

from edge import quantities
from edge.brackets import parse_bracket

UNCLASSIFIED = quantities.UNCLASSIFIED
"""The cell of the visits without an age."""

_SMALLEST_GROUP = 3
"""Two cells of at most m - 1 never hold m visits with room for one of them to be empty."""

Room = NonNegativeInt | None
"""The most that can wait somewhere, as every reader can work out. None: there is no limit."""


class Waiting(BaseModel):
    """What waits for its release in one camera and zone. Counts only; it is kept on the box's disk.

    cells: how many visits wait, by bracket and `UNCLASSIFIED`, which is the last.
    since: by cell, the end of its last release, or the start of counting; UTC.
    room: by cell, the most that can have come since its last release and since the last day's end.
    leftover: visits of closed states; `leftover_room` is their room, `leftover_minimum` the largest minimum
    under which they were counted (1 where there are none).
    minimum: that of this state; 1 withholds nothing.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    cells: dict[str, NonNegativeInt]
    since: dict[str, AwareDatetime]
    room: dict[str, Room]
    leftover: NonNegativeInt = 0
    leftover_room: Room = 0
    leftover_minimum: PositiveInt = 1
    minimum: PositiveInt

    @property
    def brackets(self) -> tuple[str, ...]:
        """The brackets in their order, without the unclassified."""
        return tuple(cell for cell in self.cells if cell != UNCLASSIFIED)


@dataclass(frozen=True)
class Released:
    """What leaves with one window's message.

    counts, unclassified: the released cells; None is "nothing is said", not zero.
    since: of the released cells only; UTC.
    groups: at a day's end, joined brackets by their common label, such as `0-34`; disjoint from the cells.
    other: at a day's end, visits without brackets; disjoint from cells and groups.
    minimum: every number is of at least so many visits; 1: nothing was withheld.
    """

    counts: Mapping[str, int | None]
    unclassified: int | None
    minimum: int
    since: Mapping[str, datetime] = field(default_factory=dict)
    groups: Mapping[str, int] = field(default_factory=dict)
    other: int | None = None

    @property
    def total(self) -> int | None:
        """The sum of the released cells, without `groups` and `other`; None where none was released."""
        numbers = [n for n in (*self.counts.values(), self.unclassified) if n is not None]
        return sum(numbers) if numbers else None


def begin(brackets: Sequence[str], at: datetime, minimum: int) -> Waiting:
    """The state in which nobody waits, counting from `at` (UTC). Raises ValueError for a minimum below 1."""
    if minimum < 1:
        raise ValueError(f"minimum = {minimum}: must be 1 or more")
    cells = (*brackets, UNCLASSIFIED)
    if len(set(cells)) < len(cells):
        raise ValueError(f"brackets = {list(brackets)}: a label occurs twice or is {UNCLASSIFIED!r}")
    return Waiting(
        cells=dict.fromkeys(cells, 0),
        since=dict.fromkeys(cells, at),
        room=dict.fromkeys(cells, 0),
        minimum=minimum,
    )


def add(waiting: Waiting, counts: Mapping[str, int], *, known_empty: bool = False) -> Waiting:
    """Let the true counts of a closed window wait, by cell; a cell that is not named had none.

    known_empty: every reader knows that nobody can have come in the whole window (the camera was down, dark
    or frozen, or the store closed). Visits that came all the same are counted; the rule does not rely on
    them.
    Raises ValueError for an unknown cell or a negative count.
    """
    if unknown := counts.keys() - waiting.cells.keys():
        raise ValueError(f"counts of {sorted(unknown)}: the cells are {', '.join(waiting.cells)}")
    if any(n < 0 for n in counts.values()):
        raise ValueError(
            f"counts of {sorted(cell for cell, n in counts.items() if n < 0)}: must not be negative"
        )
    cells = {cell: n + counts.get(cell, 0) for cell, n in waiting.cells.items()}
    room = waiting.room if known_empty else dict.fromkeys(waiting.cells)
    return waiting.model_copy(update={"cells": cells, "room": room})


def release(waiting: Waiting, at: datetime, *, day_ends: bool) -> tuple[Released, Waiting]:
    """What leaves at the release moment `at` (UTC, a window's end, its counts added), and what waits on.

    day_ends: `at` is also the end of the store's day. With a minimum of 1 every window's end is a release
    moment, and every cell is released, with its zero where it is empty.
    """
    cells = [cell for cell, n in waiting.cells.items() if n >= waiting.minimum or waiting.minimum == 1]
    stayed = _emptied(_passed_by(waiting), cells, at)
    groups: dict[str, int] = {}
    other = None
    if day_ends:
        groups, stayed = _release_groups(stayed, at)
        other, stayed = _release_other(stayed, at)
        stayed = _kept_back(stayed)
    counts = {cell: waiting.cells[cell] if cell in cells else None for cell in waiting.cells}
    unclassified = counts.pop(UNCLASSIFIED)
    since = {cell: waiting.since[cell] for cell in cells}
    return Released(counts, unclassified, waiting.minimum, since, groups, other), stayed


def withheld(brackets: Sequence[str], minimum: int) -> Released:
    """The release of a window between two release moments: nothing is said of any cell."""
    return Released(dict.fromkeys(brackets), None, minimum)


def reshape(waiting: Waiting, brackets: Sequence[str], minimum: int, at: datetime) -> Waiting:
    """The state under these brackets and this minimum, from `at` (UTC) on.

    Where both are as before it is `waiting` itself; else all that waits becomes leftover.
    """
    if waiting.brackets == tuple(brackets) and waiting.minimum == minimum:
        return waiting
    return absorb(begin(brackets, at, minimum), waiting)


def absorb(waiting: Waiting, closed: Waiting) -> Waiting:
    """`waiting` with all visits of `closed` as leftover: of an earlier shape, or of a zone that is gone."""
    rooms = (waiting.leftover_room, closed.leftover_room, *closed.room.values())
    minima = (waiting.leftover_minimum, closed.leftover_minimum, closed.minimum)
    return waiting.model_copy(
        update={
            "leftover": waiting.leftover + closed.leftover + sum(closed.cells.values()),
            "leftover_room": _sum(rooms),
            "leftover_minimum": max(minima),
        }
    )


def joined_brackets(brackets: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The groups of the day's end: neighbouring brackets by their common label.

    As many groups as hold three brackets or more each, of about equal size; none for fewer than three
    brackets. The unclassified are in no group.
    """
    number = len(brackets) // _SMALLEST_GROUP
    ends = [len(brackets) * i // number for i in range(number + 1)] if number else []
    parts = [tuple(brackets[low:high]) for low, high in pairwise(ends)]
    return {_label(part): part for part in parts}


def _label(brackets: Sequence[str]) -> str:
    """`0-34` for `0-12` ... `25-34`; `35+` where the last one is open."""
    first, last = parse_bracket(brackets[0]), parse_bracket(brackets[-1])
    return f"{first.low}+" if last.high is None else f"{first.low}-{last.high}"


def _passed_by(waiting: Waiting) -> Waiting:
    """A release moment limits each cell's room: those that are not released hold less than the minimum."""
    most = waiting.minimum - 1
    room = {cell: most if limit is None else min(limit, most) for cell, limit in waiting.room.items()}
    return waiting.model_copy(update={"room": room})


def _emptied(waiting: Waiting, cells: Iterable[str], at: datetime) -> Waiting:
    """Nobody waits in `cells` any more, as everybody knows."""
    gone = dict.fromkeys(cells, 0)
    return waiting.model_copy(
        update={
            "cells": {**waiting.cells, **gone},
            "since": {**waiting.since, **dict.fromkeys(gone, at)},
            "room": {**waiting.room, **gone},
        }
    )


def _release_groups(waiting: Waiting, at: datetime) -> tuple[dict[str, int], Waiting]:
    """Step 2: the groups that may leave."""
    released = {}
    for label, cells in joined_brackets(waiting.brackets).items():
        number = sum(waiting.cells[cell] for cell in cells)
        if _may_leave(number, _sum(waiting.room[cell] for cell in cells), waiting.minimum):
            released[label] = number
            waiting = _emptied(waiting, cells, at)
    return released, waiting


def _release_other(waiting: Waiting, at: datetime) -> tuple[int | None, Waiting]:
    """Step 3: all that waits, if it may leave."""
    number = sum(waiting.cells.values()) + waiting.leftover
    room = _sum((*_rooms_of_parts(waiting), waiting.leftover_room))
    if not _may_leave(number, room, _threshold(waiting)):
        return None, waiting
    empty = _emptied(waiting, waiting.cells, at)
    return number, empty.model_copy(update={"leftover": 0, "leftover_room": 0, "leftover_minimum": 1})


def _rooms_of_parts(waiting: Waiting) -> list[Room]:
    """A group that did not leave may always hold less than the minimum; more must not be relied on."""
    parts = [*joined_brackets(waiting.brackets).values()]
    grouped = {cell for part in parts for cell in part}
    parts += [(cell,) for cell in waiting.cells if cell not in grouped]
    return [_least(_sum(waiting.room[cell] for cell in part), waiting.minimum - 1) for part in parts]


def _may_leave(number: int, room: Room, threshold: int) -> bool:
    """Whether a sum is large enough and leaves every part of it open, down to none."""
    return number >= threshold and (room is None or number <= room - (threshold - 1))


def _kept_back(waiting: Waiting) -> Waiting:
    """After a day's end readers know that the sum of what stayed did not leave, so it may be below m or t.

    No more than that may be relied on: nothing in the cells, and less than the threshold in the leftover.
    """
    most = _threshold(waiting) - 1
    room = dict.fromkeys(waiting.cells, 0)
    return waiting.model_copy(update={"room": room, "leftover_room": _least(waiting.leftover_room, most)})


def _threshold(waiting: Waiting) -> int:
    """The largest minimum under which any visit of an `other` was counted."""
    return max(waiting.minimum, waiting.leftover_minimum)


def _sum(rooms: Iterable[Room]) -> Room:
    """Without a limit where one of them has none."""
    limits = list(rooms)
    return None if None in limits else sum(limit for limit in limits if limit is not None)


def _least(room: Room, most: int) -> int:
    return most if room is None else min(room, most)
