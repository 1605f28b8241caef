"""From a folder of labelled faces to crops for training, cut as a store box cuts its own."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

import numpy as np
from numpy.typing import NDArray

from edge.bundle import PartTerms
from edge.errors import ConfigurationError
from edge.files import replacing
from edge.ops.terminal import Progress, silent
from edge.preprocess import PREPROCESSING_VERSION, resize
from edge.types import Image
from edge.vision.crops import cut_face
from training import terms
from training.dataset.catalogue import Fault, interval
from training.dataset.looks import LOOK_VERSION, chunks, decode, threads
from training.dataset.split import split_beside
from training.dataset.survey import Seen, Survey

CUTTING = "cutting faces"

CROPPED_SCALE = 1.04
"""A picture that is a face crop already counts as a square of this many detector boxes, as UTKFace's are."""

CROPPED_FILL = 0.8
"""Least median share of a picture's side that such a square takes up in data of face crops."""

SQUARE = 1.1
"""Largest ratio of the longer to the shorter side of such a picture."""

FEWEST = 20
"""Fewest pictures with which a split into three parts makes sense."""


class Crops(Protocol):
    """Crops of faces in a row, uint8 (S, S, 3) RGB each: an array, or the arrays of several data sets."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Image: ...

    def __iter__(self) -> Iterator[Image]: ...


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """N labelled crops for training or evaluation.

    crops: uint8 (N, S, S, 3) RGB, mapped from disk, read-only. low, high: float32 (N,), years 0..120; equal
    where the age is known. traits: by name, str (N,), '' where unknown. split: str (N,), 'train',
    'validation' or 'test'. keys: str (N,), SHA-256 of the file in hexadecimal. files: str (N,), names.
    groups: int (N,), equal for copies. sets: int (N,), the place of the data set that each comes
    from, in the order of the folders. source: the origin of the data. terms: of the use of each set.
    """

    crops: Crops
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    traits: dict[str, NDArray[np.str_]]
    split: NDArray[np.str_]
    keys: NDArray[np.str_]
    source: str
    terms: tuple[PartTerms, ...]
    files: NDArray[np.str_]
    groups: NDArray[np.intp]
    sets: NDArray[np.intp]
    faults: Sequence[Fault] = field(default=())
    set_splits: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def splits(self) -> tuple[str, ...]:
        """`split_hash` of each data set as it is split by itself, independent of the sets joined with it."""
        return self.set_splits or (self.split_hash(),)

    def split_hash(self) -> str:
        """SHA-256 in hexadecimal over which file is in which part of the split."""
        lines = sorted(f"{key} {part}" for key, part in zip(self.keys, self.split, strict=True))
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def cut(
    found: Survey,
    *,
    size: int,
    scale: float,
    cache: Path,
    seed: int,
    progress: Progress = silent,
    test_only: bool = False,
) -> Prepared:
    """Crops of `size` px of the faces of one data set, each a square of `scale` detector boxes.

    The split follows from `seed` and the files' content; with `test_only` everything is 'test'. Raises
    ConfigurationError as `training.dataset.prepare`.
    """
    whole = is_cropped(found.seen)
    kept = [i for i, one in enumerate(found.seen) if whole or one.look.box]
    if not kept:
        raise ConfigurationError(f"{found.folder}: no face found in any of {len(found.seen)} pictures")
    seen, groups = [found.seen[i] for i in kept], found.groups[kept]
    if not test_only:
        _require_enough(found.folder, seen)
    keys = [one.key for one in seen]
    ages = np.array([one.row.middle for one in seen])
    held_out = np.array([one.row.held_out for one in seen], np.bool_)
    source = f"{found.folder.resolve().name} ({found.layout})"
    return Prepared(
        crops=_crops(seen, cache, _Cut(size, scale, whole), progress),
        low=np.array([one.row.low for one in seen], np.float32),
        high=np.array([one.row.high for one in seen], np.float32),
        traits=_traits(seen),
        split=np.full(len(seen), "test", "U10")
        if test_only
        else split_beside(held_out, keys, groups, ages, seed),
        keys=np.array(keys),
        source=source,
        terms=(terms.of_folder(found.folder, source),),
        files=np.array([one.name for one in seen]),
        groups=groups,
        sets=np.zeros(len(seen), np.intp),
        faults=found.faults,
    )


def is_cropped(seen: Sequence[Seen]) -> bool:
    """Whether the pictures are face crops already: squares that a face fills, or in which none is found.

    The detector needs some surroundings: in a tight crop it may find nothing. Such pictures are used whole.
    """
    looks = [one.look for one in seen]
    sides = np.array([(look.width, look.height) for look in looks])
    if np.median(sides.max(axis=1) / sides.min(axis=1)) > SQUARE:
        return False
    fills = [_fill(one) for one in seen if one.look.box]
    return len(fills) < len(seen) / 2 or bool(np.median(fills) >= CROPPED_FILL)


def _fill(one: Seen) -> float:
    left, top, right, bottom = one.look.box or (0, 0, 0, 0)
    return max(right - left, bottom - top) * CROPPED_SCALE / min(one.look.width, one.look.height)


@dataclass(frozen=True, slots=True)
class _Cut:
    """How crops are cut. size: px. scale: in detector boxes. whole: the pictures are face crops already."""

    size: int
    scale: float
    whole: bool

    def apply(self, one: Seen) -> Image:
        """The crop, uint8 (size, size, 3) RGB."""
        image = decode(one.row.file.read_bytes())
        if image is None:
            raise ConfigurationError(f"{one.row.file}: the file changed while it was read")
        box = _central(one) if self.whole else one.look.box
        return resize(cut_face(image, np.array(box, np.float32), self.scale, self.size), self.size)

    def name(self, seen: Sequence[Seen]) -> str:
        """A name for the crops of these pictures; it depends on everything that changes a pixel."""
        boxes = [] if self.whole else [str(one.look.box) for one in seen]
        what = " ".join([f"{PREPROCESSING_VERSION} {LOOK_VERSION} {self}", *(s.key for s in seen), *boxes])
        return f"crops-{self.size}-{hashlib.sha256(what.encode()).hexdigest()[:16]}.npy"


def _central(one: Seen) -> tuple[float, float, float, float]:
    """The box that a face crop was cut from: its middle."""
    width, height = one.look.width, one.look.height
    half = min(width, height) / CROPPED_SCALE / 2
    return width / 2 - half, height / 2 - half, width / 2 + half, height / 2 + half


def _crops(seen: Sequence[Seen], cache: Path, how: _Cut, progress: Progress) -> Image:
    path = cache / how.name(seen)
    if not path.exists():
        _require_room(cache, len(seen) * how.size**2 * 3)
        _write(path, (len(seen), how.size, how.size, 3), _cut_all(seen, how, progress))
    crops: Image = np.load(path, mmap_mode="r")
    return crops


def _cut_all(seen: Sequence[Seen], how: _Cut, progress: Progress) -> Iterator[Image]:
    done = 0
    with ThreadPoolExecutor(threads()) as pool:
        for chunk in chunks(seen):
            yield from pool.map(how.apply, chunk)
            done += len(chunk)
            progress(CUTTING, done, len(seen))


def _write(path: Path, shape: tuple[int, ...], crops: Iterator[Image]) -> None:
    """Write an array crop by crop, in full or not at all; a full disk is a ConfigurationError.

    Not through a memory map: a disk that fills up under one kills the process.
    """
    try:
        with replacing(path) as draft, draft.open("wb") as file:
            _write_array(file, shape, crops)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be written ({error.strerror})") from error


def _write_array(file: IO[bytes], shape: tuple[int, ...], crops: Iterator[Image]) -> None:
    head = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.uint8)), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, head)
    for crop in crops:
        file.write(crop.tobytes())


def _require_room(cache: Path, needed: int) -> None:
    free = shutil.disk_usage(cache).free
    if free < needed:
        raise ConfigurationError(
            f"{cache}: the crops take {needed / 1e6:,.1f} MB, and {free / 1e6:,.1f} MB are free"
        )


def _require_enough(folder: Path, seen: Sequence[Seen]) -> None:
    if len(seen) < FEWEST:
        raise ConfigurationError(f"{folder}: {len(seen)} usable pictures; at least {FEWEST} are needed")
    if len(ages := {(one.row.low, one.row.high) for one in seen}) == 1:
        age = interval(*ages.pop())
        raise ConfigurationError(
            f"{folder}: all {len(seen)} pictures have the age {age}; at least two ages are needed"
        )


def _traits(seen: Sequence[Seen]) -> dict[str, NDArray[np.str_]]:
    names = dict.fromkeys(name for one in seen for name in one.row.traits)
    return {name: np.array([one.row.traits.get(name, "") for one in seen]) for name in names}
