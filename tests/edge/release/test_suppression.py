"""Small counts stay in the box, and nobody works them out from what is published."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.release.suppression import ReleasedCounts, release
from edge.types import Coverage, WindowCounts

Cells = tuple[int, ...]


def window(cells: Sequence[int]) -> WindowCounts:
    """A window with these cells; the last one is the unclassified."""
    return WindowCounts(
        site="store",
        camera_id="door",
        zone="all",
        start=datetime(2026, 1, 31, 8, 0, tzinfo=UTC),
        end=datetime(2026, 1, 31, 8, 5, tzinfo=UTC),
        counts={f"{i}-{i}": n for i, n in enumerate(cells[:-1])},
        unclassified=cells[-1],
        coverage=Coverage(),
    )


def published(cells: Sequence[int], minimum: int) -> tuple[int | None, ...]:
    """What a reader sees: every cell, then the total."""
    released = release(window(cells), minimum)
    return (*released.counts.values(), released.unclassified, released.total)


def vectors(length: int, total: int) -> Iterator[Cells]:
    """All vectors of `length` counts with this total."""
    if length == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in vectors(length - 1, total - first):
            yield (first, *rest)


@pytest.mark.parametrize(
    ("cells", "seen"),
    [
        ((0, 0, 0, 0), (0, 0, 0, 0, 0)),
        ((7, 9, 5, 0), (7, 9, 5, 0, 21)),
        ((7, 3, 2, 0), (7, None, None, 0, 12)),
        ((9, 7, 3, 0), (9, None, None, 0, 19)),  # one alone would be the difference
        ((9, 7, 7, 3), (9, None, None, None, 26)),  # equal cells go together
        ((9, 7, 1, 1), (9, None, None, None, 18)),  # two, but fewer than five visitors
        ((9, 7, 4, 4), (9, None, None, None, 24)),  # 8 of two cells below 5 is 4 and 4
        ((3, 0, 0, 0), (None, None, None, None, None)),  # zeros would tell the bracket
        ((2, 2, 0, 0), (None, None, None, None, None)),
        ((2, 3, 0, 0), (None, None, 0, 0, 5)),
        ((4, 4, 0, 0), (None, None, None, None, None)),
        ((0, 8, 0, 1), (0, None, 0, None, 9)),
    ],
)
def test_the_rule_by_example(cells: Cells, seen: tuple[int | None, ...]) -> None:
    assert published(cells, minimum=5) == seen


def test_minimum_one_withholds_nothing() -> None:
    assert published((1, 0, 2, 1), minimum=1) == (1, 0, 2, 1, 4)


def test_minimum_two_works_as_three_and_says_so() -> None:
    released = release(window((1, 2, 3, 9)), 2)

    assert released == ReleasedCounts({"0-0": None, "1-1": None, "2-2": 3}, 9, 15, minimum=3)


def test_a_minimum_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="minimum = 0: must be 1 or more"):
        release(window((1, 1)), 0)


@pytest.mark.parametrize("minimum", [2, 3, 4, 5])
def test_an_attacker_who_knows_the_rule_determines_no_withheld_value(minimum: int) -> None:
    """Every world of four cells: those with the same release disagree on each value that it withholds."""
    worlds: dict[tuple[int | None, ...], list[set[int]]] = defaultdict(lambda: [set() for _ in range(5)])
    most = 4 * max(minimum, 3) + 4  # all worlds behind a withheld total are among these
    for total in range(most + 1):
        for cells in vectors(4, total):
            for value, seen in zip((*cells, total), worlds[published(cells, minimum)], strict=True):
                seen.add(value)

    determined = [
        seen
        for seen, possible in worlds.items()
        for value, candidates in zip(seen, possible, strict=True)
        if value is None and len(candidates) == 1
    ]
    assert not determined


@given(cells=st.lists(st.integers(0, 30), min_size=2, max_size=9).map(tuple), minimum=st.integers(2, 12))
def test_every_withheld_value_has_an_alibi(cells: Cells, minimum: int) -> None:
    """For each withheld cell there is another world, with the same release, in which its value differs."""
    seen = published(cells, minimum)
    withheld = [i for i, value in enumerate(seen[:-1]) if value is None]
    alibis = [world for world in worlds_behind(cells, withheld, minimum) if published(world, minimum) == seen]

    assert all(any(world[i] != cells[i] for world in alibis) for i in withheld)


def worlds_behind(cells: Cells, withheld: Sequence[int], minimum: int) -> Iterator[Cells]:
    """Some of what the withheld cells could hold: two exchanged, one visitor moved, or all of one size."""
    for i, j in permutations(withheld, 2):
        yield tuple(cells[{i: j, j: i}.get(k, k)] for k in range(len(cells)))
        yield tuple(n + (k == i) - (k == j) for k, n in enumerate(cells))
    for size in range(1, max(minimum, 3)):
        yield tuple(size if k in withheld else n for k, n in enumerate(cells))


@given(cells=st.lists(st.integers(0, 40), min_size=2, max_size=9).map(tuple), minimum=st.integers(1, 12))
def test_what_is_published_is_true_and_never_small(cells: Cells, minimum: int) -> None:
    seen = published(cells, minimum)

    for value, truth in zip(seen, (*cells, sum(cells)), strict=True):
        assert value in (None, truth)
        assert value is None or value == 0 or value >= minimum
        assert value is not None or truth > 0


@given(cells=st.lists(st.integers(0, 30), min_size=2, max_size=9).map(tuple), minimum=st.integers(2, 12))
def test_of_too_few_visitors_not_even_the_empty_brackets_are_told(cells: Cells, minimum: int) -> None:
    if 0 < sum(cells) < minimum:
        assert set(published(cells, minimum)) == {None}
