"""The only place where true counts become numbers that may leave the box.

What leaves is made of `ReleasedWindow` and `NoisyCount`, and only the functions of this module make them: the
seal keeps everything else from doing so. mypy refuses any other call, as nothing else has a value of the
seal's type; so does the constructor, with TypeError.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import InitVar, dataclass
from datetime import datetime
from fractions import Fraction

from edge.release.carry_over import UNCLASSIFIED, Released, Waiting, add, release, withheld
from edge.release.noise.sampler import RandomBelow, discrete_laplace
from edge.types import Coverage, WindowCounts, ZoneCounts


class _Seal:
    """Proof of release: a value of this type exists in this module only."""


_SEAL = _Seal()


def _require(seal: _Seal, name: str) -> None:
    if seal is not _SEAL:
        raise TypeError(f"{name}: only edge.release.released makes one")


@dataclass(frozen=True, slots=True)
class ReleasedWindow:
    """Place, time and coverage of a zone's window, and what is released of its visits by age.

    epsilon: of the noise of each cell; None where the threshold releases them.
    """

    site: str
    camera_id: str
    zone: str
    start: datetime
    end: datetime
    coverage: Coverage
    cells: Released
    epsilon: Fraction | None
    seal: InitVar[_Seal]

    def __post_init__(self, seal: _Seal) -> None:
        _require(seal, "ReleasedWindow")


@dataclass(frozen=True, slots=True)
class NoisyCount:
    """A count with noise. epsilon: of the noise; None where the gate is off and the count is the true one."""

    value: int
    epsilon: Fraction | None
    seal: InitVar[_Seal]

    def __post_init__(self, seal: _Seal) -> None:
        _require(seal, "NoisyCount")

    def __add__(self, other: NoisyCount) -> NoisyCount:
        """The sum of what was released of disjoint visits; the epsilon is that of each part."""
        return NoisyCount(self.value + other.value, self.epsilon, seal=_SEAL)


def release_window(
    window: WindowCounts,
    zone: str,
    waiting: Waiting,
    *,
    releases: bool,
    day_ends: bool,
    store_closed: bool = False,
) -> tuple[ReleasedWindow, Waiting]:
    """Let a zone's visits of a closed window wait, and release what may leave at its end; and what waits on.

    releases: the window's end is a release moment. day_ends: it is the end of the store's day as well.
    store_closed: for all of the window. Readers take such a window for empty, and one without pictures.
    """
    known_empty = store_closed or not window.coverage.seconds
    waiting = add(waiting, cells_of(window.zones[zone]), known_empty=known_empty)
    if not (releases or day_ends):
        return _released(window, zone, withheld(waiting.brackets, waiting.minimum), None), waiting
    cells, waiting = release(waiting, window.end, day_ends=day_ends)
    return _released(window, zone, cells, None), waiting


def released_with_noise(
    window: WindowCounts, zone: str, cells: Mapping[str, NoisyCount] | None, epsilon: Fraction | None
) -> ReleasedWindow:
    """A zone's cells, `UNCLASSIFIED` among them, with noise; None: the budget refuses them."""
    if cells is None:
        return _released(window, zone, withheld(window.brackets, 1), None)
    values: dict[str, int | None] = {cell: n.value for cell, n in cells.items()}
    unclassified = values.pop(UNCLASSIFIED)
    return _released(window, zone, Released(values, unclassified, minimum=1), epsilon)


def noisy_count(count: int, epsilon: Fraction, random_below: RandomBelow, *, most: int = 1) -> NoisyCount:
    """A true count with noise. most: what one visit adds to it at most."""
    return NoisyCount(count + discrete_laplace(epsilon / most, random_below), epsilon, seal=_SEAL)


def exact_count(count: int) -> NoisyCount:
    """A true count without noise, for a gate that is off."""
    return NoisyCount(count, None, seal=_SEAL)


def cells_of(zone: ZoneCounts) -> dict[str, int]:
    """The zone's true counts by cell."""
    return {**zone.counts, UNCLASSIFIED: zone.unclassified}


def _released(window: WindowCounts, zone: str, cells: Released, epsilon: Fraction | None) -> ReleasedWindow:
    return ReleasedWindow(
        window.site,
        window.camera_id,
        zone,
        window.start,
        window.end,
        window.coverage,
        cells,
        epsilon,
        seal=_SEAL,
    )
