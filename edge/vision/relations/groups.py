"""Who came together: visits that began within two seconds of each other and stayed near each other.

Groups are runs of visits in the order in which they came into view: each visit of a run began within
`TOGETHER` of the one before it and stayed near it. A group is known once everybody of it has left, or has
stayed for `tracking.max_age`, and nobody can belong to it any more. Only sizes leave this module.

One visit more or less changes the groups by little, which is what their noise is drawn for. Without it the
run that it was in loses one or falls into two, or the two beside it become one; and groups that waited for it
are known earlier. At most three groups with it stand against two without it: five changes
(`QUANTITIES["groups"].most`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

from edge.geometry import Box, distance, mean_side
from edge.types import GroupEnded

TOGETHER = timedelta(seconds=2)
"""Between the first sights of two visits that follow each other."""

NEAR = 4.0
"""Face sizes between two faces of a group: shoulder to shoulder are three."""

GROWTH = 0.5
"""E-folds by which the faces may differ in size: a child's is smaller, and one may be a step behind."""

MOSTLY = 0.5
"""Share of the frames that show both in which they are near."""


@dataclass(slots=True, eq=False)
class _Came:
    """A visit in the order of coming.

    left: its last sight, once it has ended or lasted for `tracking.max_age`. member: whether it was counted.
    known: its group has been sent.
    beside: by an earlier visit's id, the frames that show both, and those in which they are near.
    """

    track_id: int
    begin: datetime
    left: datetime | None = None
    member: bool = False
    known: bool = False
    beside: dict[int, tuple[int, int]] = field(default_factory=dict)

    def note(self, before: _Came, near: bool) -> None:
        """Take a frame that shows both."""
        if self.begin - before.begin <= TOGETHER:
            seen, together = self.beside.get(before.track_id, (0, 0))
            self.beside[before.track_id] = seen + 1, together + near

    def may_follow(self, before: _Came) -> bool:
        """Whether it came with the visit before it, as far as that is known."""
        if self.begin - before.begin > TOGETHER:
            return False
        seen, together = self.beside.get(before.track_id, (0, 0))
        return self.left is None or before.left is None or together > MOSTLY * seen


class Groups:
    """The visits of one camera that may still be in a group; none unless it is enabled."""

    def __init__(self, camera: str, *, enabled: bool) -> None:
        self._camera = camera
        self._enabled = enabled
        self._came: dict[int, _Came] = {}
        self._overdue: set[int] = set()

    def see(self, tracks: Sequence[tuple[int, Box]], at: datetime) -> None:
        """Take the ids and boxes of all tracks that a frame shows."""
        if not self._enabled:
            return
        open_tracks = [(track_id, box) for track_id, box in tracks if track_id not in self._overdue]
        for number, (track_id, box) in enumerate(open_tracks):
            one = self._came.setdefault(track_id, _Came(track_id, at))
            for other_id, other in open_tracks[:number]:
                first, second = sorted((self._came[other_id], one), key=lambda came: came.track_id)
                second.note(first, _are_near(other, box))

    def settle(self, track_id: int, seen: datetime, *, counted: bool) -> None:
        """A live track has lasted for `tracking.max_age`: to its group it has left. Once is enough."""
        if self._enabled and track_id not in self._overdue:
            self.end(track_id, seen, counted=counted)
            self._overdue.add(track_id)

    def end(self, track_id: int, left: datetime, *, counted: bool) -> None:
        """A track has ended, as a visit that was counted or not."""
        if track_id in self._overdue:
            self._overdue.remove(track_id)
        elif one := self._came.get(track_id):
            one.left, one.member = left, counted

    def complete(self, now: datetime | None) -> Iterator[GroupEnded]:
        """The groups that are known by now; None: nobody comes any more."""
        runs = self._runs()
        for run in runs:
            last_may_grow = (
                run is runs[-1] and now is not None and timedelta(0) <= now - run[-1].begin <= TOGETHER
            )
            ends = [one.left for one in run if one.left is not None]
            if len(ends) == len(run) and not run[0].known and not last_may_grow:
                yield GroupEnded(self._camera, max(ends), len(run))
                for one in run:
                    one.known = True
        self._forget()

    def _runs(self) -> list[list[_Came]]:
        """Visits that came together, those of which it is not known yet included."""
        possible = [one for one in self._came.values() if one.left is None or one.member]
        runs = [possible[:1]] if possible else []
        for before, one in pairwise(possible):
            if one.may_follow(before):
                runs[-1].append(one)
            else:
                runs.append([one])
        return runs

    def _forget(self) -> None:
        """Forget the visits that cannot change a group: their own is known, and none is open that began up to
        `TOGETHER` before them, which they keep apart from those after them.
        """
        open_since: datetime | None = None
        for track_id, one in list(self._came.items()):
            if one.left is None or (one.member and not one.known):
                open_since = one.begin
            elif not one.member or open_since is None or one.begin - open_since > TOGETHER:
                del self._came[track_id]


def _are_near(one: Box, other: Box) -> bool:
    before, after = mean_side(one), mean_side(other)
    is_close = distance(one, other) <= NEAR * math.sqrt(before * after)
    return is_close and abs(math.log(after / before)) <= GROWTH
