"""How many are in the store: who came in less who went out, over the entrance lines of a box.

It is computed from the published numbers alone, noise and all, so it reveals nothing beyond them; there is no
count of who is in view. The sum of the day's closed hours, and of the windows since the last of them, has the
least noise: an hour's number has less than its windows have together. The noise adds up over the day.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, NonNegativeFloat

from edge.release.messages import Occupancy
from edge.release.noise.ledger import Level
from edge.release.noise.sampler import mean_error_of_sum
from edge.store_time import StoreTime

if TYPE_CHECKING:
    from edge.release.books.box import FlowSum


class Balance(BaseModel):
    """Who came in less who went out, and the variance of the noise in that. Noise can make it negative."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    inside: int = 0
    variance: NonNegativeFloat = 0.0

    def with_sum(self, one: FlowSum) -> Self:
        """This and one more period; one without a number of the lines adds nothing."""
        if one.entries is None or one.exits is None:
            return self
        inside = self.inside + one.entries - one.exits
        return self.model_copy(update={"inside": inside, "variance": self.variance + one.variance})


class Inside(BaseModel):
    """The store's day so far. hours: of those that have ended. windows: of those after the last hour."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    day: date
    since: AwareDatetime
    hours: Balance = Balance()
    windows: Balance = Balance()

    def with_sum(self, one: FlowSum) -> Self:
        """This and one more window or hour of the same day. An hour takes the place of its windows."""
        if one.level is Level.HOUR:
            return self.model_copy(update={"hours": self.hours.with_sum(one), "windows": Balance()})
        return self.model_copy(update={"windows": self.windows.with_sum(one)})

    @property
    def now(self) -> Occupancy:
        """At the end of what was added last; never below 0."""
        inside = self.hours.inside + self.windows.inside
        error = mean_error_of_sum(self.hours.variance + self.windows.variance)
        return Occupancy(inside=max(0, inside), error=error, since=self.since)


def follow(
    inside: Inside | None, sums: Iterable[FlowSum], time: StoreTime
) -> tuple[list[Occupancy | None], Inside | None]:
    """The occupancy at the end of each of these sums, which are in order of time, and what goes on.

    None: without entrance lines, of a whole day, and of a period whose numbers the budget withholds.
    """
    found: list[Occupancy | None] = []
    for one in sums:
        if one.level is Level.DAY or one.entries is None or one.exits is None:
            found.append(None)
            continue
        day = time.day_of(one.start)
        if inside is None or inside.day != day:
            inside = Inside(day=day, since=one.start)
        inside = inside.with_sum(one)
        found.append(inside.now)
    return found, inside
