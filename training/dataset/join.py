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
from training.dataset.copies import Pairs, grouped
from training.dataset.prepare import Crops, Prepared, cut
from training.dataset.split import PARTS
from training.dataset.survey import Survey, confirmed, likely_copies, survey

Groups = NDArray[np.intp]

DATA_SET = "data set"
"""The trait of joined data that names the set of each picture, so that reports show each set by itself."""


@dataclass(frozen=True, slots=True, eq=False)
class JoinedCrops:
    """The crops of several data sets in one row; each set stays in its own file.

    sets: uint8 (N, S, S, 3) each, of any sizes. starts: int (len(sets) + 1,), the first index of each, and
    the end.
    """

    sets: Sequence[Crops]
    starts: NDArray[np.intp]

    @classmethod
    def of(cls, sets: Sequence[Crops]) -> JoinedCrops:
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


@dataclass(frozen=True, slots=True, eq=False)
class Surveys:
    """The surveys of several data sets, in order.

    photos: int (N,), a number for each picture of all sets in their order; those with the same number show
    the same photo.
    """

    sets: Sequence[Survey]
    photos: Groups


def prepare(
    folders: Sequence[Path],
    *,
    size: int,
    scale: float,
    cache: Path,
    seed: int,
    progress: Progress = silent,
    test_only: bool = False,
) -> Prepared:
    """Crops of `size` px of the labelled faces in all `folders`, each a square of `scale` detector boxes.

    Results for the same pictures are taken from `cache`, also after an interruption. The split
    follows from `seed` and the files' content; with `test_only` everything is 'test'. Each set is split by
    itself, so that its parts are the same as without the others; photos that two sets share go to the part
    that is furthest from training. `terms.txt` in a folder, if there, states the terms of use of its data.
    Raises ConfigurationError when the data cannot be used, when a folder is named twice, and when the disk is
    too small.
    """
    return cut_all(
        survey_all(folders, cache, progress),
        size=size,
        scale=scale,
        cache=cache,
        seed=seed,
        progress=progress,
        test_only=test_only,
    )


def survey_all(folders: Sequence[Path], cache: Path, progress: Progress = silent) -> Surveys:
    """What each folder holds; ConfigurationError as `survey`, and where a folder is named twice."""
    _require_different(folders)
    found = [survey(folder, cache, progress) for folder in folders]
    return Surveys(found, found[0].groups if len(found) == 1 else _photos(found))


def cut_all(
    found: Surveys,
    *,
    size: int,
    scale: float,
    cache: Path,
    seed: int,
    progress: Progress = silent,
    test_only: bool = False,
) -> Prepared:
    """As `prepare`, for data sets that were surveyed already."""
    sets = [
        cut(one, size=size, scale=scale, cache=cache, seed=seed, progress=progress, test_only=test_only)
        for one in found.sets
    ]
    return sets[0] if len(sets) == 1 else _joined(sets, found)


def _photos(found: Sequence[Survey]) -> Groups:
    """`Surveys.photos`: the copies that each survey knows, and those across sets."""
    seen = [picture for one in found for picture in one.seen]
    places = np.repeat(np.arange(len(found)), [len(one.seen) for one in found])
    starts = np.cumsum([0, *(len(one.seen) for one in found)])
    known = [_as_pairs(one.groups, int(start)) for one, start in zip(found, starts[:-1], strict=True)]
    near = likely_copies(seen)
    across = near[places[near[:, 0]] != places[near[:, 1]]]
    return grouped(np.concatenate([*known, confirmed(seen, across)]), len(seen))


def _as_pairs(groups: Groups, start: int) -> Pairs:
    """Each picture of a set with the first one of its group; the set begins at index `start`."""
    _, first, own = np.unique(groups, return_index=True, return_inverse=True)
    return np.column_stack([first[own] + start, np.arange(len(groups)) + start, np.zeros_like(groups)])


def _require_different(folders: Sequence[Path]) -> None:
    names = [folder.resolve() for folder in folders]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigurationError(f"data.sets: the folder {twice} is named twice; name each once")


def _kept(sets: Sequence[Prepared], found: Surveys) -> Groups:
    """`Surveys.photos` of the pictures that are left in the prepared sets: a file is once in a set."""
    keys = ((place, seen.key) for place, one in enumerate(found.sets) for seen in one.seen)
    photo_of = dict(zip(keys, found.photos.tolist(), strict=True))
    return np.array(
        [photo_of[place, str(key)] for place, one in enumerate(sets) for key in one.keys], np.intp
    )


def _joined(sets: Sequence[Prepared], found: Surveys) -> Prepared:
    names, groups = [one.folder.resolve().name for one in found.sets], _kept(sets, found)
    split = apart(np.concatenate([one.split for one in sets]), groups)
    return Prepared(
        crops=JoinedCrops.of([np.asarray(one.crops) for one in sets]),
        low=np.concatenate([one.low for one in sets]),
        high=np.concatenate([one.high for one in sets]),
        traits={**_traits(sets), DATA_SET: np.repeat(names, [len(one) for one in sets])},
        split=split,
        keys=np.concatenate([one.keys for one in sets]),
        source=", ".join(one.source for one in sets),
        terms=tuple(part for one in sets for part in one.terms),
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
