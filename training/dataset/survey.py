"""Surveys a data set: reads every picture, lists every fault and finds copies."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import ConfigurationError
from edge.ops.terminal import Progress
from training.dataset.catalogue import Catalogue, Fault, FaultKind, Labelled, interval
from training.dataset.copies import Pairs, grouped, members, near_pairs, same_photo
from training.dataset.looks import Look, Lookers, LookStore, chunks, decode, hashes, threads
from training.dataset.readers import find_reader

LOOKING = "looking at pictures"


@dataclass(frozen=True, slots=True)
class Seen:
    """A labelled picture: its row, the SHA-256 of its file in hexadecimal, and its look."""

    row: Labelled
    name: str
    key: str
    look: Look


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """The usable pictures of a data set, each once, and all its faults.

    layout: the reader's name. pictures: the folder that names are relative to. labelled: rows with a file
    and an age, faulty pictures and copies among them.
    groups: (N,) a number for each picture; those with the same show the same photo.
    """

    folder: Path
    layout: str
    pictures: Path
    labelled: int
    seen: Sequence[Seen]
    groups: NDArray[np.intp]
    faults: Sequence[Fault]


def survey(folder: Path, cache: Path, progress: Progress) -> Survey:
    """Read the labels in `folder`, and look at every picture that is not in the cache.

    Raises ConfigurationError where there are no labelled pictures at all or `cache` cannot be written to.
    """
    reader = find_reader(folder)
    catalogue = reader.read(folder)
    found = list(_look_at_all(catalogue, _store(cache), progress))
    seen, copies = _without_copies([s for s in found if isinstance(s, Seen)])
    faults = [*catalogue.faults, *(f for f in found if isinstance(f, Fault)), *copies]
    if not seen:
        raise ConfigurationError(f"{folder}: holds no usable picture{_tally(faults)}")
    groups = grouped(confirmed(seen, likely_copies(seen)), len(seen))
    faults += [*_near_copies(seen, groups), *_odd_faces(seen)]
    return Survey(folder, reader.name, catalogue.pictures, len(catalogue.rows), seen, groups, faults)


def likely_copies(seen: Sequence[Seen]) -> Pairs:
    """The pairs of pictures that may show the same photo by their hashes."""
    return near_pairs(hashes([s.look.hash for s in seen]), hashes([s.look.mirrored for s in seen]))


def confirmed(seen: Sequence[Seen], pairs: Pairs) -> Pairs:
    """Those of the pairs in which both pictures show the same face; reads the pictures."""
    same = [_show_one_face(seen[a], seen[b], mirrored=bool(flip)) for a, b, flip in pairs.tolist()]
    return pairs[np.array(same, np.bool_)]


def _show_one_face(one: Seen, other: Seen, *, mirrored: bool) -> bool:
    """Whether the faces in two pictures of about the same hash are the same, by the box of either."""
    here, there = decode(one.row.file.read_bytes()), decode(other.row.file.read_bytes())
    if here is None or there is None:
        raise ConfigurationError(f"{one.row.file}, {other.row.file}: a file changed while it was read")
    if mirrored:
        there = np.asarray(cv2.flip(there, 1), np.uint8)
    box = other.look.box
    if box and mirrored:
        box = (other.look.width - box[2], box[1], other.look.width - box[0], box[3])
    return same_photo(here, there, one.look.box) or same_photo(there, here, box)


def _store(cache: Path) -> LookStore:
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{cache}: cannot be made ({error.strerror})") from error
    return LookStore(cache)


def _look_at_all(catalogue: Catalogue, store: LookStore, progress: Progress) -> Iterator[Seen | Fault]:
    """Each row with its look, or its fault, in order; new looks are stored chunk by chunk."""
    rows, known = catalogue.rows, store.read()
    done = 0

    def name_of(row: Labelled) -> str:
        return str(row.file.relative_to(catalogue.pictures))

    progress(LOOKING, done, len(rows))
    with closing(Lookers()) as lookers, ThreadPoolExecutor(threads()) as pool:
        for chunk in chunks(rows):
            seen = list(pool.map(lambda row: _look_at(row, name_of(row), known, lookers), chunk))
            store.write((s.key, s.look) for s in seen if isinstance(s, Seen) and s.key not in known)
            yield from seen
            done += len(chunk)
            progress(LOOKING, done, len(rows))


def _look_at(row: Labelled, name: str, known: dict[str, Look], lookers: Lookers) -> Seen | Fault:
    try:
        content = row.file.read_bytes()
    except OSError as error:
        return Fault(FaultKind.UNREADABLE, name, str(error.strerror))
    if not content:
        return Fault(FaultKind.EMPTY, name)
    key = hashlib.sha256(content).hexdigest()
    if key in known:
        return Seen(row, name, key, known[key])
    image = decode(content)
    if image is None:
        return Fault(FaultKind.UNREADABLE, name, f"{len(content)} bytes that are no picture")
    return Seen(row, name, key, lookers.look(image))


def _without_copies(seen: Iterable[Seen]) -> tuple[list[Seen], list[Fault]]:
    """The first of each set of identical files; none of them where their ages differ."""
    same: dict[str, list[Seen]] = defaultdict(list)
    for one in seen:
        same[one.key].append(one)
    kept, faults = [], []
    for first, *others in same.values():
        ages = sorted({(s.row.low, s.row.high) for s in (first, *others)})
        if len(ages) > 1:
            detail = f"ages {', '.join(interval(*age) for age in ages)}"
            faults += [Fault(FaultKind.CONFLICT, s.name, detail) for s in (first, *others)]
            continue
        kept.append(first)
        faults += [Fault(FaultKind.COPY, s.name, _of(first, s)) for s in others]
    return kept, faults


def _of(first: Seen, copy: Seen) -> str:
    return "named by another row already" if copy.name == first.name else f"of {first.name}"


def _near_copies(seen: Sequence[Seen], groups: NDArray[np.intp]) -> Iterator[Fault]:
    for group in members(groups):
        first, *others = (seen[i] for i in group)
        for other in others:
            here, there = (interval(one.row.low, one.row.high) for one in (first, other))
            differ = f", ages {here} and {there}" if here != there else ""
            yield Fault(FaultKind.NEAR_COPY, other.name, f"of {first.name}{differ}")


def _odd_faces(seen: Sequence[Seen]) -> Iterator[Fault]:
    for one in seen:
        if one.look.faces == 0:
            yield Fault(FaultKind.NO_FACE, one.name)
        elif one.look.faces > 1:
            yield Fault(FaultKind.SEVERAL_FACES, one.name, f"{one.look.faces} faces")


def _tally(faults: Sequence[Fault]) -> str:
    counts = Counter(fault.kind for fault in faults)
    return f" ({', '.join(f'{kind}: {n}' for kind, n in counts.items())})" if counts else ""
