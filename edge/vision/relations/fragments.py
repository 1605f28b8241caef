"""Which tracks go on where another one was lost: with `[missed]` such a fragment is not missed again.

Only places and times are compared. A track that a frame shows beside another is somebody else, and each track
is continued by one at most: somebody who stands in view hides one missed person and not all who pass.

So one track more or less changes two numbers of missed at most (`QUANTITIES["missed"].most`): its own, and
that of a track that goes on from it; or, where it continues another itself, those of two tracks that go on
from it and from the other. A visit and all missed tracks that go on from each other with it change as many.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from edge.vision.relations.reentry import Sights, near


class Fragments:
    """The tracks of one camera that another may continue. within: seconds from the last sight of the one to
    the first of the other; a track that the tracker still waits for, as somebody hides it, has no such limit.
    """

    def __init__(self, within: float) -> None:
        self._within = timedelta(seconds=within)
        self._open: list[Sights] = []

    def begin(self, sights: Sights) -> Sights | None:
        """Take a track at its first sight, when all older ones have their sights of this frame; the one that
        it continues. `sights` may grow while the track lives.
        """
        found = [one for one in self._open if self._continues(one, sights)]
        continued = max(found, key=lambda one: one.end, default=None)
        if continued:
            self._open.remove(continued)
        self._open.append(sights)
        return continued

    def replace(self, piece: Sights, sights: Sights) -> None:
        """The track of these sights turned out to be a piece of this one's, which goes on in its place."""
        self._open = [sights if one is piece else one for one in self._open if one is not sights]

    def pass_time(self, now: datetime) -> None:
        """Forget tracks that were seen too long ago, or later than now, as the clock was set back."""
        self._open = [
            one for one in self._open if not one.ended or timedelta(0) <= now - one.end <= self._within
        ]

    def forget(self) -> None:
        """Forget all: the picture shows another place."""
        self._open = []

    def _continues(self, one: Sights, other: Sights) -> bool:
        """Whether `other` began soon after `one` was lost, at its place and of its size."""
        apart = other.begin - one.end
        soon = timedelta(0) < apart and (not one.ended or apart <= self._within)
        return soon and near(one.last, other.first)
