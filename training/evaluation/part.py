"""The faces of a data set on which a bundle is evaluated, cropped for that bundle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge.bundle import Bundle
from edge.errors import ConfigurationError
from edge.ops.terminal import Progress, silent
from edge.types import Image
from training.dataset import Prepared, Surveys, cut_all, survey_all
from training.evaluation.truth import Truth
from training.provenance import TrainingData, splits_of

CHANGED = (
    "The data hold pictures that the model was trained on, but differ from its training data: this part may "
    "hold some of those pictures, and its figures may be too good."
)

Split = Literal["train", "validation", "test", "all"]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some faces of a data set.

    prepared: the whole data set. rows: int (N,), the faces of this part. scale: side of a crop over the
    longer side of its face box. split: which part it is. trained_on: whether the data set holds pictures
    that the bundle was trained on. changed: whether it holds such pictures but differs from the data set of
    the training, so that the parts of its split may differ as well.
    """

    prepared: Prepared
    rows: NDArray[np.intp]
    scale: float
    split: Split
    trained_on: bool = False
    changed: bool = False

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def crops(self) -> Iterator[Image]:
        """Each crop, uint8 (S, S, 3) RGB, read from disk when it is asked for."""
        return (np.asarray(self.prepared.crops[row]) for row in self.rows)

    @property
    def truth(self) -> Truth:
        return Truth.of(self.prepared.low[self.rows], self.prepared.high[self.rows])

    @property
    def traits(self) -> Mapping[str, NDArray[np.str_]]:
        """By name, (N,) of text, empty where not known."""
        return {name: values[self.rows] for name, values in self.prepared.traits.items()}

    @property
    def keys(self) -> NDArray[np.str_]:
        """SHA-256 of the files in hexadecimal, (N,)."""
        return self.prepared.keys[self.rows]

    def spread(self, most: int) -> Part:
        """At most `most` of its faces, evenly spread over it."""
        picked = np.linspace(0, len(self) - 1, min(most, len(self))).astype(np.intp)
        return replace(self, rows=self.rows[picked])

    def having(self, keys: NDArray[np.str_]) -> Part:
        """Those of its faces that have one of these keys, sorted by key."""
        rows = self.rows[np.isin(self.keys, keys)]
        return replace(self, rows=rows[np.argsort(self.prepared.keys[rows])])


def part_of(prepared: Prepared, scale: float, split: Split) -> Part:
    """One part of prepared data, or all; ConfigurationError where it holds no face."""
    rows = np.arange(len(prepared)) if split == "all" else np.flatnonzero(prepared.split == split)
    if not len(rows):
        raise ConfigurationError(f"{prepared.source}: of its {len(prepared)} faces none is in {split!r}")
    return Part(prepared, rows, scale, split)


def open_part(
    data: Sequence[Path], bundle: Bundle, split: Split | None, cache: Path, progress: Progress = silent
) -> Part:
    """The faces in the folders `data`, found and cut as a box with `bundle` would.

    split: None is the test part where the bundle was trained on these data, and else all of them. The parts
    are those of the bundle's training run. Raises ConfigurationError as `training.dataset.prepare` does.
    """
    return cut_part(survey_all(data, cache, progress), bundle, split, cache, progress)


def cut_part(
    found: Surveys, bundle: Bundle, split: Split | None, cache: Path, progress: Progress = silent
) -> Part:
    """As `open_part`, for data that `survey` has read."""
    trained = TrainingData.of(bundle)
    trained_on = trained is not None and trained.shares(one.key for data in found.sets for one in data.seen)
    split = split or ("test" if trained_on else "all")
    part = part_by_seed(
        found, bundle, split, seed=trained.seed if trained else 0, cache=cache, progress=progress
    )
    known = splits_of(bundle) if trained_on and split != "all" else frozenset()
    changed = bool(known) and known.isdisjoint((part.prepared.split_hash(), *part.prepared.splits))
    return replace(part, trained_on=trained_on, changed=changed)


def part_by_seed(
    found: Surveys,
    bundle: Bundle,
    split: Split,
    *,
    seed: int,
    cache: Path,
    progress: Progress = silent,
) -> Part:
    """One part of the split that comes from `seed`, cut as a box with `bundle` would."""
    prepared = cut_all(
        found,
        size=bundle.input_size,
        scale=bundle.crop_scale,
        cache=cache,
        seed=seed,
        progress=progress,
        test_only=split == "all",
    )
    return part_of(prepared, bundle.crop_scale, split)
