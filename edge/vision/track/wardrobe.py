"""What the visitors of all tracks wear: whole, as far as nobody nearer hides it, and by its patches."""

from __future__ import annotations

from edge.vision.clothes import PATCHES, Outfits
from edge.vision.track.motion import Bools, Floats, Indices
from edge.vision.track.sightings import Sightings


class Wardrobe:
    """The clothes of N tracks, one row each, in three tables that always have the same rows."""

    def __init__(self) -> None:
        self._whole, self._parts, self._patches = Outfits(), Outfits(), Outfits(PATCHES)

    def start(self, seen: Sightings) -> None:
        """Add a row for each of the faces seen."""
        self._whole.start(seen.worn)
        self._parts.start(seen.parts)
        self._patches.start(seen.patches)

    def add(self, rows: Indices, seen: Sightings) -> None:
        """Take one sight of each of these rows, (M,), from the faces seen, (M,)."""
        self._whole.add(rows, seen.worn)
        self._parts.add(rows, seen.parts)
        self._patches.add(rows, seen.patches)

    def keep(self, rows: Bools) -> None:
        """Forget all rows but those where this mask (N,) is true."""
        for table in (self._whole, self._parts, self._patches):
            table.keep(rows)

    @property
    def known(self) -> Bools:
        """Of whom at least a part was seen, (N,)."""
        return self._parts.known

    @property
    def sights(self) -> Indices:
        """In how many sights enough patches of each were seen, (N,)."""
        return self._patches.sights

    def unlike(self, seen: Sightings, by_parts: Bools) -> Floats:
        """How unlike each row M faces are dressed, (N, M), see `Outfits.unlike`.

        by_parts: (N,), of which rows a part is compared, where the whole may be half hidden.
        """
        unlike = self._whole.unlike(seen.worn)
        if by_parts.any():
            unlike[by_parts] = self._parts.unlike(seen.parts)[by_parts]
        return unlike

    def alike(self, row: int) -> Bools:
        """Which rows wear the same as this one, by their patches, (N,)."""
        return self._patches.unlike(self._patches.means[row][None])[:, 0] < 1
