"""The error of the box's visitors by what a person counted in the same time, with its interval.

An audit has rounds. In each one a person counts the visitors before the box shows its number, and the two are
compared: those that the box is short of were missed, those beyond are extra. A missed and an extra visitor of
one round cancel and are not seen. Where the rounds vary by more than their differences explain, that many are
added to both (the variance of a ratio over its clusters; Cochran 1977, "Sampling techniques", 6.3).

The error is extra less missed, as a share of the visitors that the person counted. `missed` is a number of
them and has the score interval of a proportion (Wilson 1927, "Probable inference, the law of succession, and
statistical inference"); `extra` has no upper limit and has the score interval of a Poisson rate (Rao 1948).
Both stay within their range and hold their level with few visits and with no error at all, where the normal
interval is empty. The interval of the difference is made of them by square-and-add (Newcombe 1998, "Interval
estimation for the difference between independent proportions", method 10; for any two rates Zou and Donner
2008). It takes visits for independent of each other; a group that is missed together is not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Self

from pydantic import BaseModel, ConfigDict, NonNegativeInt, model_validator

FEWEST = 30
"""Visitors that the person must have counted before an error is stated."""

FEWEST_ROUNDS = 5
"""Rounds, the same. With one, the interval holds the truth in 80 % of the cases: see `Sums.cancelled`."""

LEVEL = 0.95
"""The probability of an interval."""

MOST = 999
"""Visitors of one round."""

_Z = NormalDist().inv_cdf((1 + LEVEL) / 2)


@dataclass(frozen=True, slots=True)
class Error:
    """Extra less missed visitors as a share of those that were there, and its interval; -1 or more."""

    share: float
    low: float
    high: float


class Sums(BaseModel):
    """The rounds of an audit added up. seen: by the person. counted: by the box.

    squares, products, seen_squares: over rounds with the difference d of box and person and the person's
    number s, the sums of d * d, d * s and s * s.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rounds: NonNegativeInt = 0
    seen: NonNegativeInt = 0
    counted: NonNegativeInt = 0
    missed: NonNegativeInt = 0
    extra: NonNegativeInt = 0
    squares: NonNegativeInt = 0
    products: int = 0
    seen_squares: NonNegativeInt = 0

    @model_validator(mode="after")
    def _fit(self) -> Self:
        """Refuse sums that no rounds have: they were damaged or changed by hand."""
        fits = (
            self.counted - self.seen == self.extra - self.missed
            and self.missed <= self.seen <= self.rounds * MOST
            and self.missed + self.extra <= self.squares
            and self.seen <= self.seen_squares
            and self.products**2 <= self.squares * self.seen_squares
        )
        if not (fits and (self.rounds or not self.counted)):
            raise ValueError("sums that do not belong together")
        return self

    def with_round(self, seen: int, counted: int) -> Sums:
        """These and one more round."""
        difference = counted - seen
        return Sums(
            rounds=self.rounds + 1,
            seen=self.seen + seen,
            counted=self.counted + counted,
            missed=self.missed + max(-difference, 0),
            extra=self.extra + max(difference, 0),
            squares=self.squares + difference**2,
            products=self.products + difference * seen,
            seen_squares=self.seen_squares + seen**2,
        )

    @property
    def cancelled(self) -> float:
        """How many missed visitors, and as many extra ones, the spread of the rounds shows beside these."""
        if self.rounds < 2 or not self.seen:
            return 0.0
        share = (self.counted - self.seen) / self.seen
        spread = self.squares - 2 * share * self.products + share**2 * self.seen_squares
        wrong = spread * self.rounds / (self.rounds - 1)
        return max((wrong - self.missed - self.extra) / 2, 0.0)

    @property
    def is_enough(self) -> bool:
        """Whether an error is stated."""
        return self.seen >= FEWEST and self.rounds >= FEWEST_ROUNDS

    @property
    def error(self) -> Error | None:
        """The error of the box; None where too little was counted."""
        if not self.is_enough:
            return None
        hidden = min(self.cancelled, self.seen - self.missed)
        return error_of(self.missed + hidden, self.extra + hidden, self.seen)

    @property
    def reason(self) -> str | None:
        """Why no error is stated; None where one is."""
        if self.is_enough:
            return None
        so_far = f"{self.rounds} round{'' if self.rounds == 1 else 's'} so far"
        return f"no error is stated below {FEWEST} visitors and {FEWEST_ROUNDS} rounds; {so_far}"


def error_of(missed: float, extra: float, seen: int) -> Error:
    """The error with its interval. seen: above 0; missed: at most `seen`."""
    share_missed, share_extra = missed / seen, extra / seen
    missed_low, missed_high = _of_proportion(missed, seen)
    extra_low, extra_high = _of_rate(extra, seen)
    share = share_extra - share_missed
    below = math.hypot(share_extra - extra_low, missed_high - share_missed)
    above = math.hypot(extra_high - share_extra, share_missed - missed_low)
    return Error(share, max(share - below, -1.0), share + above)


def _of_proportion(found: float, of: int) -> tuple[float, float]:
    """Wilson's interval of `found` among `of`."""
    middle = (found + _Z**2 / 2) / (of + _Z**2)
    half = _Z / (of + _Z**2) * math.sqrt(found * (of - found) / of + _Z**2 / 4)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def _of_rate(found: float, of: int) -> tuple[float, float]:
    """The score interval of a Poisson rate: `found` events for each of `of`."""
    middle, half = found + _Z**2 / 2, _Z * math.sqrt(found + _Z**2 / 4)
    return max((middle - half) / of, 0.0), (middle + half) / of
