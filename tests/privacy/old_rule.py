"""The rule of version 0.1.0, for comparison: small counts are withheld, with what would give them away.

The rule, for the cells of one window (every bracket, and the unclassified) and their published total:

1. A cell of 1 to `threshold - 1` visitors is withheld. Zero is published: nobody contributed to it, and an
   empty window must not look like an outage.
2. The withheld cells may stand beside the total only if their sum, which anyone can work out, leaves every
   one of them open: two cells or more, `threshold` visitors or more, and not a sum at which all must be 1 or
   all must be `threshold - 1`.
3. Where it does not, all cells of the smallest visible size are withheld too; where no such cell is visible,
   the total is withheld instead, and every cell with it, the zeros too: where one visitor was all there were,
   the zeros would tell the bracket. So of fewer visitors than the threshold nothing is told but that there
   were some.

Step 1 is the threshold rule of official statistics, where 3 and 5 are usual; steps 2 and 3 are its
complementary suppression, against readers who subtract the parts from the total.

Why nobody can work a withheld cell out, even knowing this rule: it treats all cells alike, so exchanging
withheld values gives the same release; only values that are all equal could be certain. Values `v, v, ...`
released by step 2 have `1 < v < threshold - 1`, and `v - 1, v + 1, ...` is released the same. Step 3 mixes
values below the threshold with others that are not, or gives nothing at all. Two details follow from this:
cells of equal size go together (to pick one of them by its place would break the symmetry, and does leak),
and a minimum of 2 is raised to 3, since nothing but 1 lies below 2. The windows of one camera do not overlap,
so they cannot be subtracted from each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge.types import ZoneCounts

_SMALLEST_THRESHOLD = 3


@dataclass(frozen=True, slots=True)
class ReleasedCounts:
    """The counts of one window as they may be published; None is withheld.

    counts: by bracket, in the window's order. minimum: the threshold that was applied; 1 withholds nothing.
    """

    counts: Mapping[str, int | None]
    unclassified: int | None
    total: int | None
    minimum: int


def release(zone: ZoneCounts, minimum: int) -> ReleasedCounts:
    """What of `zone` may be published when fewer than `minimum` (1 or more) visitors must not show.

    A `minimum` of 2 works as 3. Raises ValueError for a minimum below 1.
    """
    if minimum < 1:
        raise ValueError(f"minimum = {minimum}: must be 1 or more")
    threshold = 1 if minimum == 1 else max(minimum, _SMALLEST_THRESHOLD)
    cells = (*zone.counts.values(), zone.unclassified)
    withheld, total_visible = _withheld(cells, threshold)
    if not total_visible:
        withheld = [True] * len(cells)
    visible = [None if withheld[i] else n for i, n in enumerate(cells)]
    return ReleasedCounts(
        counts=dict(zip(zone.counts, visible[:-1], strict=True)),
        unclassified=visible[-1],
        total=zone.total if total_visible else None,
        minimum=threshold,
    )


def _withheld(cells: Sequence[int], threshold: int) -> tuple[list[bool], bool]:
    """Which cells are withheld, and whether the total may be published."""
    small = [0 < n < threshold for n in cells]
    if not any(small) or _open([n for n in cells if 0 < n < threshold], threshold):
        return small, True
    large = [n for n in cells if n >= threshold]
    if not large:
        return small, False
    return [hidden or n == min(large) for hidden, n in zip(small, cells, strict=True)], True


def _open(small: Sequence[int], threshold: int) -> bool:
    """Whether the sum of these cells, all of them 1 to `threshold - 1`, leaves each of them uncertain."""
    lowest, highest = len(small), len(small) * (threshold - 1)
    return len(small) >= 2 and sum(small) >= threshold and lowest < sum(small) < highest
