"""Every small world: which sums does everything published leave certain?

A world is the true count of each pair (window, cell). Worlds with the same publication are those that a
reader who knows the rule cannot tell apart. A set of pairs is *determined* where its sum is the same in all
of them; that sum may be zero: an absence counts as much as a presence.

The theorem (`edge.release.carry_over`) says that the determined sets are the released ones and their unions.
With r disjoint released sums in a publication that is a space of r dimensions, so it is checked for every
weighted sum at once: the differences between the worlds must span all dimensions but r. For small worlds all
sets of pairs are tried as well, to name what leaks.

Only publications of a world with few visits in each pair (`truth`) are judged, for the alternatives end at
`cap`. Leaving out alternatives can only make the attack stronger.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from tests.privacy.gates import Counts, Machine, Moment

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Worlds:
    """counts: (worlds, pairs), pairs window by window. publication: (worlds,), an index. sums: (worlds,)."""

    counts: NDArray[np.int8]
    publication: Integers
    sums: Integers


@dataclass(frozen=True)
class Findings:
    """Of all worlds judged: publications, worlds, and those in which the reader determines something.

    beyond: publications in which more is determined than unions of released sets.
    small, zero: share of the worlds with a determined set of 1 to m - 1 visits, of no visit.
    example: one determined set: pairs (window, cell) and its sum.
    """

    worlds: int
    publications: int
    beyond: int
    small: float
    zero: float
    example: tuple[tuple[tuple[int, int], ...], int] | None


def every_world(machine: Machine, plan: Sequence[Moment], caps: Sequence[int]) -> Worlds:
    """All worlds with 0 to `caps[w]` visits a pair in window w, run through the machine.

    Windows with a cap of 0, in which nobody can have come, are not among the pairs.
    """
    states = [machine.start()]
    state = publication = sums = np.zeros(1, np.int64)
    counts = np.zeros((1, 0), np.int8)
    for number, (moment, cap) in enumerate(zip(plan, caps, strict=True), start=1):
        inputs = list(product(range(cap + 1), repeat=machine.cells))
        out, add, then, states = _transitions(machine, states, inputs, number, moment)
        world, given = np.divmod(np.arange(len(state) * len(inputs)), len(inputs))
        before = state[world]
        counts = np.hstack([counts[world], np.array(inputs, np.int8)[given]])
        joint = publication[world] * (out.max() + 1) + out[before, given]
        publication = np.unique(joint, return_inverse=True)[1]
        sums = sums[world] + add[before, given]
        state = then[before, given]
    possible = np.repeat(np.array(caps) > 0, machine.cells)
    return Worlds(counts[:, possible], publication, sums)


def _transitions(
    machine: Machine, states: Sequence[object], inputs: Sequence[Counts], number: int, moment: Moment
) -> tuple[Integers, Integers, Integers, list[object]]:
    """For each state and input: the publication's index, its number of sums, the next state's index."""
    seen: dict[Hashable, int] = {}
    known: dict[Hashable, int] = {}
    following: list[object] = []
    shape = (len(states), len(inputs))
    out, add, then = (np.zeros(shape, np.int64) for _ in range(3))
    for i, state in enumerate(states):
        for j, counts in enumerate(inputs):
            published, add[i, j], after = machine.step(state, counts, number, moment)
            out[i, j] = seen.setdefault(published, len(seen))
            then[i, j] = known.setdefault(machine.key(after), len(known))
            if len(known) > len(following):
                following.append(after)
    return out, add, then, following


def attack(worlds: Worlds, cells: int, minimum: int, truth: int, *, all_sets: bool = True) -> Findings:
    """What a reader determines, over all publications of a world with at most `truth` visits a pair."""
    order = np.argsort(worlds.publication, kind="stable")
    counts, publication = worlds.counts[order], worlds.publication[order]
    starts = np.flatnonzero(np.r_[True, publication[1:] != publication[:-1]])
    likely = counts.max(axis=1) <= truth
    true_worlds = np.add.reduceat(likely.astype(np.int64), starts)
    total, spread, size = _moments(counts, starts)
    judged = true_worlds > 0
    total, spread, size, weight = total[judged], spread[judged], size[judged], true_worlds[judged]
    sums = worlds.sums[order][starts][judged]
    beyond = _ranks(spread) < counts.shape[1] - sums
    small, zero, example = _name(total, spread, size, minimum, cells) if all_sets else (beyond, beyond, None)
    everything = weight.sum()
    return Findings(
        worlds=int(everything),
        publications=len(weight),
        beyond=int(beyond.sum()),
        small=float(weight[small].sum() / everything),
        zero=float(weight[zero].sum() / everything),
        example=example,
    )


def _moments(counts: NDArray[np.int8], starts: Integers) -> tuple[Integers, Integers, Integers]:
    """By publication: the sums of each pair, size * (sums of products) - products of sums, the size."""
    pairs = counts.shape[1]
    size = np.diff(np.r_[starts, len(counts)])
    total = np.stack([np.add.reduceat(counts[:, a].astype(np.int64), starts) for a in range(pairs)], axis=1)
    spread = np.empty((len(starts), pairs, pairs), np.int64)
    for a in range(pairs):
        for b in range(a + 1):
            products = np.add.reduceat(counts[:, a].astype(np.int64) * counts[:, b], starts)
            spread[:, a, b] = spread[:, b, a] = size * products - total[:, a] * total[:, b]
    return total, spread, size


def _ranks(spread: Integers) -> Integers:
    """How many dimensions the differences between the worlds of each publication span."""
    scale = np.maximum(np.abs(spread).max(axis=(1, 2), keepdims=True), 1)
    ranks: Integers = np.linalg.matrix_rank(spread / scale, tol=1e-9, hermitian=True)
    return ranks


def _name(
    total: Integers, spread: Integers, size: Integers, minimum: int, cells: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], tuple[tuple[tuple[int, int], ...], int] | None]:
    """Publications with a determined set of 1 to minimum - 1 visits, those with one of none; an example."""
    pairs = total.shape[1]
    small, zero, example = np.zeros(len(size), bool), np.zeros(len(size), bool), None
    for chosen in product((0, 1), repeat=pairs):
        if not any(chosen):
            continue
        members = np.array(chosen)
        determined = np.einsum("pab,a,b->p", spread, members, members) == 0
        value = total @ members // size
        small |= (found := determined & (value > 0) & (value < minimum))
        zero |= (absent := determined & (value == 0))
        if example is None and (found | absent).any():
            first = int(np.flatnonzero(found | absent)[0])
            places = tuple((int(a) // cells, int(a) % cells) for a in np.flatnonzero(members))
            example = places, int(value[first])
    return small, zero, example
