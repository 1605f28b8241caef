"""Faces put together from two training faces: of each the teacher's opinion is all that is known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from edge.errors import ConfigurationError
from edge.types import AGES, Image
from training.dataset.join import JoinedCrops
from training.evaluation.scores import expected_ages
from training.train.batches import Examples
from training.train.targets import Floats

CROPS, PROBS, KEYS = "crops.npy", "probs.npy", "keys.npy"


@dataclass(frozen=True, slots=True, eq=False)
class Composites:
    """N faces as `training.opinions.composites` makes them.

    crops: uint8 (N, S, S, 3) RGB, which may lie on disk. probs: float32 (N, 101), distributions over ages
    0..100. keys: str (N, 2), SHA-256 in hexadecimal of the two pictures that each is made of.
    """

    crops: Image
    probs: Floats
    keys: NDArray[np.str_]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read a folder; the crops stay on disk. Raises ConfigurationError where it is none of composites."""
        try:
            crops, probs, keys = (np.load(folder / name, mmap_mode="r") for name in (CROPS, PROBS, KEYS))
        except (OSError, ValueError, EOFError) as error:
            raise ConfigurationError(f"{folder}: not a folder of composites ({error})") from error
        if crops.ndim != 4 or probs.shape != (len(crops), AGES) or keys.shape != (len(crops), 2):
            raise ConfigurationError(
                f"{folder}: holds faces, distributions and keys of the shapes {crops.shape}, {probs.shape} "
                f"and {keys.shape}; allowed: (N, S, S, 3), (N, {AGES}) and (N, 2)"
            )
        return cls(crops, np.asarray(probs, np.float32), keys)

    def __len__(self) -> int:
        return len(self.probs)

    def joined_to(self, examples: Examples, place: int) -> Examples:
        """The examples, which have sets and opinions, and these after them as the set of this place.

        Their age is what the teacher expects.
        """
        if examples.sets is None or examples.opinions is None:
            raise ValueError("composites are joined to examples with sets and opinions")
        expected = expected_ages(self.probs).astype(np.float32)
        rows = len(examples.crops) + np.arange(len(self))
        return replace(
            examples,
            crops=JoinedCrops.of((examples.crops, self.crops)),
            rows=np.concatenate([examples.rows, rows]),
            low=np.concatenate([examples.low, expected]),
            high=np.concatenate([examples.high, expected]),
            sets=np.concatenate([examples.sets, np.full(len(self), place)]),
            opinions=np.concatenate([examples.opinions, self.probs]),
        )
