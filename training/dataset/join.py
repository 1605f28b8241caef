"""Several data sets as one: the same photo in two of them stays on one side of the split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import ConfigurationError
from edge.ops.terminal import Progress, silent
from edge.types import Image
from training.dataset.prepare import Prepared, cut
from training.dataset.split import PARTS
from training.dataset.survey import Survey, photos, survey
from training.provenance import AND

Groups = NDArray[np.intp]

DATA_SET = "data set"
"""The trait of joined data that names the set of each picture, so that reports show each set by itself."""


@dataclass(frozen=True, slots=True, eq=False)
class JoinedCrops:
    """The crops of several data sets in one row; each set stays in its own file.

    sets: uint8 (N, S, S, 3) each. starts: int (len(sets) + 1,), the first index of each, and the end.
    """

    sets: Sequence[Image]
    starts: NDArray[np.intp]

    @classmethod
    def of(cls, sets: Sequence[Image]) -> JoinedCrops:
        return cls(sets, np.cumsum([0, *(len(crops) for crops in sets)]))

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __getitem__(self, index: int) -> Image:
        """One crop, uint8 (S, S, 3); IndexError beyond the end."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        place = int(np.searchsorted(self.starts, index, side="right")) - 1
        return np.asarray(self.sets[place][index - self.starts[place]])

    def __iter__(self) -> Iterator[Image]:
        return (self[index] for index in range(len(self)))


def prepare_all(
    folders: Sequence[Path], *, size: int, scale: float, cache: Path, seed: int, progress: Progress = silent
) -> Prepared:
    """Crops of the faces in all `folders`, as `training.dataset.prepare` makes them of one.

    Each set is split by itself, so that its parts are the same as without the others; photos that two sets
    share go to the part that is furthest from training. Raises ConfigurationError as `prepare` does, and
    where a folder is named twice.
    """
    found = survey_all(folders, cache, progress)
    return cut_all(found, size=size, scale=scale, cache=cache, seed=seed, progress=progress)


def survey_all(folders: Sequence[Path], cache: Path, progress: Progress = silent) -> list[Survey]:
    """What each folder holds; ConfigurationError as `survey`, and where a folder is named twice."""
    _require_different(folders)
    return [survey(folder, cache, progress) for folder in folders]


def cut_all(
    found: Sequence[Survey],
    *,
    size: int,
    scale: float,
    cache: Path,
    seed: int,
    progress: Progress = silent,
    test_only: bool = False,
) -> Prepared:
    """As `prepare_all`, for data sets that were looked at already; test_only: as for `prepare`."""
    sets = [
        cut(one, size=size, scale=scale, cache=cache, seed=seed, progress=progress, test_only=test_only)
        for one in found
    ]
    if len(sets) == 1:
        return sets[0]
    by_key = [{seen.key: seen for seen in one.seen} for one in found]
    seen = [own[str(key)] for own, one in zip(by_key, sets, strict=True) for key in one.keys]
    return _joined(sets, [one.folder.resolve().name for one in found], photos(seen))


def _require_different(folders: Sequence[Path]) -> None:
    names = [folder.resolve() for folder in folders]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigurationError(f"data.sets: the folder {twice} is named twice; name each once")


def _joined(sets: Sequence[Prepared], names: Sequence[str], groups: Groups) -> Prepared:
    split = apart(np.concatenate([one.split for one in sets]), groups)
    return Prepared(
        crops=JoinedCrops.of([np.asarray(one.crops) for one in sets]),
        low=np.concatenate([one.low for one in sets]),
        high=np.concatenate([one.high for one in sets]),
        traits={**_traits(sets), DATA_SET: np.repeat(names, [len(one) for one in sets])},
        split=split,
        keys=np.concatenate([one.keys for one in sets]),
        source=", ".join(one.source for one in sets),
        terms=AND.join(f"{one.source}: {one.terms}" for one in sets),
        files=np.concatenate([one.files for one in sets]),
        groups=groups,
        sets=np.repeat(np.arange(len(sets)), [len(one) for one in sets]),
        faults=[
            replace(fault, name=f"{name}: {fault.name}")
            for name, one in zip(names, sets, strict=True)
            for fault in one.faults
        ],
        set_splits=tuple(one.split_hash() for one in sets),
    )


def apart(split: NDArray[np.str_], groups: Groups) -> NDArray[np.str_]:
    """The split with each group in one part: of its members' parts the one furthest from training, (N,)."""
    ranks = np.array([PARTS.index(part) for part in split.tolist()])
    furthest = np.zeros(int(groups.max()) + 1, np.intp)
    np.maximum.at(furthest, groups, ranks)
    return np.array(PARTS, dtype="U10")[furthest[groups]]


def _traits(sets: Sequence[Prepared]) -> dict[str, NDArray[np.str_]]:
    names = dict.fromkeys(name for one in sets for name in one.traits)
    return {
        name: np.concatenate([one.traits.get(name, np.full(len(one), "")) for one in sets]) for name in names
    }
